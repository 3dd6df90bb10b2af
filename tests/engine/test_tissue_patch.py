"""What every element and material must do exactly: constant strain, rigid motion, rest, exact tangents."""

from __future__ import annotations

import bodies
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue import fields
from preop.engine.tissue.elements import ELEMENTS
from preop.engine.tissue.materials import MATERIALS
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Grasp, Prescribed
from preop.engine.tissue.residual import internal_force
from preop.engine.tissue.static import solve

GRADIENT = np.array([[0.10, 0.05, -0.04], [0.02, -0.08, 0.06], [-0.03, 0.07, 0.12]])


def material(name: str):
    return MATERIALS[name].example()


CASES = [(element, "neo-hookean") for element in ELEMENTS]
# Each law's slopes are tested by themselves; here, one of each kind of field that kernels slice and transpose.
CASES += [("T4", name) for name in ("ogden", "guccione", "residual-strain", "viscoelastic")]


@pytest.mark.parametrize(("element", "name"), CASES)
def test_patch(element: str, name: str) -> None:
    """A linear displacement on the boundary of a distorted mesh is found inside, and the stress is constant."""
    model = Model.from_mesh(bodies.mesh_for(element, (2, 2, 2), jitter=0.25), {"body": material(name)}, element=element)
    points = np.asarray(model.points)
    outside = ((points <= 1e-12) | (points >= 1 - 1e-12)).any(axis=1)
    model = _with_set(model, "outside", np.flatnonzero(outside))
    problem = model.problem(prescribed=[Prescribed("outside", lambda x: x @ GRADIENT.T)])
    solution = solve(problem, tolerance=1e-11)
    exact = points @ GRADIENT.T
    assert (~outside).any()
    assert np.abs(np.asarray(solution.final.displacement) - exact).max() < 1e-12
    stress = fields.cauchy_stress(model, solution.final)
    assert np.ptp(stress, axis=0).max() < 1e-9 * np.abs(stress).max()


def _with_set(model: Model, name: str, nodes: np.ndarray) -> Model:
    import equinox as eqx

    return eqx.tree_at(lambda m: m.node_sets, model, {**model.node_sets, name: nodes.astype(np.int32)})


@pytest.mark.parametrize("element", ELEMENTS)
def test_rigid_motion_carries_no_force(element: str) -> None:
    """A large rotation of a distorted mesh leaves all nodal forces at round-off."""
    model = Model.from_mesh(
        bodies.mesh_for(element, (2, 2, 2), jitter=0.2), {"body": material("neo-hookean")}, element=element
    )
    problem = model.problem(prescribed=[Grasp("boundary", (0.1, 0.2, -0.1), rotation=(0.9, -1.1, 0.4))])
    solution = solve(problem)
    points = np.asarray(model.points)
    spread = points + np.asarray(solution.final.displacement)
    assert np.allclose(
        np.linalg.norm(spread - spread[0], axis=1), np.linalg.norm(points - points[0], axis=1), atol=1e-11
    )
    # Round-off of E × area (1e4 N) is 1e-12 N times the entries of a row.
    assert np.abs(fields.reaction_forces(problem, solution.final)).max() < 1e-9
    assert fields.strain_energy(model, solution.final) < 1e-11


@pytest.mark.parametrize("element", ELEMENTS)
def test_element_tangent_is_the_slope_of_the_force(element: str) -> None:
    """The assembled host tangent times a direction equals the derivative of the internal force."""
    from preop.engine.tissue.host_system import HostSystem
    from preop.engine.tissue.system import Timer

    model = Model.from_mesh(
        bodies.mesh_for(element, (2, 2, 2), jitter=0.2), {"body": material("neo-hookean")}, element=element
    )
    problem = model.problem(prescribed=[Grasp("z0")])
    rng = np.random.default_rng(11)
    system = HostSystem(problem, Timer())
    moved, direction = (0.02 * rng.standard_normal(system.points.shape) for _ in range(2))

    def force(field: jax.Array) -> jax.Array:
        """What the system balances: pressures in units of `row_scale`, so that every row is a force."""
        return internal_force(field * system.row_scale, problem) * system.row_scale

    _, slope = jax.jvp(force, (jnp.asarray(moved),), (jnp.asarray(direction),))
    product = system.linearize(moved, 1.0).product(direction)
    assert np.abs(product - np.asarray(slope)).max() < 1e-12 * np.abs(product).max()
