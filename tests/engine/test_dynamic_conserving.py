"""The integrator that conserves: energy, momentum and angular momentum, for any elastic law and long steps."""

from __future__ import annotations

from typing import Any

import bodies
import jax.numpy as jnp
import numpy as np
import pytest
from test_dynamic_energy import flyer, tumble

from preop.engine.tissue.contact import HalfSpace, RigidBody, RigidContact
from preop.engine.tissue.discrete_gradient import conserving_forces
from preop.engine.tissue.dynamic import solve
from preop.engine.tissue.elements import element_named
from preop.engine.tissue.host_system import HostSystem
from preop.engine.tissue.integrators import EnergyMomentum, Midpoint
from preop.engine.tissue.mass import mass_matrix
from preop.engine.tissue.materials import (
    DecoupledNeoHookean,
    HolzapfelGasserOgden,
    Material,
    NeoHookean,
    SaintVenantKirchhoff,
    Viscoelastic,
)
from preop.engine.tissue.model import Model
from preop.engine.tissue.motion import Damping
from preop.engine.tissue.start import first_motion
from preop.engine.tissue.supports import PointSprings, Springs
from preop.engine.tissue.system import Timer
from preop.engine.tissue.time_step import StepSystem
from preop.imaging.errors import SolverError

LAWS: dict[str, Material] = {
    "neo-Hookean": NeoHookean.from_young(1e4, 0.4),
    "St. Venant-Kirchhoff": SaintVenantKirchhoff.from_young(1e4, 0.3),
    "fibres": HolzapfelGasserOgden.example(),
    "decoupled": DecoupledNeoHookean(4e3, 2e5),
}


@pytest.mark.parametrize(("kind", "name"), [*(("T4", name) for name in LAWS), ("H8", "decoupled"), ("H8", "fibres")])
@pytest.mark.parametrize("size", [1e-7, 1e-3, 0.3])
def test_the_forces_do_the_work_by_which_the_energy_changes(kind: str, name: str, size: float) -> None:
    """f·Δu = W⁺ − W for steps from tiny to large strains and turns; no resultant, no moment about the middle."""
    element, rng = element_named(kind), np.random.default_rng(1)
    mesh = bodies.mesh_for(kind, (1, 1, 1), size=(20.0,) * 3, jitter=0.2)
    model = Model.from_mesh(mesh, {"body": LAWS[name]}, element=kind)
    block = model.blocks[0]
    reference = np.asarray(model.points)[np.asarray(block.nodes)]
    before = 1e-3 * rng.standard_normal(reference.shape)
    after = before + size * 4e-3 * rng.standard_normal(reference.shape)
    force = np.asarray(conserving_forces(element, reference, before, after, block.material))
    work = (force * (after - before)).sum(axis=(1, 2))
    gain = (element.evaluate(reference, after, block.material).energy
            - element.evaluate(reference, before, block.material).energy)  # fmt: skip
    scale = np.abs(force * (after - before)).sum(axis=(1, 2))
    volume = np.asarray(element.geometry(reference, element.quadrature)[1]).sum(axis=0)
    noise = 1e-14 * volume * 1e4  # round-off of an energy density whose terms are of the size of the modulus
    assert (np.abs(work - np.asarray(gain)) < 1e-11 * scale + 10 * noise).all()
    assert np.abs(force.sum(axis=1)).max() < 1e-12 * np.abs(force).max()
    moment = np.cross(reference + 0.5 * (before + after), force).sum(axis=1)
    assert np.abs(moment).max() < 1e-12 * np.abs(force).max() * 0.02


def test_a_long_flight_keeps_all_three() -> None:
    """200 steps of 5 ms at strains of tens of per cent: to the solver's tolerance, where the midpoint rule swings."""
    drift = {}
    for rule in (EnergyMomentum(), Midpoint()):
        steps = 200 if isinstance(rule, EnergyMomentum) else 60
        path = solve(
            flyer(), duration=0.005 * steps, steps=steps, integrator=rule, velocity=tumble, tolerance=1e-12, keep=[]
        ).require_converged()
        assert path.statistics.cutbacks == 0
        drift[rule.name] = path.energy.largest_drift
        for record in (np.array(path.energy.momentum), np.array(path.energy.angular_momentum)):
            assert np.abs(record - record[0]).max() < 1e-9 * np.abs(record[0]).max()
        assert max(path.energy.strain) > 0.02 * path.energy.total[0]
    assert drift["energy-momentum"] < 1e-10
    assert drift["midpoint"] > 1e-3


@pytest.mark.parametrize(
    ("kind", "steps"), [pytest.param("H8", 8, marks=[pytest.mark.slow, pytest.mark.long]), ("T10", 8)]
)
def test_other_elements_keep_all_three(kind: str, steps: int) -> None:
    """H8 of a nearly incompressible law (its volume ratio is the mean over the element), and T10."""
    law = DecoupledNeoHookean(4e3, 4e5) if kind == "H8" else NeoHookean.from_young(1e4, 0.3)
    mesh = bodies.mesh_for(kind, (2, 2, 2), size=(100.0, 60.0, 40.0), jitter=0.1)
    problem = Model.from_mesh(mesh, {"*": law}, density=1000.0, element=kind).problem(floating=True)
    path = solve(
        problem, duration=0.005 * steps, steps=steps, integrator=EnergyMomentum(), velocity=tumble, tolerance=1e-12
    ).require_converged()
    assert path.energy.largest_drift < 1e-10
    for record in (np.array(path.energy.momentum), np.array(path.energy.angular_momentum)):
        assert np.abs(record - record[0]).max() < 1e-10 * np.abs(record[0]).max()
    assert max(path.energy.strain) > 0.02 * path.energy.total[0]


def test_newtons_method_converges_quadratically() -> None:
    """With the derivative of these forces themselves; that of the midpoint rule gained a digit or two an iteration.

    Linear systems are solved to 0.9 of the square, after Eisenstat and Walker, so an exponent of 1.5 is asked for
    between residuals above round-off.
    """
    path = solve(flyer(), duration=0.05, steps=10, integrator=EnergyMomentum(), velocity=tumble, tolerance=1e-12)
    for step in path.require_converged().statistics.steps:
        residuals = [value for value in step.residuals if value > 1e-11]
        rates = [
            np.log(c / b) / np.log(b / a) for a, b, c in zip(residuals, residuals[1:], residuals[2:], strict=False)
        ]
        assert rates
        assert min(rates) > 1.5
        assert step.newton_iterations <= 4


@pytest.mark.parametrize("wall", [False, True])
def test_the_tangent_is_the_derivative_of_the_balance(wall: bool) -> None:
    """Against central differences of the step's residual, on H8, with a one-sided bed half pressed in."""
    mesh = bodies.bricks((1, 1, 2), size=(20.0, 20.0, 40.0), jitter=0.1)
    model = Model.from_mesh(mesh, {"*": LAWS["decoupled"]}, density=1000.0)
    supports = [Springs("z0", 1e7, one_sided=True, onset=2e-4)] if wall else []
    problem = model.problem(supports=supports, floating=True)
    base = HostSystem(problem, Timer())
    system = StepSystem(base, problem, mass_matrix(model), EnergyMomentum(), Damping(), 1.0)
    rng = np.random.default_rng(5)
    system.begin(first_motion(system, None, tumble), 0.01)
    at, way = 1e-3 * rng.standard_normal((2, *base.points.shape))
    slope = system.linearize(at, 0.5).product(way)
    ends = [system.evaluate(at + side * 1e-3 * way, 0.5).residual for side in (1.0, -1.0)]
    difference = (ends[0] - ends[1]) / 2e-3
    assert np.abs(slope - difference).max() < 1e-5 * np.abs(difference).max()


def test_springs_work_exactly_too() -> None:
    """A block of fibres on springs: what the body loses the account of the supports has."""
    mesh = bodies.box((1, 1, 2), size=(40.0, 40.0, 80.0))
    model = Model.from_mesh(mesh, {"body": HolzapfelGasserOgden.example()}, density=1000.0)
    problem = model.problem(supports=[PointSprings("z0", 5.0)])

    def away(points: Any) -> Any:
        return jnp.stack([4.0 * points[:, 2], 0 * points[:, 0], 6.0 * points[:, 2]], axis=1)

    path = solve(problem, duration=0.2, steps=40, integrator=EnergyMomentum(), velocity=away, tolerance=1e-12)
    assert path.require_converged().energy.largest_drift < 1e-10
    assert max(path.energy.strain) > 0.1 * path.energy.total[0]
    assert min(path.energy.external) < -0.01 * path.energy.total[0]


def test_what_cannot_conserve_is_named() -> None:
    law = DecoupledNeoHookean(4e3, 1e5)
    mixed = Model.from_mesh(bodies.box((1, 1, 1)), {"*": law}, element="T10P1")
    with pytest.raises(SolverError, match="T10P1 has no forces that conserve"):
        solve(mixed.problem(floating=True), duration=1.0, steps=1, integrator=EnergyMomentum())
    viscous = Model.from_mesh(bodies.box((1, 1, 1)), {"*": Viscoelastic(law, (0.5,), (0.1,))})
    with pytest.raises(SolverError, match="remembers"):
        solve(viscous.problem(floating=True), duration=1.0, steps=1, integrator=EnergyMomentum())


def test_a_small_strain_is_the_stress_of_the_law() -> None:
    """Between two nearly equal shapes the mean stress is that of the law there."""
    element, law = element_named("T4"), LAWS["neo-Hookean"]
    model = Model.from_mesh(bodies.box((1, 1, 1), size=(20.0,) * 3), {"body": law})
    block = model.blocks[0]
    reference = np.asarray(model.points)[np.asarray(block.nodes)]
    moved = 1e-3 * np.random.default_rng(2).standard_normal(reference.shape)
    force = np.asarray(conserving_forces(element, reference, moved, moved, block.material))
    plain = np.asarray(element.evaluate(reference, moved, block.material).force)
    assert force == pytest.approx(plain, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize("wall", ["bed", "plane"])
def test_a_wall_gives_back_what_it_took(wall: str) -> None:
    """A stiff one-sided bed (a rigid plane) met and left in the middle of steps: no energy stays in it or comes of it.

    The midpoint rule errs by k (g₀² − g²)/2 with g₀, g the gaps before the step of touch and after the one of leaving.
    """
    mesh = bodies.box((1, 1, 2), size=(20.0, 20.0, 40.0))
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(1e5, 0.3)}, density=1000.0)
    stiff, gap = 20 * 1e5 / 0.02, 3.3e-4
    plane = RigidBody(HalfSpace((0.0, 0.0, -gap), (0.0, 0.0, 1.0)))
    contact = RigidContact("z0", plane, penalty=stiff, onset=1e-6)
    if wall == "plane":
        problem = model.problem(contacts=[contact], floating=True)
    else:
        rest = jnp.broadcast_to(jnp.asarray((0.0, 0.0, -gap)), model.points.shape)
        problem = model.problem(supports=[Springs("z0", stiff, one_sided=True, onset=1e-6, rest=rest)], floating=True)
    left = {}
    for rule in (EnergyMomentum(), Midpoint()):
        path = solve(
            problem, duration=0.03, steps=40, integrator=rule, velocity=(0.0, 0.0, -0.2), tolerance=1e-11, keep=[]
        ).require_converged()
        assert np.array(path.energy.momentum)[-1, 2] > 0
        assert np.asarray(path.final.displacement)[model.nodes_of("z0"), 2].min() > -gap
        left[rule.name] = abs(path.energy.external[-1]) / path.energy.total[0]
    assert left["energy-momentum"] < 1e-9
    assert left["midpoint"] > 1e-4
