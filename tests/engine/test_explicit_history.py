"""Central differences with what remembers: tissues that meet, friction, viscous and damaged materials."""

from __future__ import annotations

import bodies
import numpy as np
import pytest
from test_contact_tissue import two_blocks
from test_dynamic_energy import LENGTH, WAVE, exchanged, two_bars

from preop.engine.tissue import dynamic, fields
from preop.engine.tissue.contact import HalfSpace, RigidBody, RigidContact, TissueContact, tool_force
from preop.engine.tissue.explicit import solve
from preop.engine.tissue.integrators import Midpoint
from preop.engine.tissue.loads import Gravity, Traction
from preop.engine.tissue.materials import (
    ActiveContraction,
    Damage,
    DecoupledNeoHookean,
    NeoHookean,
    ResidualStrain,
    Viscoelastic,
)
from preop.engine.tissue.model import Model
from preop.engine.tissue.supports import Fixed
from preop.imaging.errors import SolverError


def test_equal_bars_exchange_their_velocities() -> None:
    """As with implicit steps: the same limits, pairs found anew between batches of steps."""
    problem, first, flying = two_bars()
    path = solve(problem, duration=2.6 * LENGTH / WAVE, velocity=flying, keep=520)
    exchanged(path.require_converged(), problem, first)
    assert path.energy.largest_drift < 0.02


def test_a_block_that_slides_on_a_table_is_slowed_by_friction() -> None:
    """It slides all the while, so it loses μ times the normal impulse: that of its weight and of its own bouncing."""
    mesh = bodies.box((2, 2, 1), size=(40.0, 40.0, 20.0))
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(1e6, 0.3)}, density=1000.0)
    friction, penalty, speed = 0.3, 1e6, 0.2
    table = RigidBody(HalfSpace((0.0, 0.0, 0.0), (0.0, 0.0, 1.0)))
    contact = RigidContact("z0", table, penalty=penalty, friction=friction, stick=5 * penalty)
    turn = 2 * np.pi * np.sqrt(1000.0 * 0.02 / penalty)
    problem = model.problem(loads=[Gravity((0.0, 0.0, -9.81), during=(0.0, 0.0))], contacts=[contact], floating=True)
    path = solve(problem, duration=turn, velocity=(speed, 0.0, 0.0), keep=4).require_converged()
    flow = np.array(path.energy.momentum) / (1000.0 * 0.04**2 * 0.02)
    assert flow[0, 0] == pytest.approx(speed)
    assert speed - flow[-1, 0] == pytest.approx(friction * (9.81 * turn + flow[-1, 2]), rel=0.01)
    assert speed - flow[-1, 0] > 0.08
    force, _ = tool_force(problem, path.final, problem.contacts[0])
    assert force[0] == pytest.approx(-friction * force[2], rel=1e-3)


@pytest.mark.slow
@pytest.mark.long
def test_tissues_rub_as_with_implicit_steps() -> None:
    """One block thrown onto another, obliquely: the same shape and velocity as by the midpoint rule."""
    model = two_blocks((2, 2, 1), (2, 2, 1), "T4", poisson=0.3)
    contact = TissueContact("up_z0", "low_z1", friction=0.4, onset=2e-5)
    problem = model.problem(supports=[Fixed("low_z0")], contacts=[contact], floating=True)
    velocity = np.where(np.arange(len(model.points))[:, None] >= len(model.points) // 2, [0.15, 0.05, -0.3], 0.0)
    end = 0.01
    path = solve(problem, duration=end, step=end / 400, velocity=velocity, keep=2)
    other = dynamic.solve(
        problem, duration=end, steps=80, integrator=Midpoint(), velocity=velocity, mass="lumped", keep=[end]
    ).final
    moved, wanted = (np.asarray(state.displacement) for state in (path.final, other))
    assert np.abs(moved - wanted).max() < 0.01 * np.abs(wanted).max()
    flow = np.array(path.energy.momentum)[:, 0]
    assert flow[-1] < 0.9 * flow[0]


BASE = DecoupledNeoHookean(4e3, 4e4)
SWAYING = {
    "viscoelastic": Viscoelastic(BASE, (0.8,), (0.01,)),
    "damage": Damage(BASE, 5.0, 20.0, 0.6),
    "contraction over viscosity": ActiveContraction(Viscoelastic(BASE, (0.8,), (0.01,)), 500.0, (0.0, 0.0, 1.0)),
    "damage that has grown": ResidualStrain.from_growth(Damage(BASE, 5.0, 20.0, 0.6), np.diag([1.0, 1.0, 1.05])),
}


# A strand's history in explicit steps is among the short tests (`test_sheet_history.py`).
@pytest.mark.slow
@pytest.mark.long
@pytest.mark.parametrize("law", SWAYING)
def test_materials_remember_as_with_implicit_steps(law: str) -> None:
    """A block sways under a sudden load: the history that central differences carry is that of implicit steps."""
    material = SWAYING[law]
    model = Model.from_mesh(bodies.box((1, 1, 2), size=(20.0, 20.0, 40.0)), {"body": material}, density=1000.0)
    problem = model.problem(loads=[Traction("z1", (150.0, 0.0, 0.0), during=(0.0, 0.0))], supports=[Fixed("z0")])
    end = 0.04
    path = solve(problem, duration=end, step=end / 400, keep=2)
    assert path.final.materials
    moved, stress = np.asarray(path.final.displacement), fields.cauchy_stress(model, path.final)
    off = []
    for steps in (80, 160):
        other = dynamic.solve(
            problem, duration=end, steps=steps, integrator=Midpoint(), mass="lumped", keep=[end], tolerance=1e-9
        ).final
        wanted, like = np.asarray(other.displacement), fields.cauchy_stress(model, other)
        assert np.abs(moved - wanted).max() < 5e-3 * np.abs(wanted).max()
        off.append(np.abs(stress - like).max() / np.abs(like).max())
    # Both are of second order and come to each other. Damage that has grown is the slowest: off 4.1 % with 80 implicit
    # steps, 1.4, 0.37, 0.093 % with 160, 320, 640, and 0.12 % with 400 explicit ones, 0.03 % with 800.
    assert off[1] < 0.02
    assert off[1] < 0.45 * off[0]


def test_unknown_pressures_are_refused_with_the_reason() -> None:
    model = Model.from_mesh(bodies.box((1, 1, 1)), {"*": DecoupledNeoHookean(4e3, 1e9)}, element="T4P1")
    with pytest.raises(SolverError, match="pressures have no mass: they are in balance at every instant"):
        solve(model.problem(supports=[Fixed("z0")]), duration=0.1)
