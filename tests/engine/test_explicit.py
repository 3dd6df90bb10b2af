"""Central differences: order, stable step, momentum, energy, impact, mass scaling, agreement with implicit steps."""

from __future__ import annotations

import bodies
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.linalg import eigh
from test_dynamic_energy import DENSITY as WALL_DENSITY
from test_dynamic_energy import LENGTH as WALL_LENGTH
from test_dynamic_energy import SPEED, WAVE, flyer, thrown, tumble
from test_dynamic_order import DENSITY, SMALL, YOUNG, bar, modes

from preop.engine.tissue import dynamic, dynamic_march
from preop.engine.tissue.contact import HalfSpace, RigidBody, RigidContact
from preop.engine.tissue.explicit import solve
from preop.engine.tissue.explicit_steps import Stepper
from preop.engine.tissue.host_system import HostSystem
from preop.engine.tissue.integrators import Midpoint
from preop.engine.tissue.loads import Gravity
from preop.engine.tissue.mass import mass_matrix
from preop.engine.tissue.materials import NeoHookean, Strand
from preop.engine.tissue.model import Model
from preop.engine.tissue.motion import Motion
from preop.engine.tissue.parts import Part
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.solution import ResultCode
from preop.engine.tissue.stable_step import lumped_masses, nodal_masses, stable_step
from preop.engine.tissue.supports import Fixed, Ligament, Springs
from preop.engine.tissue.system import Timer
from preop.imaging.errors import SolverError


def true_frequency(problem: Problem) -> float:
    """Largest ω of the assembled body with its lumped mass, by a dense eigenvalue solver."""
    system = HostSystem(problem, Timer())
    free = system.free.ravel() > 0
    stiffness = system.linearize(system.zeros(), 0.0).matrix.toarray()[np.ix_(free, free)]
    inertia = np.repeat(mass_matrix(problem.model, "lumped").diagonal, 3)[free]
    return float(np.sqrt(eigh(stiffness, np.diag(inertia), eigvals_only=True)[-1]))


def block(element: str, bed: float = 0.0) -> Problem:
    mesh = bodies.box((2, 2, 2), size=(40.0,) * 3, jitter=0.3)
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(YOUNG, 0.3)}, density=DENSITY, element=element)
    return model.problem(supports=[Springs("z0", bed)] if bed else [], floating=not bed)


@pytest.mark.parametrize(("element", "bed"), [("T4", 0.0), ("T10", 0.0), ("T4", 5e7)])
def test_the_bound_of_the_step_is_safe_and_not_far_off(element: str, bed: float) -> None:
    """The elements' bound is never above 2/ω of the assembled body, the estimate is within 3 %; a stiff bed is seen."""
    problem = block(element, bed)
    bound = stable_step(problem, np.zeros(problem.model.points.shape), 0.0, lumped_masses(problem.model))
    true = true_frequency(problem)
    assert true <= bound.frequency < 2.5 * true
    masses = nodal_masses(problem.model, lumped_masses(problem.model))
    stepper = Stepper(problem, masses, 0.0, 1.0)
    still = jnp.zeros_like(problem.model.points)
    found = stepper.largest_frequency(stepper.begin(Motion(0.0, still, time=0.0, velocity=still, acceleration=still)))
    assert found == pytest.approx(true, rel=0.03)
    if bed:
        assert true > 2 * true_frequency(block(element))


@pytest.mark.parametrize(("share", "result"), [(0.98, ResultCode.converged), (1.02, ResultCode.blown_up)])
def test_the_step_is_sharp(share: float, result: ResultCode) -> None:
    """2/ω of the assembled bar: a little below, a disturbance stays small; a little above, it grows and is named."""
    omega, shape = modes(4, "lumped")[0][-1], modes(4, "lumped")[1][-1]
    path = solve(
        bar(),
        duration=1200 * share / omega,
        step=share * 2 / omega,
        safety=10.0,
        velocity=SMALL * omega * shape,
        keep=3,
    )
    assert path.result is result
    if result is ResultCode.converged:
        assert np.abs(np.asarray(path.final.displacement)).max() < 20 * SMALL
    else:
        assert "element" in path.where
        with pytest.raises(SolverError, match="smaller step"):
            _ = path.final


def test_second_order_in_the_step() -> None:
    omega, shape = modes(4, "lumped")[0][0], modes(4, "lumped")[1][0]
    end, errors = 0.75 * 2 * np.pi / omega, []
    for step in (end / 60, end / 120):
        path = solve(bar(), duration=end, step=step, velocity=SMALL * omega * shape, keep=6)
        exact = SMALL * np.sin(omega * path.times)[:, None, None] * shape
        found = np.stack([np.asarray(state.displacement) for state in path.require_converged().states])
        errors.append(np.abs(found - exact).max() / SMALL)
    assert errors[0] / errors[1] == pytest.approx(4.0, rel=0.1)
    assert errors[1] < 1e-3


def test_flight_keeps_momentum_and_agrees_with_implicit_steps() -> None:
    """At strains of tens of per cent: momenta to round-off, energy to the order of the step, the same shape."""
    path = solve(flyer(), duration=0.03, velocity=tumble, keep=6, step=2e-4)
    energy = path.require_converged().energy
    for record in (np.array(energy.momentum), np.array(energy.angular_momentum)):
        assert np.abs(record - record[0]).max() < 1e-12 * np.abs(record[0]).max()
    assert energy.largest_drift < 2e-3
    assert max(energy.strain) > 0.02 * energy.total[0]
    other = dynamic.solve(
        flyer(), duration=0.03, steps=60, integrator=Midpoint(), velocity=tumble, mass="lumped", keep=[0.03]
    ).final
    points = np.asarray(flyer().model.points)
    size = np.abs(np.asarray(path.final.displacement) - points).max()
    assert np.abs(np.asarray(path.final.displacement - other.displacement)).max() < 2e-3 * size
    assert (
        np.abs(np.asarray(path.final.velocity - other.velocity)).max() < 0.02 * np.abs(np.asarray(other.velocity)).max()
    )


def test_bar_on_a_wall() -> None:
    """As with implicit steps: contact for 2L/c, and back with the velocity it came with."""
    touch, mass = 2 * WALL_LENGTH / WAVE, WALL_DENSITY * 4e-3**2 * WALL_LENGTH
    path = solve(thrown(), duration=1.5 * touch, velocity=(0.0, 0.0, -SPEED), keep=150)
    flow = np.array(path.require_converged().energy.momentum)[:, 2] / (mass * SPEED)
    times = path.times
    assert flow[-1] == pytest.approx(1.0, abs=0.06)
    assert times[np.flatnonzero(flow > 0)[0]] == pytest.approx(touch / 2, rel=0.03)
    assert times[np.flatnonzero(flow > 0.93)[0]] == pytest.approx(touch, rel=0.04)
    assert path.energy.largest_drift < 0.03


def test_a_rigid_wall_ahead_is_known_to_the_step() -> None:
    """A block flies at a wall many times as stiff as itself: stable though it does not touch at first; bounces back."""
    mesh = bodies.box((1, 1, 2), size=(20.0, 20.0, 40.0))
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(YOUNG, 0.3)}, density=DENSITY)
    wall = RigidBody(HalfSpace((0.0, 0.0, -2e-3), (0.0, 0.0, 1.0)))
    contact = RigidContact("z0", wall, penalty=100 * YOUNG / 0.02, onset=1e-6)
    path = solve(
        model.problem(contacts=[contact], floating=True), duration=0.08, velocity=(0.0, 0.0, -0.2), keep=8
    ).require_converged()
    flow = np.array(path.energy.momentum)[:, 2]
    assert flow[-1] > 0.5 * abs(flow[0])
    assert path.energy.largest_drift < 0.05


def hung(kind: str) -> Problem:
    """A block of 8 g that falls until the strand over its corner, longer than its way by a twentieth, is taut."""
    box, law = bodies.box((1, 1, 1), size=(20.0,) * 3), NeoHookean.from_young(2e4, 0.3)
    hook = np.array([[0.02, 0.02, 0.06]])
    top = int(np.argmax(box.points.sum(axis=1)))
    parts = [Part("T4", box.cells, law, density=1000.0, region="body")]
    if kind == "cable":
        strand = Strand(2000.0, 0.3e-6, rest=1.05, cable=True)
        parts.append(Part("L2", np.array([[top, 8]]), strand, density=1200.0, region="suture"))
    points = np.vstack([1e-3 * box.points, hook]) if kind == "cable" else 1e-3 * box.points
    model = Model.from_parts(points, parts, node_sets={"hook": [8] if kind == "cable" else [0], "corner": [top]})
    held = Fixed("hook") if kind == "cable" else Ligament("corner", 5e4, hook[0], slack=1.05)
    weight = Gravity((0.0, 0.0, -9.81), during=(0.0, 0.0))
    return model.problem(loads=[weight], supports=[held], floating=True)


@pytest.mark.parametrize("kind", ["cable", "ligament"])
def test_a_strand_that_goes_taut_is_known_to_the_step(kind: str) -> None:
    """It catches the block, again and again, and nothing moves but by what the weight puts in."""
    problem = hung(kind)
    path = solve(problem, duration=0.06, keep=6).require_converged()
    assert path.energy.largest_drift < 0.02
    masses = nodal_masses(problem.model, lumped_masses(problem.model))
    corner = problem.model.nodes_of("corner")[0]
    assert path.longest_step < 0.5 * np.sqrt(masses[corner] / 5e4)
    moved = [np.asarray(state.displacement) for state in path.states]
    weight = [9.81 * float(masses @ -place[:, 2]) for place in moved]
    assert (path.energy.total <= 1.02 * np.array(weight) + 1e-6).all()
    length = np.linalg.norm(np.asarray(problem.model.points)[corner] + moved[-1][corner] - [0.02, 0.02, 0.06])
    assert length < 1.01 * 1.05 * 0.04
    assert weight[-1] < 0.6 * 9.81 * masses.sum() * 9.81 * 0.06**2 / 2  # of a block that nothing catches


@pytest.mark.parametrize("kind", ["cable", "ligament"])
def test_implicit_steps_are_shortened_where_a_strand_goes_taut(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step over the kink stores what nothing put in: it is taken again; unless that is left out, which is named."""
    problem = hung(kind)
    path = dynamic.solve(problem, duration=0.06, steps=60, keep=[0.06])
    assert path.require_converged().statistics.cutbacks > 0
    assert path.energy.largest_drift < 0.2
    monkeypatch.setattr(dynamic_march, "GAINED", np.inf)
    wild = dynamic.solve(problem, duration=0.06, steps=60, keep=[0.06])
    assert wild.result is ResultCode.blown_up
    with pytest.raises(SolverError, match=r"between .* s.*smaller step"):
        wild.require_converged()


def test_mass_scaling_is_reported() -> None:
    """A thin layer asks for a short step: only its elements get mass, as much as that takes, and the report says so."""
    mesh = bodies.box(
        (2, 2, 3), place=lambda u: 40.0 * np.stack([u[:, 0], u[:, 1], np.where(u[:, 2] > 0.9, 0.7, u[:, 2])], axis=1)
    )
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(YOUNG, 0.3)}, density=DENSITY)
    problem = model.problem(supports=[Fixed("z0")])
    thin = np.flatnonzero(mesh.points[mesh.tetrahedra][:, :, 2].min(axis=1) > 26.0)
    bound = stable_step(problem, np.zeros(model.points.shape), 0.0, lumped_masses(model))
    assert bound.worst_element in thin
    calm = np.delete(bound.element_frequencies[0], thin).max()
    step = 0.9 * 2 / calm * 0.999
    with pytest.raises(SolverError, match=r"stiffest is element \d+ of 'body' at"):
        solve(problem, duration=0.02, step=step)
    path = solve(problem, duration=0.02, step=step, mass_scaling=True, velocity=(0.0, 0.0, 0.1), keep=2)
    scaling = path.require_converged().scaling
    assert set(scaling.elements) <= set(thin)
    own = DENSITY * mesh.volumes * 1e-9
    factor = np.maximum(1.0, (bound.element_frequencies[0] * step / 1.8) ** 2)
    assert scaling.added == pytest.approx((own * (factor - 1)).sum(), rel=1e-9)
    assert scaling.added_share == pytest.approx(scaling.added / own.sum(), rel=1e-12)
    assert f"{len(scaling.elements)} elements" in scaling.line()
    assert path.energy.largest_drift < 0.02
    assert path.longest_step <= step * (1 + 1e-9)


def test_damping_and_what_moves_a_side_are_accounted_for() -> None:
    """A free block slows by e^(−at); pulling one side of a bar brings in the energy that is then there."""
    rate, end = 30.0, 0.05
    path = solve(block("T4"), duration=end, damping=rate, velocity=(0.0, 0.2, 0.0), keep=4)
    speed = np.array(path.require_converged().energy.momentum)[:, 1] / (DENSITY * 0.04**3)
    assert speed == pytest.approx(0.2 * np.exp(-rate * path.times), rel=1e-3)
    assert path.energy.damped[-1] == pytest.approx(path.energy.total[0] - path.energy.total[-1], rel=1e-3)
    pulled = bar().model.problem(
        supports=[Fixed("z0"), Fixed("all", "xy")], prescribed=[Prescribed("z1", (0.0, 0.0, 0.01), components="z")]
    )
    path = solve(pulled, duration=0.1, keep=5)
    energy = path.require_converged().energy
    assert energy.largest_drift < 0.01
    assert energy.external[-1] > 0.5 * 0.5 * YOUNG * 0.1**2 * 0.02**2 * 0.1
    tip = pulled.model.nodes_of("z1")
    assert np.asarray(path.final.displacement)[tip, 2] == pytest.approx(0.01, rel=1e-9)


def test_slips_are_named() -> None:
    for arguments, words in (
        ({"duration": -1.0}, "duration"), ({"duration": 1.0, "step": np.nan}, "step"),
        ({"duration": 1.0, "damping": -1.0}, "damping of -1"), ({"duration": 1.0, "mass_scaling": True}, "wanted"),
        ({"duration": 1.0, "keep": [2.0]}, "within"), ({"duration": 1.0, "safety": 0.0}, "safety"),
    ):  # fmt: skip
        with pytest.raises(SolverError, match=words):
            solve(bar(), **arguments)
    weightless = Model.from_mesh(bodies.box(), {"body": NeoHookean.from_young(YOUNG, 0.0)}, density=0.0)
    with pytest.raises(SolverError, match="no mass"):
        solve(weightless.problem(supports=[Fixed("z0")]), duration=1.0)
    crushed = solve(
        block("T4"), duration=0.05, velocity=lambda x: jnp.stack([-300.0 * x[:, 0], 0 * x[:, 0], 0 * x[:, 0]], 1)
    )
    assert crushed.result in (ResultCode.inverted_element, ResultCode.blown_up)
    assert "mm" in crushed.where
