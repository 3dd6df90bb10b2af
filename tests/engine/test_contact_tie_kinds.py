"""Ties between facets of every kind: triangles of three and six nodes, quadrangles, sheets, and mixtures of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from bodies import mesh_for
from numpy.typing import NDArray

from preop.engine.tissue import fields
from preop.engine.tissue.contact import Tie
from preop.engine.tissue.host_system import HostSystem
from preop.engine.tissue.loads import Pressure, Traction
from preop.engine.tissue.materials import NeoHookean, Sheet
from preop.engine.tissue.model import Model
from preop.engine.tissue.parts import Part
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.residual import external_force, residual
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.engine.tissue.system import Timer
from preop.imaging.errors import SolverError

GRADIENT = np.array([[0.05, 0.02, -0.02], [0.01, -0.04, 0.03], [-0.015, 0.035, 0.06]])
SOFT = NeoHookean.from_young(1e4, 0.3)
MIXTURES = [
    ("T4", "H8"), ("H8", "T4"), ("H8", "H8"), ("T4", "T10"), ("T10", "T4"), ("T10", "H8"), ("H8", "T10"),
    ("T10P1", "H8"), ("T4P1", "T10P1"),
]  # fmt: skip


def swirled(low: Sequence[float], high: Sequence[float], by: float = 0.12) -> Callable[[NDArray], NDArray]:
    """From the unit box to another, planes of nodes kept plane: quadrangles on them are no parallelograms."""

    def place(unit: NDArray) -> NDArray:
        bump = by * np.sin(np.pi * unit).prod(axis=1, where=[True, True, False])
        turned = unit + bump[:, None] * [1.0, -0.7, 0.0]
        return turned * np.subtract(high, low) + low

    return place


def joined(bodies: Mapping[str, Model], facet_sets: Mapping[str, Sequence[str]] | None = None) -> Model:
    """Bodies in one model, no node shared; their sets get their names, `facet_sets` unites some."""
    parts, points, sets, count = [], [], {}, 0
    for name, body in bodies.items():
        for block in body.blocks:
            nodes = np.asarray(block.nodes)[:, : block.element.own_nodes]
            parts.append(Part(block.element.name, nodes + count, SOFT, region=name))
        points.append(np.asarray(body.points))
        sets |= {f"{name}_{key}": body.facets_of(key) + count for key in body.facet_sets}
        count += len(body.points)
    sets |= {name: [sets[one] for one in ones] for name, ones in (facet_sets or {}).items()}
    return Model.from_parts(np.vstack(points), parts, facet_sets=sets)


def block(
    element: str, cells: tuple[int, int, int], low: Sequence[float], high: Sequence[float], by: float = 0.12
) -> Model:
    """A box in mm of swirled cells."""
    mesh = mesh_for(element, cells, place=swirled(low, high, by))
    return Model.from_mesh(mesh, {"*": SOFT}, element=element)


def two(lower: str, upper: str) -> Model:
    """One block on another, `low` of 2 × 2 cells and `up` of 3 × 3."""
    return joined(
        {
            "low": block(lower, (2, 2, 1), (0, 0, 0), (40, 40, 20)),
            "up": block(upper, (3, 3, 1), (0, 0, 20), (40, 40, 40)),
        }
    )


def passes(model: Model, ties: Sequence[Tie], free: int) -> None:
    """A linear displacement prescribed outside is found inside, with one stress; so many nodes are free."""
    points = np.asarray(model.points)
    outside = ((points <= 1e-9) | (points >= points.max(axis=0) - 1e-9)).any(axis=1)
    named = {**model.node_sets, "outside": np.flatnonzero(outside).astype(np.int32)}
    model = eqx.tree_at(lambda m: m.node_sets, model, named)
    assert (~outside).sum() >= free
    problem = model.problem(prescribed=[Prescribed("outside", lambda x: x @ GRADIENT.T)], contacts=ties)
    solution = solve(problem, tolerance=1e-13)
    stress = fields.cauchy_stress(model, solution.final)
    assert np.ptp(stress, axis=0).max() < 1e-8 * np.abs(stress).max()
    assert np.abs(np.asarray(solution.final.displacement) - points @ GRADIENT.T).max() < 1e-10 * 0.04


@pytest.mark.parametrize(("lower", "upper"), MIXTURES)
def test_patch_across_every_mixture(lower: str, upper: str) -> None:
    """As of triangles of one kind (`test_contact_tie`), on facets that are no parallelograms."""
    passes(two(lower, upper), [Tie("up_z0", "low_z1", jump=1e-14)], 5)


@pytest.mark.parametrize("lead", [("top_z0", "under"), ("under", "top_z0")])
def test_patch_of_a_surface_of_several_kinds(lead: tuple[str, str]) -> None:
    """Quadratic tetrahedra on tetrahedra beside hexahedra, which are tied to each other as well."""
    model = joined(
        {
            "a": block("T4", (2, 3, 2), (0, 0, 0), (20, 40, 20)),
            "b": block("H8", (2, 2, 2), (20, 0, 0), (40, 40, 20)),
            "top": block("T10", (3, 3, 1), (0, 0, 20), (40, 40, 40)),
        },
        {"under": ("a_z1", "b_z1")},
    )
    assert [kind.name for kind, _ in model.facet_groups("under")] == ["tri3", "quad4"]
    passes(model, [Tie(*lead, jump=1e-14), Tie("b_x0", "a_x1", jump=1e-14)], 10)


def patched(element: str, lower: str, height: float, turned: bool) -> tuple[Model, NDArray]:
    """A sheet of a block's swirled facets on or above another block; and the nodes of its rim."""
    body = block(lower, (2, 2, 1), (0, 0, 0), (40, 40, 20))
    carrier = "H8" if element == "M4" else "T10" if element in ("M6", "K6") else "T4"
    source = block(carrier, (3, 3, 1), (0, 0, 20 + height), (40, 40, 40))
    facets = source.facets_of("z0")
    used, cells = np.unique(facets, return_inverse=True)
    cells = cells.reshape(facets.shape) + len(body.points)
    order = {3: [0, 2, 1], 4: [0, 3, 2, 1], 6: [0, 2, 1, 5, 4, 3]}[cells.shape[1]]
    cells = cells[:, order] if turned else cells
    (solid,) = body.blocks
    parts = [
        Part(lower, np.asarray(solid.nodes), SOFT, region="body"),
        Part(element, cells, Sheet(SOFT, 1e-3), region="sheet"),
    ]
    points = np.vstack([np.asarray(body.points), np.asarray(source.points)[used]])
    sets = {"top": body.facet_sets["z1"], "sheet": cells}
    rim = ((points[:, :2] < 1e-9) | (points[:, :2] > 0.04 - 1e-9)).any(axis=1)
    return Model.from_parts(points, parts, facet_sets=sets), np.flatnonzero(rim)


@pytest.mark.parametrize(
    ("element", "lower", "height", "turned"),
    [("M3", "H8", 0.0, False), ("M4", "T4", 0.0, True), ("M6", "H8", 0.5, True), ("K6", "T4", 0.5, False)],
)
def test_patch_of_a_sheet_on_a_body(element: str, lower: str, height: float, turned: bool) -> None:
    """A membrane or shell on the surface, or above it by half of its thickness, whichever way it faces."""
    model, rim = patched(element, lower, height, turned)
    body = np.unique(np.asarray(model.blocks[0].nodes))
    held = {**model.node_sets, "held": np.union1d(body, rim).astype(np.int32)}
    model = eqx.tree_at(lambda m: m.node_sets, model, held)
    problem = model.problem(
        prescribed=[Prescribed("held", lambda x: x @ GRADIENT.T)], contacts=[Tie("sheet", "top", jump=1e-14)]
    )
    moved = np.asarray(solve(problem, tolerance=1e-13).final.displacement)
    assert len(model.points) - len(held["held"]) >= 4
    assert np.abs(moved - np.asarray(model.points) @ GRADIENT.T).max() < 1e-10 * 0.04


def ring(element: str, cells: tuple[int, int, int], radii: tuple[float, float]) -> Model:
    """A quarter of a tube 10 mm long, `radii` in mm; middles of edges lie on the circles too."""
    flat = Model.from_mesh(mesh_for(element, cells), {"*": SOFT}, element=element)
    across, around, along = np.asarray(flat.points).T
    radius = 1e-3 * (radii[0] + (radii[1] - radii[0]) * across)
    angle = 0.5 * np.pi * around
    bent = np.stack([radius * np.cos(angle), radius * np.sin(angle), 0.01 * along], axis=1)
    return eqx.tree_at(lambda m: m.points, flat, jnp.asarray(bent))


def rings(inner: str, outer: str, count: int) -> Model:
    """A tube from 10 to 20 mm in one from 20 to 30 mm, two facets of one opposite three of the other."""
    return joined({
        "in": ring(inner, (2 * count, 2 * count, 1), (10.0, 20.0)),
        "out": ring(outer, (2 * count, 3 * count, 2), (20.0, 30.0)),
    })  # fmt: skip


def swollen(model: Model, contacts: Sequence[Tie]) -> float:
    """The tube under 1 Pa from within, in plane strain: rms error over the displacement of its inner wall."""
    held = {"z0": "z", "z1": "z", "y0": "y", "y1": "x"}
    supports = [Fixed(name, held[name[-2:]]) for name in model.facet_sets if name[-2:] in held]
    wall = next(name for name in model.facet_sets if name.endswith("x0"))
    problem = model.problem(supports=supports, loads=[Pressure(wall, 1.0)], contacts=contacts)
    solution = solve(problem).require_converged()
    points, moved = np.asarray(model.points), np.asarray(solution.final.displacement)
    radius = np.linalg.norm(points[:, :2], axis=1)
    out = np.einsum("ni,ni->n", moved[:, :2], points[:, :2]) / radius

    def lame(r: NDArray | float) -> NDArray | float:
        inner, outer, young, poisson = 0.01, 0.03, 1e4, 0.3
        share = inner**2 / (outer**2 - inner**2)
        return (1 + poisson) / young * share * ((1 - 2 * poisson) * r + outer**2 / r)

    return float(np.sqrt(np.mean((out - lame(radius)) ** 2)) / lame(0.01))


@pytest.mark.parametrize(
    ("inner", "outer", "fall"), [("H8", "H8", 3.0), ("T4", "H8", 2.5), ("H8", "T10", 3.0), ("T10", "T10", 5.0)]
)
def test_a_tube_in_a_tube(inner: str, outer: str, fall: float) -> None:
    """Facets of the one are chords of the other, apart and overlapping: Lamé's solution, to the elements' order, and
    no further from it than twice what one mesh of the inner elements is."""
    errors = [swollen(rings(inner, outer, count), [Tie("out_x0", "in_x1", jump=1e-13)]) for count in (1, 2)]
    whole = swollen(joined({"one": ring(inner, (8, 4, 1), (10.0, 30.0))}), [])
    assert errors[1] < errors[0] / fall
    assert errors[1] < 2.0 * whole


def layers(lower: str, upper: str, count: int) -> Model:
    """Two layers of a bar of 40 × 10 × 10 mm, two cells of the lower under three of the upper."""
    return joined({
        "low": block(lower, (8 * count, 2 * count, count), (0, 0, 0), (40, 10, 5), 0.0),
        "up": block(upper, (12 * count, 3 * count, 2 * count), (0, 0, 5), (40, 10, 10), 0.0),
    })  # fmt: skip


def tip(model: Model, contacts: Sequence[Tie]) -> float:
    """How far the end sinks under 1 Pa of shear [m]."""
    supports = [Fixed(name) for name in model.facet_sets if name.endswith("x0")]
    loads = [Traction(name, (0.0, 0.0, -1.0)) for name in model.facet_sets if name.endswith("x1")]
    problem = model.problem(supports=supports, loads=loads, contacts=contacts)
    moved = np.asarray(solve(problem).require_converged().final.displacement)[: len(model.points)]
    return float(-moved[np.asarray(model.points)[:, 0] > 0.04 - 1e-9, 2].mean())


def test_tied_layers_bend_as_one_mesh() -> None:
    """What the tie takes off the bending of one mesh of hexahedra falls with the square of their size or faster."""
    off = []
    for count in (1, 2):
        whole = tip(joined({"one": block("H8", (8 * count, 2 * count, 2 * count), (0, 0, 0), (40, 10, 10), 0.0)}), [])
        off.append(abs(tip(layers("H8", "H8", count), [Tie("up_z0", "low_z1", jump=1e-12)]) / whole - 1))
    assert off[0] < 0.03
    assert off[1] < off[0] / 4


@pytest.fixture(scope="module")
def bound() -> Problem:
    """The tubes of tetrahedra and hexahedra, tied with multipliers, no two alike."""
    model = rings("T4", "H8", 1)
    problem = model.problem(supports=[Fixed("in_y0")], contacts=[Tie("out_x0", "in_x1")]).begun()
    (tie,) = problem.contacts
    random = np.random.default_rng(5).standard_normal(tie.multiplier.shape)
    return eqx.tree_at(lambda p: p.contacts[0].multiplier, problem, jnp.asarray(1e3 * random))


def test_forces_of_a_tie_across_a_gap_cancel(bound: Problem) -> None:
    """Sum and moment vanish, as multipliers are; stretched and turned with all nodes, nothing pulls."""
    points = np.asarray(bound.model.points)
    for stretch in (0.0 * GRADIENT, GRADIENT, 5.0 * GRADIENT):
        moved = points @ stretch.T
        found = np.asarray(external_force(jnp.asarray(moved), bound, 1.0))
        size = np.abs(found).sum()
        turning = np.cross(points + moved, found)
        assert size > 1e-3
        assert np.abs(found.sum(axis=0)).max() < 1e-13 * size
        assert np.abs(turning.sum(axis=0)).max() < 1e-12 * np.abs(turning).sum()
    moved = 1e-3 * np.random.default_rng(2).standard_normal(points.shape)
    found = np.asarray(external_force(jnp.asarray(moved), bound, 1.0))
    assert np.abs(found.sum(axis=0)).max() < 1e-13 * np.abs(found).sum()


def test_a_tie_across_a_gap_turns_with_the_body(bound: Problem) -> None:
    """Turned by 2 rad no traction arises, though chords and arcs lie up to 0.7 mm apart and the gap turns with them."""
    points, (tie,) = np.asarray(bound.model.points), bound.contacts
    cosine, sine = np.cos(2.0), np.sin(2.0)
    turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    assert np.abs(tie.mean_jumps(bound.model, points @ turn.T - points)).max() < 1e-15


def test_the_tangent_of_a_tie_is_symmetric_and_a_slope(bound: Problem) -> None:
    """K d of the host against differences of the residual; d'·K d = d·K d'."""
    rng = np.random.default_rng(4)
    free = ~bound.held()
    moved, way, other = (rng.standard_normal(bound.model.points.shape) * free for _ in range(3))
    moved *= 1e-4
    system = HostSystem(bound, Timer()).linearize(moved, 1.0)
    product = np.asarray(system.product(way)) * free
    step = 1e-6
    ahead, back = (np.asarray(residual(jnp.asarray(moved + s * step * way), bound, 1.0)) * free for s in (1, -1))
    assert np.abs(product - (ahead - back) / (2 * step)).max() < 1e-6 * np.abs(product).max()
    turned = np.asarray(system.product(other)) * free
    assert np.sum(other * product) == pytest.approx(np.sum(way * turned), rel=1e-11)
    term = next(t for t in bound.fixed_terms() if type(t).__name__ == "TieTerm")
    zero = jnp.zeros((*term.nodes.shape, 3))
    blocks = np.asarray(term.tangents(zero, zero, jnp.asarray(1.0)))
    assert np.abs(blocks - blocks.transpose(0, 2, 1, 4, 3)).max() < 1e-14 * np.abs(blocks).max()


def drawn(share: float) -> tuple[Model, NDArray]:
    """Two blocks of T10, on the lower one's tied face a middle node drawn along its edge; the place of that node."""
    model = joined(
        {
            "low": block("T10", (2, 2, 1), (0, 0, 0), (40, 40, 20), 0.0),
            "up": block("T10", (3, 3, 1), (0, 0, 20), (40, 40, 40), 0.0),
        }
    )
    points, facets = np.array(model.points), model.facets_of("low_z1")
    ends = np.stack([facets[:, [0, 1, 2]], facets[:, [1, 2, 0]], facets[:, 3:]], axis=2).reshape(-1, 3)
    inside = ((points[ends[:, 2], :2] > 1e-9) & (points[ends[:, 2], :2] < 0.04 - 1e-9)).all(axis=1)
    first, second, middle = ends[inside][0]
    points[middle] += share * (points[second] - points[first])
    return eqx.tree_at(lambda m: m.points, model, jnp.asarray(points)), points[middle]


def test_products_that_no_rule_settles_are_told() -> None:
    """A middle node at nearly a quarter of its edge: slopes have no bound at its corner; a fifth off is integrated."""
    tie = Tie("up_z0", "low_z1")
    assert tie.resolved(drawn(0.2)[0]).table is not None
    model, place = drawn(0.249)
    with pytest.raises(SolverError, match=r"facet \d+ of its kind at \[.*\] mm are known to .* only") as told:
        tie.resolved(model)
    at = np.array(str(told.value).split("[")[1].split("]")[0].split(), float)
    assert np.linalg.norm(at - 1e3 * place) < 15.0


def stood(height: float = 20.0, across: float = 0.0, turned: bool = False) -> Model:
    """A block of tetrahedra on one of hexahedra, its lower side `height` mm up, and sets of them."""
    low = block("H8", (2, 2, 1), (0, 0, 0), (40, 40, 20))
    up = block("T4", (3, 3, 1), (across, 0, height), (across + 40, 40, height + 20))
    model = joined({"low": low, "up": up}, {"twice": ("low_z1", "low_z1")})
    swap = {"up_z0": model.facets_of("up_z0")[:, ::-1]} if turned else {}
    return eqx.tree_at(lambda m: m.facet_sets, model, {**model.facet_sets, **swap})


@pytest.mark.parametrize(
    ("options", "sides", "told"),
    [
        ({"height": 30.0}, ("up_z0", "low_z1"), r"100.0 % .* at \[.* 30. +\] mm: the other surface is 10 mm away"),
        ({"turned": True}, ("up_z0", "low_z1"), "the other surface faces the same way there"),
        ({"across": 20.0}, ("up_z0", "low_z1"), r"nothing of the other surface lies along its normal"),
        ({"across": 90.0}, ("low_z1", "up_z0"), r"its nearest corner is 78.9 mm away"),
        ({}, ("up_x1", "low_z1"), "nothing of the other surface lies along its normal"),
        ({}, ("up_z0", "twice"), r"facet \d+ at .* mm has the other surface opposite 2.0 times"),
    ],
    ids=["far apart", "the same way", "beside", "far beside", "across", "named twice"],
)
def test_surfaces_that_do_not_meet_are_told_apart(options: dict, sides: tuple[str, str], told: str) -> None:
    """What is there instead, where, and what to do."""
    with pytest.raises(SolverError, match=told):
        stood(**options).problem(supports=[Fixed("low_z0")], contacts=[Tie(*sides)])


def without(model: Model, name: str, missing: int) -> Model:
    """With a facet left out of a set."""
    kept = np.delete(model.facets_of(name), missing, axis=0)
    return eqx.tree_at(lambda m: m.facet_sets, model, {**model.facet_sets, name: kept})


@pytest.mark.parametrize(("kind", "missing"), [("H8", 0), ("H8", 40), ("T4", 3), ("T4", 87)])
def test_a_facet_without_a_partner_is_told(kind: str, missing: int) -> None:
    """One of 100 or 200, at the rim or within, all of whose nodes have partners; it may be left free by word."""
    low, up = (block(kind, (10, 10, 1), (0, 0, z), (40, 40, z + 20)) for z in (0, 20))
    model = joined({"low": low, "up": up})
    place = 1e3 * np.asarray(model.points)[model.facets_of("low_z1")[missing]].mean(axis=0)
    holed = without(model, "low_z1", missing)
    with pytest.raises(SolverError, match=r"1 facet has more than half of its area with nothing opposite") as told:
        Tie("up_z0", "low_z1").resolved(holed)
    at = np.array(str(told.value).split("[")[1].split("]")[0].split(), float)
    assert np.abs(at - place).max() < 0.01
    areas = []
    for one in (model, holed):
        table = Tie("up_z0", "low_z1", uncovered="free").resolved(one).table
        areas.append(float(table.gram[:, : table.local.shape[1], : table.local.shape[1]].sum()))  # pyright: ignore
    assert areas[0] == pytest.approx(0.04**2)
    assert 0.004 < 1 - areas[1] / areas[0] < 0.012


def test_what_overhangs_may_be_left_untied() -> None:
    """Half of a block beyond the other's edge: the rest is tied, as closely as asked."""
    tie = Tie("up_z0", "low_z1", uncovered="free")
    problem = stood(across=20.0).problem(
        supports=[Fixed("low_z0")], loads=[Traction("up_z1", (0.0, 0.0, -10.0))], contacts=[tie]
    )
    solution = solve(problem).require_converged()
    (tied,) = solution.problems[-1].contacts
    jumps = tied.mean_jumps(problem.model, np.asarray(solution.final.displacement))
    over = np.asarray(problem.model.points)[tied.table.slave_nodes, 0] > 0.04 + 0.04 / 3
    assert over.sum() >= 4
    assert np.abs(jumps[over]).max() == 0.0
    assert np.abs(jumps).max() <= tied.jump


def test_outlines_meshed_differently_are_tied() -> None:
    """On the rims of two rings the chords of one reach beyond those of the other: all of some thin facets there."""
    lower, upper = ring("H8", (2, 6, 1), (10.0, 20.0)), ring("H8", (8, 18, 1), (10.0, 20.0))
    points = np.asarray(upper.points)
    radius = np.linalg.norm(points[:, :2], axis=1)
    layered = 0.01 * (2.0 - (1.0 - (radius - 0.01) / 0.01) ** 3)  # cells of 0.02 and 0.14 mm outside
    stretch = np.stack([layered / radius, layered / radius, np.ones(len(radius))], axis=1)
    upper = eqx.tree_at(lambda m: m.points, upper, jnp.asarray(points * stretch + [0.0, 0.0, 0.01]))
    model = joined({"low": lower, "up": upper})
    table = Tie("up_z0", "low_z1").resolved(model).table
    assert table is not None
    assert len(model.facets_of("up_z0")) - len(np.unique(table.nodes[:, :4], axis=0)) >= 6


def test_a_choice_that_is_none_is_told() -> None:
    with pytest.raises(SolverError, match=r"uncovered='no' is no choice. Give one of refuse, free"):
        Tie("a", "b", uncovered="no")  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("gap", [0.0, 0.5])
def test_facets_prescribed_apart_are_refused_across_a_gap_too(gap: float) -> None:
    """The solid that carries the gap has free nodes; a turn that both sides share is no jump."""
    model = joined(
        {
            "low": block("H8", (2, 2, 1), (0, 0, 0), (40, 40, 20)),
            "up": block("T4", (3, 3, 1), (0, 0, 20 + gap), (40, 40, 40 + gap)),
        }
    )
    tie = Tie("up_z0", "low_z1", reach=2e-3)
    torn = model.problem(
        supports=[Fixed("low_z1")], prescribed=[Prescribed("up_z0", (0.0, 0.0, 0.005))], contacts=[tie]
    )
    with pytest.raises(SolverError, match="mm away from the held nodes of 'low_z1' that it is tied to"):
        solve(torn)
    turn = np.array([[0.0, -0.01, 0.0], [0.01, 0.0, -0.01], [0.0, 0.01, 0.0]])
    turned = [Prescribed(name, lambda x: x @ turn.T) for name in ("low_z1", "up_z0")]
    assert solve(model.problem(prescribed=turned, contacts=[tie])).converged
