"""Contact with rigid bodies: distances, forces on the tool, sticking and sliding, exact closeness, bad input."""

from __future__ import annotations

import bodies
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue import augmentation, fields, march
from preop.engine.tissue.contact import Capsules, HalfSpace, RigidBody, RigidContact, RoundedBox, Sphere, tool_force
from preop.engine.tissue.contact.overconstrained import check_contacts
from preop.engine.tissue.forces import nodal_forces
from preop.engine.tissue.loads import Gravity, Traction
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Grasp, Prescribed
from preop.engine.tissue.solution import ResultCode, Solution, State
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.imaging.errors import SolverError

TURN = np.linalg.qr(np.random.default_rng(2).standard_normal((3, 3)))[0]
SHAPES = {
    "half-space": (HalfSpace((0.01, 0.0, 0.02), (0.0, 3.0, 4.0)), lambda x: (x - [0.01, 0, 0.02]) @ [0, 0.6, 0.8]),
    "sphere": (Sphere((0.01, 0.0, 0.0), 0.03), lambda x: np.linalg.norm(x - [0.01, 0, 0], axis=1) - 0.03),
    "socket": (Sphere((0.01, 0.0, 0.0), -0.03), lambda x: 0.03 - np.linalg.norm(x - [0.01, 0, 0], axis=1)),
    "capsules": (
        Capsules([(0.0, 0.0, 0.0), (0.0, 0.0, 0.04), (0.03, 0.0, 0.04)], 0.005),
        lambda x: (
            np.minimum(to_segment(x, [0, 0, 0], [0, 0, 0.04]), to_segment(x, [0, 0, 0.04], [0.03, 0, 0.04])) - 0.005
        ),
    ),
    "rounded-box": (RoundedBox((0.0, 0.01, 0.0), (0.03, 0.02, 0.01), 0.004, TURN), lambda x: to_box(x)),
}


def to_segment(x: np.ndarray, a: list[float], b: list[float]) -> np.ndarray:
    """By looking at many places of the segment."""
    places = np.linspace(0, 1, 20001)[:, None] * (np.array(b) - a) + a
    from scipy.spatial import cKDTree

    return cKDTree(places).query(x)[0]


def to_box(x: np.ndarray) -> np.ndarray:
    """The distance to an inner box less the rounding, outside; the nearest face, inside it."""
    inner, local = np.array([0.026, 0.016, 0.006]), (x - [0.0, 0.01, 0.0]) @ TURN
    outside = np.linalg.norm(local - np.clip(local, -inner, inner), axis=1)
    return np.where(outside > 0, outside, (np.abs(local) - inner).max(axis=1)) - 0.004


@pytest.mark.parametrize("name", SHAPES)
def test_distances_and_their_slopes(name: str) -> None:
    """Against other ways to measure; a slope of a distance has length one and is its derivative."""
    shape, expected = SHAPES[name]
    points = np.random.default_rng(4).uniform(-0.06, 0.06, (200, 3))
    found, slope = jax.vmap(jax.value_and_grad(shape.distance))(jnp.asarray(points))
    assert np.asarray(found) == pytest.approx(expected(points), abs=2e-8)
    assert np.linalg.norm(slope, axis=1) == pytest.approx(np.ones(200), abs=1e-9)


def test_a_moving_body_carries_its_distance_with_it() -> None:
    """Half way along its path a turned box is where a turned and shifted point says."""
    box, pivot, shift, turn = (
        SHAPES["rounded-box"][0],
        (0.01, 0.02, 0.0),
        np.array([0.02, -0.01, 0.03]),
        (0.3, -0.5, 0.9),
    )
    from scipy.spatial.transform import Rotation

    body = RigidBody(box, tuple(2 * shift), rotation=tuple(2 * np.array(turn)), pivot=pivot)
    at = np.array([0.03, 0.02, 0.015])
    moved = np.array(pivot) + Rotation.from_rotvec(turn).apply(at - pivot) + shift
    assert float(body.distance(jnp.asarray(moved), 0.5)) == pytest.approx(
        float(box.distance(jnp.asarray(at))), abs=1e-12
    )


def block(
    element: str = "T4", cells: tuple[int, int, int] = (6, 6, 3), young: float = 1e4, poisson: float = 0.3
) -> Model:
    mesh = bodies.box(cells, size=(40.0, 40.0, 20.0))
    return Model.from_mesh(mesh, {"body": NeoHookean.from_young(young, poisson)}, density=1000.0, element=element)


@pytest.mark.parametrize(("element", "friction"), [("T4", 0.0), ("T4", 0.3), ("T10", 0.0)])
def test_a_tool_feels_what_the_support_bears(element: str, friction: float) -> None:
    """A capsule pressed in and drawn along: the base bears the opposite of what the tool feels, force and moment."""
    model = block(element, (4, 4, 2))
    tool = RigidBody(
        Capsules([(-0.01, 0.02, 0.026), (0.05, 0.02, 0.026)], 0.006), (0.001, 0.002, -0.002), label="shaft"
    )
    problem = model.problem(supports=[Fixed("z0")], contacts=[RigidContact("z1", tool, friction=friction)])
    solution = solve(problem, load_steps=2)
    state, solved = solution.final, solution.problems[-1]
    force, moment = tool_force(solved, state, solved.contacts[0])
    assert force[2] > 0.1
    assert force == pytest.approx(fields.reaction(solved, state, "z0"), rel=1e-6, abs=1e-9)
    base = model.nodes_of("z0")
    held = fields.reaction_forces(solved, state)[base]
    place = np.asarray(model.points)[base] + np.asarray(state.displacement)[base]
    assert moment == pytest.approx(np.cross(place, held).sum(axis=0), rel=1e-5, abs=1e-9)
    assert abs(force[1]) > (0.05 if friction else 0.0) * force[2]


def test_multipliers_close_what_a_penalty_leaves_open() -> None:
    """A plate pressed evenly on a block: with λ it stands on the surface, with the force of the exact strain."""
    model, depth = block(poisson=0.0), 0.002
    plate = RigidBody(HalfSpace((0.0, 0.0, 0.02), (0.0, 0.0, -1.0)), (0.0, 0.0, -depth))
    gaps, forces = {}, {}
    for penetration in (None, 1e-8):
        contact = RigidContact("z1", plate, penetration=penetration)
        problem = model.problem(supports=[Fixed("z0", "z"), Fixed("x0", "x"), Fixed("y0", "y")], contacts=[contact])
        solution = solve(problem, tolerance=1e-10)
        solved = solution.problems[-1]
        gaps[penetration] = solved.contacts[0].points(model, np.asarray(solution.final.displacement), 1.0).gap.min()
        forces[penetration] = tool_force(solved, solution.final, solved.contacts[0])[0][2]
    assert -1e-4 < gaps[None] < -1e-6
    assert gaps[1e-8] >= -1e-8
    stretch, shear = 1 - depth / 0.02, 1e4 / 2  # ν = 0: P = μ (λ − 1/λ), no other stress
    assert forces[1e-8] == pytest.approx(-shear * (stretch - 1 / stretch) * 0.04**2, rel=1e-5)


@pytest.mark.parametrize("ratio", [0.9, 1.1])
def test_a_block_on_a_slope_sticks_below_the_angle_of_friction(ratio: float) -> None:
    """tan α = 0.9 μ: it stays but for the elastic slip; 1.1 μ: only a tether keeps it, with what friction leaves."""
    friction, weight = 0.5, 1000.0 * 9.81 * 0.04 * 0.04 * 0.02
    angle = np.arctan(ratio * friction)
    model = block(cells=(3, 3, 2), young=1e6)
    down = 9.81 * np.array([np.sin(angle), 0.0, -np.cos(angle)])
    table = RigidBody(HalfSpace((0.0, 0.0, 0.0), (0.0, 0.0, 1.0)))
    from preop.engine.tissue.supports import PointSprings

    tether = 1.0  # N/m, soft: what it takes up is what slides
    problem = model.problem(
        loads=[Gravity(tuple(down))],
        supports=[PointSprings("all", tether)],
        contacts=[RigidContact("z0", table, friction=friction)],
    )
    solution = solve(problem, load_steps=4)
    moved = np.asarray(solution.final.displacement)[:, 0].mean()
    if ratio < 1:
        assert abs(moved) < 1e-4
    else:
        slides = weight * (np.sin(angle) - friction * np.cos(angle)) / tether
        assert moved == pytest.approx(slides, rel=1e-2)
    force, _ = tool_force(solution.problems[-1], solution.final, solution.problems[-1].contacts[0])
    assert -force[2] == pytest.approx(weight * np.cos(angle), rel=2e-3)
    assert force[0] == pytest.approx(weight * min(np.sin(angle), friction * np.cos(angle)), rel=1e-2)
    told, _ = tool_force(problem, solution.final, problem.contacts[0])  # the state brings its slip along
    assert told == pytest.approx(force, rel=1e-7)
    assert np.abs(nodal_forces(problem, solution.final).residual).max() < 1e-6 * weight
    with pytest.raises(SolverError, match=r"contact of 'z0'.* remembers, and the state carries no history"):
        nodal_forces(problem, State(1.0, solution.final.displacement))


def test_friction_tangent_is_the_slope_of_the_force() -> None:
    """Against finite differences, with points that stick, slide and are open."""
    model = block(cells=(2, 2, 1))
    ball = RigidBody(Sphere((0.02, 0.02, 0.045), 0.026), (0.001, 0.0, 0.0))
    contact = RigidContact("z1", ball, friction=0.4).resolved(model).begun(model)
    term = contact.bind(model)[0]
    reference = model.points[term.nodes]
    rng = np.random.default_rng(5)
    moved = jnp.asarray(3e-4 * rng.standard_normal(model.points.shape))[term.nodes]
    fraction, step = jnp.asarray(1.0), 1e-9
    tangent = np.asarray(term.tangents(reference, moved, fraction))
    direction = jnp.asarray(rng.standard_normal(moved.shape))
    ahead, behind = (term.forces(reference, moved + s * step * direction, fraction) for s in (1, -1))
    slope = -np.asarray(ahead - behind) / (2 * step)
    product = np.einsum("gabij,gbj->gai", tangent, np.asarray(direction))
    assert np.abs(product).max() > 0
    assert np.abs(product - slope).max() < 1e-5 * np.abs(slope).max()


def test_over_constrained_contact_is_named_and_located() -> None:
    model = block(cells=(3, 3, 2))
    table = RigidBody(HalfSpace((0.0, 0.0, -0.002), (0.0, 0.0, 1.0)), label="table")
    pushed = model.problem(prescribed=[Grasp("z0", (0.0, 0.0, -0.006))], contacts=[RigidContact("z0", table)])
    with pytest.raises(SolverError, match=r"over-constrained contact: node \d+ at .* 1 mm inside 'table' at 50 %"):
        solve(pushed)
    above = RigidBody(HalfSpace((0.0, 0.0, 0.022), (0.0, 0.0, -1.0)), (0.0, 0.0, -0.004), label="plate")
    below = RigidBody(HalfSpace((0.0, 0.0, -0.002), (0.0, 0.0, 1.0)), (0.0, 0.0, 0.004), label="table")
    squeezed = model.problem(
        supports=[Fixed("x0")],
        contacts=[RigidContact("x0", above), RigidContact("x0", below)],
    )
    with pytest.raises(SolverError, match=r"node \d+ .* inside '(plate|table)' and '(plate|table)'"):
        solve(squeezed)
    slides = model.problem(supports=[Fixed("z0", "xy"), Fixed("z1", "z")], contacts=[RigidContact("z0", below)])
    check_contacts(slides, [1.0])


def test_bad_numbers_are_told() -> None:
    plate = RigidBody(HalfSpace((0.0, 0.0, 0.0), (0.0, 0.0, 1.0)), label="plate")
    for wrong in ({"penalty": -1.0}, {"penetration": 0.0}, {"friction": -0.1}, {"stick": np.nan}, {"onset": 0.0}):
        with pytest.raises(SolverError, match=r"contact of 'z1' with 'plate'"):
            RigidContact("z1", plate, **wrong)
    for make in (
        lambda: Sphere((0, 0, 0), 0.0),
        lambda: HalfSpace((0, 0, 0), (0, 0, 0)),
        lambda: Capsules([(0, 0, 0), (0, 0, 0)], 0.01),
        lambda: RoundedBox((0, 0, 0), (0.01, 0.01, 0.01), 0.02),
    ):
        with pytest.raises(SolverError):
            make()
    model = block(cells=(1, 1, 1))
    with pytest.raises(SolverError, match="no facet set"):
        model.problem(supports=[Fixed("z0")], contacts=[RigidContact("top", plate)])


def test_soft_penalties_settle_by_mixing_rounds() -> None:
    """A ball in coarse facets with a hundredth of the usual penalty: plain rounds take off a hundredth each and end at
    their limit of 30; mixed ones settle where a penalty as usual does."""
    model = block(cells=(2, 2, 1))
    tool = RigidBody(Sphere((0.02, 0.02, 0.03), 0.01), (0.0, 0.0, -0.002))
    forces = []
    for penalty in (1e5, None):
        contact = RigidContact("z1", tool, penetration=1e-7, penalty=penalty, onset=1e-7)
        solution = solve(model.problem(supports=[Fixed("z0")], contacts=[contact])).require_converged()
        assert solution.statistics.cutbacks == 0
        solved = solution.problems[-1]
        gap = solved.contacts[0].points(model, np.asarray(solution.final.displacement), 1.0).gap.min()
        assert gap >= -1e-7
        forces.append(tool_force(solved, solution.final, solved.contacts[0])[0][2])
    assert forces[0] == pytest.approx(forces[1], rel=1e-3)


def test_a_contact_that_cannot_settle_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a penalty far too soft for the penetration asked for, two Uzawa rounds do not get there; that is said."""
    model = block(cells=(6, 6, 2))
    tool = RigidBody(Sphere((0.02, 0.02, 0.03), 0.01), (0.0, 0.0, -0.002))
    problem = model.problem(supports=[Fixed("z0")], contacts=[RigidContact("z1", tool, penetration=1e-7, penalty=1e5)])
    monkeypatch.setattr(march, "MAX_CUTBACKS", 1)
    monkeypatch.setattr(augmentation, "MAX_AUGMENTATIONS", 2)
    solution = solve(problem)
    assert solution.result is ResultCode.contact_unresolved
    assert "penetration" in solution.result.advice
    with pytest.raises(SolverError, match="did not settle"):
        _ = solution.final


def test_prescribed_and_traction_work_beside_contact() -> None:
    """A plate that stands in the way takes the traction that is more than the gap costs."""
    model, pull, gap = block(poisson=0.0), 1000.0, 5e-4
    wall = RigidBody(HalfSpace((0.0, 0.0, 0.02 + gap), (0.0, 0.0, -1.0)))
    problem = model.problem(
        loads=[Traction("z1", (0.0, 0.0, pull))],
        supports=[Fixed("z0", "z"), Fixed("x0", "x"), Fixed("y0", "y")],
        prescribed=[Prescribed("x1", (0.0, 0.0, 0.0), components="x")],
        contacts=[RigidContact("z1", wall, penetration=1e-8)],
    )
    solution = solve(problem, tolerance=1e-10)
    force, _ = tool_force(solution.problems[-1], solution.final, solution.problems[-1].contacts[0])
    stretch = 1 + gap / 0.02
    bears = 1e4 / 2 * (stretch - 1 / stretch)
    assert force[2] == pytest.approx((pull - bears) * 0.04**2, rel=1e-4)


def test_a_rod_thinner_than_facets_is_felt_or_named() -> None:
    """Between the points of facets of 10 mm a rod of 4 mm would slip through; with more points it is borne."""
    model = Model.from_mesh(bodies.box((2, 2, 2), size=(20.0, 20.0, 20.0)), {"body": NeoHookean.from_young(1e4, 0.3)})
    rod = RigidBody(Capsules([(-0.01, 0.01, 0.023), (0.03, 0.01, 0.023)], 0.002), path=[(0.0, 0.0, -0.02)], label="rod")

    def pressed(refine: int, load_steps: object) -> Solution:
        problem = model.problem(supports=[Fixed("z0")], contacts=[RigidContact("z1", rod, refine=refine)])
        return solve(problem, load_steps=load_steps, check_stability=False)

    slipped = pressed(1, 1)
    assert slipped.result is ResultCode.passed_through
    assert "contact of 'z1' with 'rod'" in slipped.where
    assert "refine" in slipped.result.advice
    borne = pressed(4, [0.1, 0.15, 0.2, 1.0])
    forces = [
        tool_force(at, state, at.contacts[0])[0][2] for at, state in zip(borne.problems, borne.states, strict=True)
    ]
    assert len(forces) >= 3
    assert (np.diff(forces[:3]) > 0).all()
