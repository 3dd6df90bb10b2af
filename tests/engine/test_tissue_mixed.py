"""Mixed elements: exact at full incompressibility where the answer is homogeneous, no locking, pressures that jump."""

from __future__ import annotations

import bodies
import jax.numpy as jnp
import numpy as np
import pytest
from test_tissue_reference import bore_displacement, lame

from preop.engine.tissue import dynamic, fields
from preop.engine.tissue.elements import ELEMENTS
from preop.engine.tissue.integrators import Newmark
from preop.engine.tissue.loads import Gravity
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.solution import ResultCode, State
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.imaging.errors import SolverError
from preop.meshing.mesh import TetMesh

MIXED = [name for name, element in ELEMENTS.items() if element.mixed]
YOUNG = 9e3
SHEAR = YOUNG / 3
"""μ = E/3 where ν = ½."""


def pulled(mesh: TetMesh, materials: dict, element: str, stretch: float) -> tuple[Model, State]:
    """A unit cube stretched along x between planes of symmetry, its other sides free."""
    model = Model.from_mesh(mesh, materials, element=element)
    problem = model.problem(
        supports=[Fixed("x0", "x"), Fixed("y0", "y"), Fixed("z0", "z")],
        prescribed=[Prescribed("x1", (stretch - 1.0, 0.0, 0.0), components="x")],
    )
    return model, solve(problem, tolerance=1e-11).final


@pytest.mark.parametrize("element", MIXED)
@pytest.mark.parametrize("stretch", [0.7, 1.3, 2.0])
def test_incompressible_uniaxial_stress(element: str, stretch: float) -> None:
    """σ/μ = λ² − 1/λ exactly, on a distorted mesh, with the volume kept to round-off."""
    law = NeoHookean.from_young(YOUNG, 0.5)
    model, state = pulled(bodies.box((2, 2, 2), jitter=0.2), {"body": law}, element, stretch)
    stress = fields.cauchy_stress(model, state)
    assert stress[:, 0, 0] == pytest.approx(SHEAR * (stretch**2 - 1 / stretch), rel=1e-8)
    assert np.abs(stress[:, 1:, 1:]).max() < 1e-7 * SHEAR
    assert fields.volume_ratio(model, state) == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("element", MIXED)
def test_pressure_jumps_between_regions(element: str) -> None:
    """Two incompressible halves side by side stretch as one; each has its own p = −μ/λ, and no side is loaded."""
    whole, stretch = bodies.box((2, 2, 2)), 1.5
    centre = whole.points[whole.tetrahedra].mean(axis=1)[:, 1]
    halves = TetMesh(whole.points, whole.tetrahedra, np.where(centre < 500.0, 1, 2), {1: "soft", 2: "stiff"},
                     facet_sets=whole.facet_sets, node_sets=whole.node_sets)  # fmt: skip
    laws = {"soft": NeoHookean.from_young(YOUNG, 0.5), "stiff": NeoHookean.from_young(10 * YOUNG, 0.5)}
    model, state = pulled(halves, laws, element, stretch)
    stress = fields.cauchy_stress(model, state)
    for name, law in laws.items():
        inside = fields.region_elements(model, name)
        expected = float(law.shear_modulus) * (stretch**2 - 1 / stretch)
        assert stress[inside, 0, 0] == pytest.approx(expected, rel=1e-7)
        assert np.abs(stress[inside, 1:, 1:]).max() < 1e-6 * float(law.shear_modulus)
    assert len(model.pressure_corners) > model.mesh_nodes


@pytest.mark.parametrize("element", MIXED)
def test_lame_cylinder_up_to_full_incompressibility(element: str) -> None:
    """The error at ν = 0.4999 and at ½ is that at ν = 0.3 (geometry of straight facets), not 40 % and more."""
    easy = abs(bore_displacement(0.3, element, 4, 6) / lame(0.3) - 1)
    for poisson in (0.4999, 0.5):
        error = abs(bore_displacement(poisson, element, 4, 6) / lame(poisson) - 1)
        assert error < 1.3 * easy
    assert abs(bore_displacement(0.4999, "T4", 4, 6) / lame(0.4999) - 1) > 0.3


def test_displacement_elements_refuse_incompressible_materials() -> None:
    with pytest.raises(SolverError, match="incompressible") as told:
        Model.from_mesh(bodies.box(), {"body": NeoHookean.from_young(YOUNG, 0.5)}, element="T10")
    assert "mixed" in told.value.line()


@pytest.mark.parametrize("element", MIXED)
def test_a_pressure_that_nothing_determines_is_told(element: str) -> None:
    """The whole surface held and no compressibility: any level of the pressure would do."""
    model = Model.from_mesh(bodies.box((2, 2, 2)), {"body": NeoHookean.from_young(YOUNG, 0.5)}, element=element)
    sides = [Fixed(side) for side in ("x0", "x1", "y0", "y1", "z0", "z1")]
    with pytest.raises(SolverError, match="whole surface is held"):
        solve(model.problem(loads=[Gravity()], supports=sides))


def test_large_shear_of_a_nearly_incompressible_block_keeps_its_volume() -> None:
    """30 % shear and 20 % stretch between glued ends at ν = 0.4999: full steps, volume kept to 0.2 %."""
    law = NeoHookean.from_young(YOUNG, 0.4999)
    model = Model.from_mesh(bodies.box((4, 4, 4)), {"body": law}, element="T4P1")
    problem = model.problem(supports=[Fixed("z0")], prescribed=[Prescribed("z1", (0.3, 0.0, 0.2))])
    solution = solve(problem)
    assert solution.result is ResultCode.converged
    assert abs(fields.volume_change(model, solution.final)) < 2e-3
    assert solution.statistics.stability == "stable"


@pytest.mark.parametrize("element", MIXED)
def test_a_state_is_a_state_of_displacements_and_pressures(element: str) -> None:
    """Displacements come apart from pressures [Pa], and a solve started from its own answer has nothing left to do."""
    law = NeoHookean.from_young(YOUNG, 0.499)
    model, state = pulled(bodies.box((1, 1, 1)), {"body": law}, element, 1.2)
    assert state.displacement.shape == model.points.shape
    assert state.pressure is not None
    lateral = np.ptp((np.asarray(model.points) + np.asarray(state.displacement))[:, 1])
    # The side is free: μ (λ² − 1) + p = 0 with W_shape = μ/2 (I₁ − 3) − μ ln J.
    assert np.asarray(state.pressure) == pytest.approx(float(law.shear_modulus) * (1 - lateral**2), rel=1e-6)
    assert jnp.asarray(state.rows).shape == (len(model.points) + len(model.pressure_corners), 3)


@pytest.mark.slow  # compiling a whole residual and tangent takes most of it
@pytest.mark.parametrize("element", [pytest.param(e, marks=pytest.mark.long) for e in ("T4P1", "T10P1")])
def test_a_device_finds_what_the_host_finds(element: str) -> None:
    """Full incompressibility, glued ends, large shear: displacement and pressure to 1e-8."""
    model = Model.from_mesh(bodies.box((2, 2, 2)), {"body": NeoHookean.from_young(YOUNG, 0.5)}, element=element)
    problem = model.problem(supports=[Fixed("z0")], prescribed=[Prescribed("z1", (0.2, 0.0, 0.1))])
    host, device = (solve(problem, linear_solver=where, tolerance=1e-11) for where in ("host", "device"))
    assert device.statistics.stability == host.statistics.stability == "stable"
    for name in ("displacement", "pressure"):
        wanted = np.asarray(getattr(host.final, name))
        assert np.asarray(getattr(device.final, name)) == pytest.approx(wanted, abs=1e-8 * np.abs(wanted).max())


@pytest.mark.parametrize(("element", "cells"), [("T10P1", (1, 1, 4)), ("T4P1", (2, 2, 8))])
def test_a_shear_wave_keeps_its_period(element: str, cells: tuple[int, int, int]) -> None:
    """A slab of incompressible tissue on the ground, moving along x only: u = sin(πz/2H), ω = π/2H √(μ/ρ).

    Newmark's trapezoids lengthen a period by (ω Δt)²/12, linear elements shorten it by (πh/2H)²/24.
    """
    height, density, steps = 0.1, 1000.0, 40
    mesh = bodies.box(cells, size=(100.0, 100.0, 1e3 * height))
    law = NeoHookean.from_young(YOUNG, 0.5)
    model = Model.from_mesh(mesh, {"body": law}, element=element, density=density)
    problem = model.problem(supports=[Fixed("z0"), Fixed("all", "yz")])
    rate = 0.5 * np.pi / height * np.sqrt(SHEAR / density)

    def start(points: jnp.ndarray) -> jnp.ndarray:
        return 1e-4 * rate * jnp.sin(0.5 * jnp.pi * points[:, 2:] / height) * jnp.array([1.0, 0.0, 0.0])

    period = 2 * np.pi / rate
    path = dynamic.solve(problem, duration=period, steps=steps, integrator=Newmark(), velocity=start, tolerance=1e-8)
    tip = int(np.argmax(np.asarray(model.points)[:, 2]))
    moved = np.array([float(state.displacement[tip, 0]) for state in path.require_converged().states])
    last = int(np.flatnonzero((moved[:-1] > 0) & (moved[1:] <= 0))[0])
    zero = path.times[last] + (path.times[last + 1] - path.times[last]) * moved[last] / (moved[last] - moved[last + 1])
    limit = (2 * np.pi / steps) ** 2 / 12 + (0.5 * np.pi / cells[2]) ** 2 / 24
    assert 2 * zero == pytest.approx(period, rel=limit)
