"""Forces of a given displacement without a solve."""

from __future__ import annotations

import bodies
import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue import fields
from preop.engine.tissue.forces import nodal_forces
from preop.engine.tissue.loads import Gravity, Pressure, Traction
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.residual import residual
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.imaging.errors import SolverError

LAW = NeoHookean.from_young(1e4, 0.3)


def cube(element: str = "T4") -> Model:
    return Model.from_mesh(
        bodies.box((2, 2, 2), jitter=0.2, size=(100.0,) * 3), {"body": LAW}, density=1000.0, element=element
    )


@pytest.mark.parametrize("element", ["T4", "T10"])
def test_a_stretched_cube_pulls_with_its_stress(element: str) -> None:
    """F = diag(1.2, 0.9, 1): sides carry P A and its moment about an edge, the whole of them nothing."""
    model = cube(element)
    stretch = np.array([1.2, 0.9, 1.0])
    forces = nodal_forces(model.problem(supports=[Fixed("z0")]), np.asarray(model.points) * (stretch - 1.0))
    jacobian = stretch.prod()
    piola = LAW.shear_modulus * (stretch - 1 / stretch) + LAW.lame * np.log(jacobian) / stretch
    side = forces.sum("internal", "x1")
    area, middle = 0.01, 0.05 * stretch
    # Nodes on the rim of x1 also carry forces of the neighbouring sides, which have no component along x.
    assert side.force[0] == pytest.approx(piola[0] * area, rel=1e-9)
    assert side.moment[2] - forces.sum("internal", "x1", about=(0, middle[1], 0)).moment[2] == pytest.approx(
        -middle[1] * piola[0] * area, rel=1e-9
    )
    everything = forces.sum("internal", about=(0.3, -0.2, 0.1))
    assert np.abs(everything.force).max() < 1e-12 * piola[0]
    assert np.abs(everything.moment).max() < 1e-12 * piola[0]
    volume = 1e-3
    energy = (
        0.5 * LAW.shear_modulus * ((stretch**2).sum() - 3 - 2 * np.log(jacobian))
        + 0.5 * LAW.lame * np.log(jacobian) ** 2
    )
    assert forces.energy == pytest.approx(energy * volume, rel=1e-9)


def test_loads_of_a_rigid_pose() -> None:
    """Weight, a traction and a pressure all round at half load: sums and moments by hand; no internal force."""
    model = cube()
    loads = [Gravity((0.0, 0.0, -9.81)), Traction("x1", (0.0, 30.0, 0.0))]
    loads += [Pressure(side, 500.0) for side in ("x0", "x1", "y0", "y1", "z0", "z1")]
    problem = model.problem(loads=loads, supports=[Fixed("z0")])
    forces = nodal_forces(problem, np.broadcast_to([0.1, 0.2, 0.3], model.points.shape).copy(), 0.5)
    assert np.abs(forces.internal).max() < 1e-12 * 1e4 * 1e-2
    total = forces.sum("external", about=(0.15, 0.25, 0.35))
    assert total.force == pytest.approx([0.0, 0.5 * 30.0 * 0.01, -0.5 * 9.81], abs=1e-12)
    assert total.moment == pytest.approx([0.0, 0.0, 0.05 * 0.5 * 0.3], abs=1e-12)
    split = forces.sum("unbalanced").force + forces.sum("reaction").force
    assert split == pytest.approx(forces.sum("residual").force, abs=1e-14)


def test_at_equilibrium_only_reactions_are_left() -> None:
    """The same rows as the pure residual; and the reaction that `fields` gives."""
    model = cube()
    problem = model.problem(loads=[Gravity()], supports=[Fixed("z0")], prescribed=[Prescribed("z1", (0.01, 0.0, 0.01))])
    state = solve(problem, tolerance=1e-10).final
    forces = nodal_forces(problem, state)
    scale = np.abs(forces.reaction).max()
    assert np.abs(forces.unbalanced).max() < 1e-8 * scale
    assert forces.sum("reaction", "z1").force == pytest.approx(fields.reaction(problem, state, "z1"), rel=1e-12)
    weight = forces.sum("reaction").force + forces.sum("external").force
    assert np.abs(weight).max() < 1e-8 * scale
    other = np.asarray(state.displacement) + 1e-4 * np.random.default_rng(0).standard_normal(model.points.shape)
    pure = np.asarray(residual(jnp.asarray(other), problem, 1.0))
    free = forces.held == 0
    assert nodal_forces(problem, other).residual[free] == pytest.approx(pure[free], abs=1e-12 * scale)


def test_slips_are_named() -> None:
    model = cube()
    problem, still = model.problem(supports=[Fixed("z0")]), np.zeros(model.points.shape)
    broken, torn = still.copy(), still.copy()
    broken[7, 1] = np.nan
    torn[13] = 1.0
    for field, words in (
        (still[:-1], "does not fit"),
        (broken, "node 7 at"),
        (torn, "inside out"),
        ("none", "no nodal"),
    ):
        with pytest.raises(SolverError, match=words):
            nodal_forces(problem, field)
    with pytest.raises(SolverError, match="fraction"):
        nodal_forces(problem, still, np.nan)
    forces = nodal_forces(problem, still)
    for arguments, words in ((("weight",), "no forces"), (("internal", "nowhere"), "nowhere")):
        with pytest.raises(SolverError, match=words):
            forces.sum(*arguments)
    with pytest.raises(SolverError, match="moments"):
        forces.sum("internal", about=(0.0, np.nan, 0.0))
