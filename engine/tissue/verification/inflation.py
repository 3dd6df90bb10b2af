"""Finite inflation of thick incompressible vessels: a cylinder in plane strain and a sphere."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import quad

from ....imaging.progress import Progress
from .. import fields
from ..materials import NeoHookean
from ..model import Model
from ..prescribed import Prescribed
from ..problem import Problem
from ..solution import State
from ..static import solve
from ..supports import Fixed
from .case import Case, Computed, Quantity
from .limits import digits, order
from .meshes import box, curved, shell, spherical
from .probes import describe

INNER, OUTER, SHEAR = 1.0, 2.0, 1e4
STRETCHES = (1.2, 1.5, 2.0)
CYLINDER = (0.233370, 0.428228, 0.574054)
SPHERE = (0.480160, 0.755433, 0.806927)
"""p/μ at the inner stretches."""
RADIAL, AROUND = 6, 6
"""Cells through the wall and, of the sphere and the cylinder, over a right angle."""
LENGTH = 0.3
LAW = NeoHookean(SHEAR, float("inf"))


def pressure_of_cylinder(stretch: float) -> float:
    """p/μ = ∫ (λ² − λ⁻²) dr/r, λ = r/R, r² = R² + a² − A²: an independent check of the table."""
    return _through_wall(stretch, 2, lambda hoop: hoop**2 - hoop**-2)


def pressure_of_sphere(stretch: float) -> float:
    """p/μ = ∫ 2 (λ² − λ⁻⁴) dr/r, r³ = R³ + a³ − A³."""
    return _through_wall(stretch, 3, lambda hoop: 2 * (hoop**2 - hoop**-4))


def _through_wall(stretch: float, power: int, difference: Callable[[float], float]) -> float:
    grown = (stretch * INNER) ** power - INNER**power

    def integrand(reference: float) -> float:
        radius = (reference**power + grown) ** (1 / power)
        return difference(radius / reference) * (reference / radius) ** (power - 1) / radius

    return quad(integrand, INNER, OUTER, epsabs=1e-12)[0]


def _ring(unit: NDArray) -> NDArray:
    radius, angle = INNER * (OUTER / INNER) ** unit[:, 0], 0.5 * np.pi * unit[:, 1]
    across = np.where(unit[:, 1] == 1, 0.0, np.cos(angle))
    return np.stack([radius * across, radius * np.sin(angle), LENGTH * unit[:, 2]], axis=1)


def _ball(simple: NDArray) -> NDArray:
    direction, depth = spherical(simple)
    return direction * (INNER * (OUTER / INNER) ** depth)[:, None]


def _cylinder() -> tuple[Problem, str]:
    body = curved(Model.from_mesh(box((RADIAL, AROUND, 1)), {"*": LAW}, element="T10P1"), _ring)
    planes = [Fixed("y0", "y"), Fixed("y1", "x"), Fixed("z0", "z"), Fixed("z1", "z")]
    return body.problem(supports=planes, prescribed=[Prescribed("x0", _outward(2))]), "x0"


def _sphere() -> tuple[Problem, str]:
    body = curved(Model.from_mesh(shell(AROUND, RADIAL), {"*": LAW}, element="T10P1"), _ball)
    planes = [Fixed("x0", "x"), Fixed("y0", "y"), Fixed("z0", "z")]
    return body.problem(supports=planes, prescribed=[Prescribed("inner", _outward(3))]), "inner"


def _outward(axes: int) -> Callable:
    """u = X at full load: an inner stretch of two."""
    keep = np.array([1.0, 1.0, 1.0 if axes == 3 else 0.0])
    return lambda points: points * keep


def _pressure(posed: Problem, state: State, inner: str, axes: int) -> float:
    """p/μ from the work of the inner face: Σ f · e_r over the deformed area of the true circle or sphere."""
    nodes = posed.model.nodes_of(inner)
    outward = np.asarray(posed.model.points)[nodes] / INNER
    outward[:, axes:] = 0.0
    radius = (1.0 + state.load_fraction) * INNER
    area = 0.5 * np.pi * radius * LENGTH if axes == 2 else 0.5 * np.pi * radius**2
    return float((fields.reaction_forces(posed, state)[nodes] * outward).sum() / area / SHEAR)


def _compute(pose: Callable[[], tuple[Problem, str]], axes: int, progress: Progress) -> Computed:
    posed, inner = pose()
    wanted = [stretch - 1.0 for stretch in STRETCHES]
    solution = solve(posed, load_steps=wanted, tolerance=1e-7, progress=progress).require_converged()
    values = {
        _name(stretch): _pressure(posed, state, inner, axes)
        for stretch, state in zip(STRETCHES, solution.states, strict=True)
    }
    return Computed(values, describe(posed))


def _name(stretch: float) -> str:
    return f"p/μ at a/A = {stretch:g}"


def _case(name: str, source: str, pose: Callable, axes: int, table: tuple[float, ...], *, quick: bool) -> Case:
    # The wall is thinnest against its radius inside: ln 2 over the cells; a right angle is π/2.
    mesh = order(4, AROUND / (0.5 * np.pi), "a radian")
    quantities = tuple(
        Quantity(_name(stretch), value, mesh + digits(value, 1e-6))
        for stretch, value in zip(STRETCHES, table, strict=True)
    )
    return Case(name, source, quantities, partial(_compute, pose, axes), quick=quick)


CASES = (
    _case(
        "inflation-cylinder", "p/μ = ∫ (λ² − λ⁻²) dr/r, incompressible neo-Hookean cylinder, B/A = 2, plane strain",
        _cylinder, 2, CYLINDER, quick=True,
    ),
    _case(
        "inflation-sphere", "p/μ = ∫ 2 (λ² − λ⁻⁴) dr/r, incompressible neo-Hookean sphere, B/A = 2",
        _sphere, 3, SPHERE, quick=False,
    ),
)  # fmt: skip
