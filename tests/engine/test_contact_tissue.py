"""Contact between tissues: momentum, an even pressure across meshes that do not match, folds, friction, gradients."""

from __future__ import annotations

from functools import cache

import bodies
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue import fields, march
from preop.engine.tissue.contact import TissueContact, contact_state
from preop.engine.tissue.contact.closest import closest
from preop.engine.tissue.contact.crossing_surface import buried, crossed
from preop.engine.tissue.contact.look import Look
from preop.engine.tissue.contact.watch import Watch
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.residual import external_force, residual
from preop.engine.tissue.solution import ResultCode, Solution
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.imaging.errors import SolverError
from preop.meshing.mesh import HexMesh, TetMesh


def two_blocks(lower: tuple[int, int, int], upper: tuple[int, int, int], element: str, poisson: float = 0.0) -> Model:
    """One on the other, 40 × 40 × 20 mm each, meshes of their own; sets `low_…` and `up_…`."""
    size = np.array([40.0, 40.0, 20.0])
    make, kind, cells = (
        (bodies.bricks, HexMesh, "hexahedra") if element == "H8" else (bodies.box, TetMesh, "tetrahedra")
    )
    parts = [make(lower, size=tuple(size)), make(upper, place=lambda u: u * size + [0, 0, 20.0])]
    count = len(parts[0].points)
    mesh = kind(
        np.vstack([part.points for part in parts]),
        np.vstack([getattr(parts[0], cells), getattr(parts[1], cells) + count]),
        np.concatenate([part.region for part in parts]),
        {1: "body"},
        facet_sets={
            f"{name}_{key}": value + shift
            for name, part, shift in (("low", parts[0], 0), ("up", parts[1], count))
            for key, value in part.facet_sets.items()
        },
    )
    return Model.from_mesh(mesh, {"*": NeoHookean.from_young(1e4, poisson)}, element=element)


def pressed(model: Model, contact: TissueContact, shift: tuple[float, float, float] = (0.0, 0.0, -0.002)) -> Problem:
    """The upper block's top moved, both free to widen."""
    sides = [Fixed(f"{block}_{axis}0", axis) for block in ("low", "up") for axis in "xy"]
    if any(shift[:2]):
        sides = []
    supports = [Fixed("low_z0", "z" if sides else "xyz"), *sides]
    held = Prescribed("up_z1", shift, components="z" if sides else "xyz")
    return model.problem(supports=supports, prescribed=[held], contacts=[contact])


def balance(problem: Problem, displacement: np.ndarray) -> tuple[float, float]:
    """Sums of contact forces and of their moments, over the sums of their sizes."""
    found = np.asarray(external_force(jnp.asarray(displacement), problem, 1.0))
    place = np.asarray(problem.model.points) + displacement
    moments = np.cross(place, found)
    size = np.abs(found).sum()
    assert size > 0.1
    return float(np.abs(found.sum(axis=0)).max() / size), float(
        np.abs(moments.sum(axis=0)).max() / np.abs(moments).sum()
    )


@pytest.mark.parametrize(("element", "refine", "limit"), [("T4", 1, 0.03), ("T4", 4, 0.005), ("T10", 2, 0.03)])
def test_pressure_across_meshes_that_do_not_match(element: str, refine: int, limit: float) -> None:
    """ν = 0: the stress is that of the exact strain, but for how the points of one side see the other's nodes."""
    model = two_blocks((2, 2, 1), (3, 3, 1), element)
    problem = pressed(model, TissueContact("up_z0", "low_z1", refine=refine))
    solution = solve(problem, tolerance=1e-10)
    stress = fields.cauchy_stress(model, solution.final)[:, 2, 2]
    solved = solution.problems[-1]
    depth = -min(float(part.gap.min()) for part in contact_state(solved, solution.final, solved.contacts[0]))
    stretch = 1 - (0.002 - depth) / 0.04
    exact = 1e4 / 2 * (stretch - 1 / stretch)  # μ (λ² − 1)/J with J = λ
    assert np.abs(stress - exact).max() < limit * abs(exact)
    assert max(balance(solved, np.asarray(solution.final.displacement))) < 1e-14


@pytest.mark.parametrize(
    ("element", "friction"),
    [("T4", 0.0), ("T4", 0.4), pytest.param("T10", 0.4, marks=[pytest.mark.slow, pytest.mark.long])],
)
def test_forces_and_moments_cancel_away_from_balance(element: str, friction: float) -> None:
    """At a random displacement, with friction and a history of slip: linear and angular momentum to round-off."""
    model = two_blocks((1, 1, 1), (2, 2, 1), element)
    rng = np.random.default_rng(3)
    moved = 1e-3 * rng.standard_normal(model.points.shape) + [0, 0, 0]
    before = 0.8 * moved + np.array([5e-4, 2e-4, 0]) * (np.asarray(model.points)[:, 2:] > 0.02)
    problem = model.problem(
        supports=[Fixed("low_z0"), Fixed("up_z1")],
        contacts=[TissueContact("up_z0", "low_z1", friction=friction, both=True)],
    )
    problem = problem.begun().advanced(before, 1.0).bound_at(moved, 1.0)
    assert max(balance(problem, moved)) < 1e-13


def test_the_assembled_tangent_is_the_slope_of_the_residual() -> None:
    """Contact with friction included: K d of the host against a derivative of the pure function."""
    from preop.engine.tissue.host_system import HostSystem
    from preop.engine.tissue.system import Timer

    model = two_blocks((1, 1, 1), (2, 2, 1), "T4")
    rng = np.random.default_rng(4)
    moved, direction = (1e-3 * rng.standard_normal(model.points.shape) for _ in range(2))
    problem = model.problem(
        supports=[Fixed("low_z0"), Fixed("up_z1")], contacts=[TissueContact("up_z0", "low_z1", friction=0.3)]
    ).begun()
    bound = problem.bound_at(moved, 1.0)
    free = jnp.asarray(~problem.held() * 1.0)
    _, slope = jax.jvp(lambda u: residual(u, bound, 1.0), (jnp.asarray(moved),), (jnp.asarray(direction) * free,))
    product = HostSystem(problem, Timer()).linearize(moved, 1.0).product(direction * np.asarray(free))
    assert np.abs((product - np.asarray(slope)) * np.asarray(free)).max() < 1e-11 * np.abs(product).max()


def test_blocks_stick_then_slide() -> None:
    """Drawn along: shear grows until it is μ times the pressure at every point, and the base bears it."""
    model, friction = two_blocks((2, 2, 1), (2, 2, 1), "T4"), 0.2
    contact = TissueContact("up_z0", "low_z1", friction=friction)
    problem = model.problem(
        supports=[Fixed("low_z0")],
        prescribed=[
            Prescribed("up_z1", (0.0, 0.0, -0.002), components="z", during=(0.0, 0.5)),
            Prescribed("up_z1", (0.006, 0.0, 0.0), components="xy", during=(0.5, 1.0)),
        ],
        contacts=[contact],
    )
    solution = solve(problem, load_steps=[0.25, 0.5, 0.53, 1.0])
    shares = []
    for state, solved in zip(solution.require_converged().states, solution.problems, strict=True):
        (found,) = contact_state(solved, state, solved.contacts[0])
        pressed_on = found.pressure > 0
        along = np.sqrt(np.maximum((found.traction**2).sum(axis=1) - found.pressure**2, 0.0))
        shares.append(along[pressed_on] / found.pressure[pressed_on])
        force = (found.area[:, None] * found.traction).sum(axis=0)  # on the upper block, so from the lower one's base
        assert force == pytest.approx(fields.reaction(solved, state, "low_z0"), rel=1e-5, abs=1e-7)
    assert shares[1].max() < 1e-3
    assert 0.02 < shares[2].mean() < 0.9 * friction
    assert shares[3] == pytest.approx(np.full(len(shares[3]), friction), rel=1e-6)


CLOSING = 2.35e-3
"""m: how far the outer edges of the ring's ends are moved."""
DEEPEST = 5e-4
"""m: depth that the penalty may leave."""


def letter_c() -> Model:
    """A bar bent nearly to a ring: radius 20 to 26 mm, open by 10° around the x axis; its whole skin is one set."""

    def place(unit: np.ndarray) -> np.ndarray:
        angle = np.deg2rad(5.0 + 350.0 * (1.0 - unit[:, 0]))
        radius = 20.0 + 6.0 * unit[:, 1]
        return np.stack([radius * np.cos(angle), radius * np.sin(angle), 6.0 * unit[:, 2]], axis=1)

    mesh = bodies.box((16, 2, 1), place=place)
    skin = np.concatenate([mesh.facet_sets[f"{a}{v}"] for a in "xyz" for v in (0, 1)])
    mesh = TetMesh(mesh.points, mesh.tetrahedra, mesh.region, mesh.region_names, {**mesh.facet_sets, "skin": skin}, {
        "back": np.flatnonzero(mesh.points[:, 0] < -19.0),
        "upper": np.flatnonzero((mesh.points[:, 0] > 24.0) & (mesh.points[:, 1] > 0)),
        "lower": np.flatnonzero((mesh.points[:, 0] > 24.0) & (mesh.points[:, 1] < 0))})  # fmt: skip
    return Model.from_mesh(mesh, {"body": NeoHookean.from_young(1e4, 0.3)}, element="T4")


@pytest.mark.slow
def test_a_ring_closes_on_itself() -> None:
    """Open, nothing of the skin touches; closed, its ends press on each other, and only they.

    Their outer edges, 2.27 mm from the plane between them, are led across it by 0.08 mm; what touches lies no further
    from it than that and the depth that the penalty leaves.
    """
    model = letter_c()
    squeeze = [
        Prescribed(name, (0.0, way * CLOSING, 0.0), components="y") for name, way in (("upper", -1), ("lower", 1))
    ]
    contact = TissueContact("skin")
    problem = model.problem(supports=[Fixed("back")], prescribed=squeeze, contacts=[contact])
    solution = solve(problem, load_steps=[0.4, 0.8, 1.0])
    forces = []
    for state, solved in zip(solution.require_converged().states, solution.problems, strict=True):
        (found,) = contact_state(solved, state, solved.contacts[0])
        forces.append(float((found.pressure * found.area).sum()))
        assert found.gap.min(initial=0.0) > -DEEPEST
        touching = found.position[found.pressure > 0]
        assert (touching[:, 0] > 0.015).all()
        assert np.abs(touching[:, 1]).max(initial=0.0) < CLOSING - 0.026 * np.sin(np.deg2rad(5.0)) + DEEPEST
    assert forces[0] == 0.0
    assert forces[-1] > 1e-3
    assert max(balance_of(solution.problems[-1], solution.final)) < 1e-12


def balance_of(problem: Problem, state) -> tuple[float, float]:
    found = np.asarray(external_force(jnp.asarray(state.displacement), problem, 1.0))
    moments = np.cross(np.asarray(problem.model.points) + np.asarray(state.displacement), found)
    return (
        float(np.abs(found.sum(axis=0)).max() / np.abs(found).sum()),
        float(np.abs(moments.sum(axis=0)).max() / np.abs(moments).sum()),
    )


def test_nearest_places_on_curved_triangles() -> None:
    """No place of a fine grid of the facet is nearer; on the face the way there is perpendicular to it."""
    from preop.engine.tissue.contact import triangle

    rng = np.random.default_rng(8)
    flat = np.array([[0, 0, 0], [1, 0, 0], [0.1, 1, 0], [0.5, 0, 0], [0.55, 0.5, 0], [0.05, 0.5, 0]], float)
    facets = flat + 0.06 * rng.standard_normal((60, 6, 3))
    points = np.array([0.35, 0.33, 0.0]) + rng.uniform(-0.6, 0.6, (60, 3)) * [1, 1, 0.4]
    found = closest(points, facets)
    steps = np.linspace(0, 1, 81)
    grid = np.array([(x, y) for x in steps for y in steps if x + y <= 1 + 1e-12])
    places = np.einsum("ga,nai->ngi", triangle.shape(np, 6, grid), facets)
    best = np.linalg.norm(points[:, None] - places, axis=2).min(axis=1)
    assert (found.distance <= best + 1e-12).all()
    assert (found.distance >= best - 0.02).all()
    inside = found.feature == 6
    assert inside.sum() > 10
    along = np.einsum("nad,nai->ndi", triangle.slope(np, 6, found.place), facets)
    assert np.abs(np.einsum("ndi,ni->nd", along, points - found.point)[inside]).max() < 1e-12


def test_gradients_pass_through_contact() -> None:
    """d(force)/d(penalty), d/d(modulus) and d/d(node positions) at the pairs found, against new solves."""
    from preop.engine.tissue.implicit import gradient

    model = two_blocks((1, 1, 1), (2, 2, 1), "T4", poisson=0.3)
    problem = pressed(model, TissueContact("up_z0", "low_z1"))
    top = model.nodes_of("low_z1")

    def lowest(u: jax.Array, _: Problem) -> jax.Array:
        return jnp.sum(u[top, 2] * jnp.arange(1.0, len(top) + 1))

    solution = solve(problem, tolerance=1e-12)
    slope = gradient(lowest, solution.problems[-1], solution.final)

    def value(posed: Problem) -> float:
        return float(lowest(solve(posed, tolerance=1e-12).final.displacement, posed))

    places = (
        (lambda p: p.contacts[0].penalty, None),
        (lambda p: p.model.blocks[0].material.shear_modulus, 3),
        (lambda p: p.model.points, (int(top[0]), 2)),
    )
    for where, index in places:
        base = np.asarray(where(problem))
        scale = float(np.abs(base).max())
        step = 1e-5 * scale
        shifts = []
        for sign in (1, -1):
            changed = base.copy() if index is not None else base + sign * step
            if index is not None:
                changed[index] += sign * step
            shifts.append(value(eqx.tree_at(where, problem, jnp.asarray(changed))))
        numeric = (shifts[0] - shifts[1]) / (2 * step)
        exact = np.asarray(where(slope))
        assert float(exact if index is None else exact[index]) == pytest.approx(numeric, rel=1e-5)


def test_what_cannot_be_searched_is_told() -> None:
    model = two_blocks((1, 1, 1), (1, 1, 1), "T4")
    supports = [Fixed("low_z0"), Fixed("up_z1")]
    problem = model.problem(supports=supports, contacts=[TissueContact("up_z0", "low_z1")])
    with pytest.raises(SolverError, match="bound_at"):
        residual(jnp.zeros_like(model.points), problem)
    with pytest.raises(SolverError, match="not held"):
        model.problem(supports=[Fixed("low_z0")])


def test_both_sides_prescribed_into_each_other_are_named() -> None:
    """Blocks whose touching faces are driven 1 mm into each other: the node, the depth, the load, before any solve."""
    model = two_blocks((1, 1, 1), (1, 1, 1), "T4")
    driven = [Prescribed("up_z0", (0.0, 0.0, -0.002)), Fixed("low_z1")]
    problem = model.problem(
        supports=[driven[1]], prescribed=[driven[0]], contacts=[TissueContact("up_z0", "low_z1", penalty=1e6)]
    )
    with pytest.raises(SolverError, match=r"node \d+ at .* mm inside held nodes of 'low_z1' at .* one side only"):
        solve(problem)
    apart = eqx.tree_at(lambda p: p.prescribed[0].displacement, problem, jnp.asarray((0.0, 0.0, 0.002)))
    assert solve(apart).converged


@pytest.mark.parametrize(
    ("lower", "upper", "refine", "limit"), [((2, 2, 1), (2, 2, 1), 1, 1e-7), ((2, 2, 1), (3, 3, 1), 4, 0.01)]
)
def test_pressure_across_hexahedra(lower: tuple, upper: tuple, refine: int, limit: float) -> None:
    """Faces that match pass an even pressure on exactly, others as closely as tetrahedra; sums to round-off."""
    model = two_blocks(lower, upper, "H8")
    problem = pressed(model, TissueContact("up_z0", "low_z1", refine=refine))
    solution = solve(problem, tolerance=1e-10)
    solved = solution.problems[-1]
    stress = fields.cauchy_stress(model, solution.final)[:, 2, 2]
    depth = -min(float(part.gap.min()) for part in contact_state(solved, solution.final, solved.contacts[0]))
    stretch = 1 - (0.002 - depth) / 0.04
    exact = 1e4 / 2 * (stretch - 1 / stretch)
    assert np.abs(stress - exact).max() < limit * abs(exact)
    assert max(balance(solved, np.asarray(solution.final.displacement))) < 1e-14


@cache
def dropped(steps: int) -> tuple[Problem, Solution]:
    """A block pressed 6 mm down from 1 mm above another, of which it sees half of that (`reach`)."""
    low = bodies.box((2, 2, 2), size=(20.0, 20.0, 20.0))
    up = bodies.box((2, 2, 1), place=lambda u: u * [10.0, 10.0, 5.0] + [5.0, 5.0, 21.0])
    model = Model.from_mesh(bodies.two_bodies(low, up), {"*": NeoHookean.from_young(1e4, 0.3)})
    problem = model.problem(
        supports=[Fixed("low_z0")],
        prescribed=[Prescribed("up_z1", (0.0, 0.0, -0.006))],
        contacts=[TissueContact("up_z0", "low_z1", reach=2.5e-3)],
    )
    return problem, solve(problem, load_steps=steps, check_stability=False)


def test_a_step_beyond_the_reach_does_not_pass_through() -> None:
    """In one step more than twice as long as the reach the same balance is found as in ten that are shorter."""
    forces = []
    for steps in (1, 10):
        _, solution = dropped(steps)
        forces.append(-fields.reaction(solution.problems[-1], solution.final, "up_z1")[2])
    assert forces[0] == pytest.approx(forces[1], rel=1e-6)
    assert forces[0] > 0.1


def test_a_body_inside_another_is_no_balance(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where Newton's method may go as far as it likes, what it finds within the other body is refused by name."""
    monkeypatch.setattr(Look, "stride", lambda *_: 1.0)
    monkeypatch.setattr(march, "MAX_CUTBACKS", 0)
    problem, _ = dropped(1)
    solution = solve(problem, check_stability=False)
    assert solution.result is ResultCode.passed_through
    assert "contact of 'up_z0' with 'low_z1'" in solution.where


def closed_by(points: np.ndarray, share: float) -> np.ndarray:
    """Displacement (nodes, 3) that bends the ring's ends on, by a share of 175° each: at 1/35 they meet."""
    angle, radius = np.arctan2(points[:, 1], points[:, 0]), np.hypot(points[:, 0], points[:, 1])
    away = np.where(angle > 0, angle - np.pi, angle + np.pi)
    turned = np.pi + away * (1.0 + share)
    return np.stack([radius * np.cos(turned), radius * np.sin(turned), points[:, 2]], axis=1) - points


@pytest.mark.parametrize("reach", [None, 2e-3])
def test_a_body_within_itself_is_seen(reach: float | None) -> None:
    """Ends that are apart or overlap by 0.2 mm, which contact feels, are not; those that overlap by 24 mm are, turned
    as a whole or not."""
    model = letter_c()
    points = np.asarray(model.points)
    contact = TissueContact("skin", reach=reach)
    problem = model.problem(supports=[Fixed("back")], contacts=[contact])
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))
    turn *= np.sign(np.linalg.det(turn))
    for share, passed in ((0.0, False), (0.02, False), (0.03, False), (0.2, True)):
        for rotation in (np.eye(3), turn):
            watch = Watch(problem)
            end = (points + closed_by(points, share)) @ rotation.T - points
            found = watch.passed((0.0, np.zeros_like(points)), (1.0, end))
            assert ("contact of 'skin' with 'itself', at" in found) == passed
            assert watch.passed((0.0, end), (1.0, end)) == ("" if not passed else found)


def test_flat_faces_do_not_cross_themselves() -> None:
    """In one plane nothing meets, turned or not; two boxes that overlap do, and their corners lie in each other."""
    low, up = bodies.box((3, 3, 3), size=(30.0, 30.0, 30.0)), bodies.box((2, 2, 2), place=lambda u: 20.0 * u + 17.0)
    faces = [np.concatenate([part.facet_sets[f"{a}{v}"] for a in "xyz" for v in (0, 1)]) for part in (low, up)]
    points, triangles = np.vstack([low.points, up.points]), np.vstack([faces[0], faces[1] + len(low.points)])
    turn, _ = np.linalg.qr(np.random.default_rng(1).standard_normal((3, 3)))
    for rotation in (np.eye(3), turn):
        place = points @ rotation.T
        assert not crossed(place, faces[0]).any()
        found, middle = crossed(place, triangles), points[triangles].mean(axis=1)
        assert found.any()
        assert ((middle[found] > 10.0) & (middle[found] < 37.0)).any(axis=1).all()
    inside = buried(points[len(low.points) :], points[faces[0]])
    assert inside.tolist() == (up.points < 30.0).all(axis=1).tolist()


def test_flaps_pushed_through_each_other_are_no_balance(monkeypatch: pytest.MonkeyPatch) -> None:
    """The ring's arms led 24 mm past each other in one step, Newton's method as far as it likes: told by name."""
    model = letter_c()
    points = np.asarray(model.points)
    sets = {**model.node_sets, "arms": np.flatnonzero(points[:, 0] > -0.01).astype(np.int32)}
    model = eqx.tree_at(lambda m: m.node_sets, model, sets)
    monkeypatch.setattr(Look, "stride", lambda *_: 1.0)
    monkeypatch.setattr(march, "MAX_CUTBACKS", 0)
    monkeypatch.setattr(march, "check_contacts", lambda *_: None)  # which finds held facets in held facets
    problem = model.problem(
        supports=[Fixed("back")],
        prescribed=[Prescribed("arms", lambda x: closed_by(np.asarray(x), 0.2))],
        contacts=[TissueContact("skin")],
    )
    solution = solve(problem, check_stability=False)
    assert solution.result is ResultCode.passed_through
    assert "contact of 'skin' with 'itself'" in solution.where
