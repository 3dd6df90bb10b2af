"""Lamé's thick cylinder in plane strain, up to the edge of incompressibility: the test for locking."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from ....imaging.progress import Progress, part
from ..loads import Pressure
from ..materials import NeoHookean
from ..model import Model
from ..problem import Problem
from ..solution import State
from ..static import solve
from ..supports import Fixed
from .case import Case, Computed, Quantity
from .limits import Limit, digits, model, order
from .meshes import curved, mesh_for
from .probes import describe

INNER, OUTER, YOUNG, PRESSURE = 3.0, 9.0, 1000.0, 1.0
SMALL = 1e-4
"""The share of the pressure that is applied: the source is linear, the solver is not."""
RADIAL, AROUND = 8, 10
BORE = {0.3: 4.5825e-3, 0.49: 5.0399e-3, 0.499: 5.0602e-3, 0.4999: 5.0623e-3}
"""u(rᵢ) [m] by ν, as MacNeal and Harder give them."""


def place(unit: NDArray) -> NDArray:
    """A quarter ring, cells growing with the radius: x is ln r, y the angle, z the height."""
    radius, angle = INNER * (OUTER / INNER) ** unit[:, 0], 0.5 * np.pi * unit[:, 1]
    # cos(π/2) is not quite zero; nodes of a symmetry plane must lie on it.
    across = np.where(unit[:, 1] == 1, 0.0, np.cos(angle))
    return np.stack([radius * across, radius * np.sin(angle), 0.5 * unit[:, 2]], axis=1)


def problem(poisson: float, element: str) -> Problem:
    """The ring under inner pressure between smooth walls."""
    law = NeoHookean.from_young(YOUNG, poisson)
    body = curved(Model.from_mesh(mesh_for(element, (RADIAL, AROUND, 1)), {"*": law}, element=element), place)
    walls = [Fixed("y0", "y"), Fixed("y1", "x"), Fixed("z0", "z"), Fixed("z1", "z")]
    return body.problem(loads=[Pressure("x0", SMALL * PRESSURE, symmetric=True)], supports=walls)


def bore(posed: Problem, state: State) -> float:
    """Mean radial displacement of the inner face per unit of pressure [m]."""
    nodes = posed.model.nodes_of("x0")
    radial = np.asarray(posed.model.points)[nodes, :2] / INNER
    return float((np.asarray(state.displacement)[nodes, :2] * radial).sum(axis=1).mean()) / SMALL


def _compute(element: str, ratios: tuple[float, ...], progress: Progress) -> Computed:
    values, mesh = {}, ""
    for index, poisson in enumerate(ratios):
        posed = problem(poisson, element)
        state = solve(posed, progress=part(progress, index / len(ratios), (index + 1) / len(ratios))).final
        values[_name(poisson)], mesh = bore(posed, state), describe(posed)
    return Computed(values, mesh)


def _name(poisson: float) -> str:
    return f"u(rᵢ) at ν = {poisson:g}"


def _limit(poisson: float, power: float) -> Limit:
    mesh = order(power, RADIAL / np.log(OUTER / INNER), "the radius")
    linear = model(10 * SMALL * PRESSURE / YOUNG, "geometry is not linear: 10 × the strain")
    return mesh + linear + digits(BORE[poisson], 1e-7)


def _case(element: str, ratios: tuple[float, ...], power: float) -> Case:
    return Case(
        f"lame-{element}",
        "MacNeal and Harder, Finite Elem. Anal. Des. 1:3 (1985); "
        "u = (1 + ν) p rᵢ ((1 − 2ν) rᵢ² + rₒ²) / (E (rₒ² − rᵢ²))",
        tuple(Quantity(_name(nu), BORE[nu], _limit(nu, power), "m") for nu in ratios),
        partial(_compute, element, ratios),
        quick=True,
    )


CASES = (
    _case("T10", (0.3, 0.49), 4),
    _case("T10P1", tuple(BORE), 4),
    _case("T4P1", tuple(BORE), 2),
    _case("H8", tuple(BORE), 2),
)
