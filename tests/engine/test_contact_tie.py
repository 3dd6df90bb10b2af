"""Tied meshes that do not match: the patch test, exact cutting, bad input."""

from __future__ import annotations

import tracemalloc

import equinox as eqx
import numpy as np
import pytest
from bodies import box
from scipy import sparse
from test_contact_tissue import two_blocks

from preop.engine.tissue import fields
from preop.engine.tissue.contact import Tie, clipping, overlap
from preop.engine.tissue.contact.clipping import near_pairs, segments
from preop.engine.tissue.contact.tie_multipliers import Multipliers
from preop.engine.tissue.loads import Gravity
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.imaging.errors import SolverError
from preop.meshing.mesh import TetMesh

GRADIENT = np.array([[0.05, 0.02, -0.02], [0.01, -0.04, 0.03], [-0.015, 0.035, 0.06]])


@pytest.mark.parametrize("element", ["T4", "T10"])
def test_patch_across_tied_meshes(element: str) -> None:
    """A linear displacement prescribed on the outside is found on both sides of the tie, to 1e-8."""
    model = two_blocks((2, 2, 1), (3, 3, 1), element, poisson=0.3)
    points = np.asarray(model.points)
    outside = ((points <= 1e-9) | (points >= 0.04 - 1e-9)).any(axis=1)
    model = eqx.tree_at(
        lambda m: m.node_sets, model, {**model.node_sets, "outside": np.flatnonzero(outside).astype(np.int32)}
    )
    free = ~outside & (np.abs(points[:, 2] - 0.02) < 1e-9)
    assert free.sum() >= 5
    problem = model.problem(
        prescribed=[Prescribed("outside", lambda x: x @ GRADIENT.T)], contacts=[Tie("up_z0", "low_z1", jump=1e-14)]
    )
    solution = solve(problem, tolerance=1e-13)
    stress = fields.cauchy_stress(model, solution.final)
    assert np.ptp(stress, axis=0).max() < 1e-8 * np.abs(stress).max()
    assert np.abs(np.asarray(solution.final.displacement) - points @ GRADIENT.T).max() < 1e-10 * 0.04


def test_a_tied_body_stretches_as_one() -> None:
    """ν = 0, pulled: a uniform stress with free sides; the tie carries it, and its forces cancel."""
    model = two_blocks((2, 2, 1), (3, 3, 1), "T4")
    tie = Tie("up_z0", "low_z1", jump=1e-12)
    problem = model.problem(
        supports=[Fixed("low_z0", "z"), Fixed("low_x0", "x"), Fixed("low_y0", "y")],
        prescribed=[Prescribed("up_z1", (0.0, 0.0, 0.004), components="z")],
        contacts=[tie],
    )
    solution = solve(problem, tolerance=1e-12)
    stress = fields.cauchy_stress(model, solution.final)[:, 2, 2]
    stretch = 1.1
    assert np.abs(stress / (5e3 * (stretch - 1 / stretch)) - 1).max() < 1e-6
    force = fields.force_of(solution.problems[-1], solution.final, solution.problems[-1].contacts[0])
    assert np.abs(force).max() < 1e-12


def test_overlap_is_cut_exactly() -> None:
    """Two triangulations of one square, one turned: the pieces cover it once, and integrate x² y over it exactly."""
    rng = np.random.default_rng(6)
    from scipy.spatial import Delaunay

    def mesh(count: int, flip: bool) -> np.ndarray:
        places = np.vstack([[[0, 0], [1, 0], [1, 1], [0, 1]], rng.uniform(0, 1, (count, 2))])
        cells = Delaunay(places).simplices
        corners = np.concatenate([places, np.zeros((len(places), 1))], axis=1)[cells]
        turned = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] > 0
        return np.where((turned == flip)[:, None, None], corners[:, ::-1], corners)

    found = segments(mesh(20, False), mesh(30, True), 0.1)
    a, b, c = (found.corners[:, k] for k in range(3))
    areas = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
    assert areas.sum() == pytest.approx(1.0, abs=1e-12)
    middles = [(a + b) / 2, (b + c) / 2, (c + a) / 2]
    assert sum((areas / 3) @ (m[:, 0] * m[:, 1]) for m in middles) == pytest.approx(0.25, abs=1e-12)


def sheet(cells: int, *, up: bool) -> tuple[np.ndarray, np.ndarray]:
    """The unit square in two triangles per cell: points, and nodes facing up or down."""
    side = np.linspace(0.0, 1.0, cells + 1)
    points = np.stack([*np.meshgrid(side, side, indexing="ij"), np.zeros((cells + 1, cells + 1))], axis=2)
    low = np.arange((cells + 1) ** 2).reshape(cells + 1, cells + 1)[:-1, :-1].ravel()
    square = np.stack([low, low + cells + 1, low + cells + 2, low + 1], axis=1)
    facets = np.concatenate([square[:, [0, 1, 2]], square[:, [0, 2, 3]]])
    return points.reshape(-1, 3), facets if up else facets[:, ::-1]


def test_a_large_facet_is_no_neighbour_of_all_facets() -> None:
    """Pairs are those whose circles meet, each with its own radius; a large facet beside adds no others."""
    points, facets = sheet(12, up=True)
    small = points[facets]
    large = np.array([[[1.0, 0, 0], [1.0, 1.0, 0], [21.0, 0.5, 0]]])
    sides = small, np.concatenate([small[:, ::-1] + [0.0, 0.0, 0.01], large])
    found = np.concatenate(list(near_pairs(*sides, 0.02)))
    middle = [side.mean(axis=1, keepdims=True) for side in sides]
    radius = [np.linalg.norm(side - at, axis=2).max(axis=1) for side, at in zip(sides, middle, strict=True)]
    apart = np.linalg.norm(middle[0] - middle[1][:, 0], axis=2)
    expected = np.argwhere(apart <= 0.02 + radius[0][:, None] + radius[1])
    assert sorted(map(tuple, found.tolist())) == sorted(map(tuple, expected.tolist()))
    assert len(found) < 30 * len(small)


def test_batches_add_up_to_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    (points, first), (others, second) = sheet(6, up=True), sheet(8, up=False)
    places, second = np.concatenate([points, others]), second + len(points)
    found = []
    for many, few in ((100_000, 100_000), (50, 7)):
        monkeypatch.setattr(clipping, "BATCH", many)
        monkeypatch.setattr(clipping, "LOOKED_UP", few)
        monkeypatch.setattr(overlap, "BATCH", few)
        cut = segments(places[first], places[second], 0.01)
        (one,) = overlap.overlaps(places, (first, second), cut, [], "a tie")
        total = np.zeros((len(places), len(places)))
        nodes = np.concatenate([one.slave, one.master], axis=1)
        np.add.at(total, (nodes[:, :, None], nodes[:, None]), one.gram)
        found.append(total)
    assert found[0].sum() == pytest.approx(4.0, abs=1e-13)  # ones on both sides, over the unit square
    assert np.abs(found[0] - found[1]).max() < 1e-15


def test_products_take_little_more_memory_than_what_is_kept() -> None:
    """Clipping 44,000 segments, and products of pairs of facets: at once they took 26 and 4 times what is kept."""
    (points, first), (others, second) = sheet(50, up=True), sheet(65, up=False)
    places, second = np.concatenate([points, others]), second + len(points)
    tracemalloc.start()
    cut = segments(places[first], places[second], 0.01)
    kept, clipped = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    (one,) = overlap.overlaps(places, (first, second), cut, [], "a tie")
    _, multiplied = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(cut.slave) > 40_000
    assert clipped < 6 * kept
    assert multiplied - kept < 3 * one.gram.nbytes


def test_a_surface_without_a_partner_is_told() -> None:
    model = two_blocks((1, 1, 1), (1, 1, 1), "T4")
    with pytest.raises(SolverError, match="nothing opposite"):
        model.problem(supports=[Fixed("low_z0")], contacts=[Tie("up_z1", "low_z0")])


def blocks(corners: dict[str, tuple], element: str) -> Model:
    """Blocks with meshes of their own, by (low corner, high corner, cells); sets `a_x0` … of each, in mm."""
    parts, facets, count = [], {}, 0
    for name, (low, high, cells) in corners.items():
        span = np.subtract(high, low)
        part = box(cells, place=lambda u, low=low, span=span: u * span + low)
        facets |= {f"{name}_{key}": value + count for key, value in part.facet_sets.items()}
        parts.append((part.points, part.tetrahedra + count))
        count += len(part.points)
    points, tets = (np.vstack([part[k] for part in parts]) for k in (0, 1))
    mesh = TetMesh(points, tets, np.ones(len(tets), np.int32), {1: "body"}, facet_sets=facets)
    return Model.from_mesh(mesh, {"*": NeoHookean.from_young(1e4, 0.3)}, element=element)


def four(element: str = "T4") -> Model:
    """Two by two around the edge x = y = 20 mm, 10 to 16 mm deep along z, no two meshes alike."""
    return blocks(
        {
            "a": ((0, 0, 0), (20, 20, 16), (2, 2, 2)),
            "b": ((20, 0, 0), (40, 20, 16), (3, 3, 3)),
            "c": ((0, 20, 0), (20, 40, 16), (2, 3, 2)),
            "d": ((20, 20, 0), (40, 40, 16), (2, 2, 4)),
        },
        element,
    )


def three() -> Model:
    """Two blocks side by side on a wider one; all three meet along x = 16 mm, y = 20 mm."""
    return blocks(
        {
            "a": ((0, 0, 0), (40, 20, 16), (3, 2, 2)),
            "b": ((0, 20, 0), (16, 40, 16), (3, 3, 3)),
            "c": ((16, 20, 0), (40, 40, 16), (3, 2, 2)),
        },
        "T4",
    )


FACES = {"ab": ("a_x1", "b_x0"), "bd": ("b_y1", "d_y0"), "dc": ("d_x0", "c_x1"), "ca": ("c_y0", "a_y1")}


def around(order: str) -> list[Tie]:
    """Ties of the four blocks, `ab` led by a, `ba` by b."""
    pairs = [FACES.get(one) or FACES[one[::-1]][::-1] for one in order.split()]
    return [Tie(*pair, jump=1e-13) for pair in pairs]


def patch(model: Model, ties: list[Tie]) -> tuple[Problem, np.ndarray]:
    """A linear displacement prescribed outside; the problem, and which nodes are free."""
    points = np.asarray(model.points)
    outside = ((points <= points.min(axis=0) + 1e-9) | (points >= points.max(axis=0) - 1e-9)).any(axis=1)
    named = {**model.node_sets, "outside": np.flatnonzero(outside).astype(np.int32)}
    model = eqx.tree_at(lambda m: m.node_sets, model, named)
    return model.problem(prescribed=[Prescribed("outside", lambda x: x @ GRADIENT.T)], contacts=ties), ~outside


@pytest.mark.parametrize(
    ("element", "order"),
    [("T4", "ab ac db dc"), ("T4", "ab bd dc ca"), ("T4", "ba bd ca cd"), ("T10", "ab ac db dc")],
    ids=["two lead twice", "in a circle", "the others lead", "T10"],
)
def test_patch_around_a_cross_point(element: str, order: str) -> None:
    """Four blocks around one edge, whoever leads: uniform stress, and the linear displacement everywhere."""
    passes(*patch(four(element), around(order)), (0.02, 0.02), 7)


def passes(problem: Problem, free: np.ndarray, edge: tuple[float, float], shared: int) -> None:
    """Uniform stress and a linear displacement, with so many free nodes along the edge (x, y) of all blocks."""
    points = np.asarray(problem.model.points)
    assert (free & (np.abs(points[:, :2] - edge) < 1e-9).all(axis=1)).sum() >= shared
    solution = solve(problem, tolerance=1e-12)
    stress = fields.cauchy_stress(problem.model, solution.final)
    assert np.ptp(stress, axis=0).max() < 1e-7 * np.abs(stress).max()
    assert np.abs(np.asarray(solution.final.displacement) - points @ GRADIENT.T).max() < 1e-9 * 0.04


@pytest.mark.parametrize("lead", ["b_x1 c_x0", "c_x0 b_x1"])
def test_patch_of_three_blocks_that_share_an_edge(lead: str) -> None:
    """Two lead on the third, and one of them on the other: its edge leads twice, that of the other leads and is led."""
    ties = [Tie("b_y0", "a_y1", jump=1e-13), Tie("c_y0", "a_y1", jump=1e-13), Tie(*lead.split(), jump=1e-13)]
    passes(*patch(three(), ties), (0.016, 0.02), 3)


@pytest.mark.parametrize("order", ["ab ac db dc", "ab bd dc ca"])
def test_four_tied_blocks_bend_as_one(order: str) -> None:
    """A cantilever of four T10 blocks hangs further than one mesh of its coarsest cells, less than one of its finest;
    where all meet they part by less than these two differ."""
    coarse, fine = (blocks({"a": ((0, 0, 0), (40, 40, 16), cells)}, "T10") for cells in ((4, 4, 2), (6, 6, 4)))
    tips, parted = [], []
    for model, ties in ((coarse, []), (four("T10"), around(order)), (fine, [])):
        points = np.asarray(model.points)
        base = np.flatnonzero(points[:, 1] < 1e-9).astype(np.int32)
        model = eqx.tree_at(lambda m: m.node_sets, model, {**model.node_sets, "base": base})
        ties = [Tie(tie.facets, tie.other) for tie in ties]
        problem = model.problem(loads=[Gravity((0.0, 0.0, -30.0))], supports=[Fixed("base")], contacts=ties)
        moved = np.asarray(solve(problem).final.displacement)
        tips.append(-moved[points[:, 1] > 0.04 - 1e-9, 2].mean())
        met = (np.abs(points[:, :2] - 0.02) < 1e-9).all(axis=1) & (points[:, 2] < 1e-9)
        parted.append(np.ptp(moved[met], axis=0).max())
    assert tips[0] < tips[1] < tips[2]
    assert parted[1] < tips[2] - tips[0]


def test_multipliers_of_shared_nodes_keep_constants() -> None:
    """Nodes shared with other ties follow their neighbours, ring by ring; where all are shared one constant is left."""
    mass = sparse.diags([1.0, 4.0, 1.0], [-1, 0, 1], shape=(6, 6)).tocsr()
    constant, nobody = np.asarray(mass @ np.full(6, 3.0)), np.zeros(6, bool)
    for shared in (np.arange(6) > 1, np.arange(6) % 2 == 0, ~nobody):
        space = Multipliers(mass, nobody, shared)
        assert space.project(constant) == pytest.approx(np.full(6, 3.0))
        assert space.extension.shape[1] == max((~shared).sum(), 1)
    assert Multipliers(mass, ~nobody, nobody).project(constant) == pytest.approx(0.0)


def test_over_constrained_ties_are_named() -> None:
    """Facets on the first side of two ties, and tied nodes that are prescribed apart: named before any solve."""
    model = two_blocks((1, 1, 1), (2, 2, 1), "T4")
    twice = [Tie("up_z0", "low_z1"), Tie("up_z0", "low_z1", penalty=1e6)]
    with pytest.raises(SolverError, match=r"8 facets are tied twice, the first at .* mm, also by the tie of 'up_z0'"):
        model.problem(supports=[Fixed("low_z0")], contacts=twice)
    torn = model.problem(
        supports=[Fixed("low_z1")],
        prescribed=[Prescribed("up_z0", (0.0, 0.0, 0.002))],
        contacts=[Tie("up_z0", "low_z1")],
    )
    with pytest.raises(SolverError, match=r"prescribed 0.25 mm away from the held nodes of 'low_z1' .* at 12.5 %"):
        solve(torn)
