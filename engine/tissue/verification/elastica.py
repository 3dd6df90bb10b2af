"""Euler's elastica: a slender cantilever under a dead load at its end, and rolled up by a moment."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ....imaging.progress import Progress
from ..elements.base import FacetElement
from ..facets import facet_frames
from ..loads import Traction
from ..materials import NeoHookean
from ..model import Model
from ..static import solve
from ..supports import Fixed
from ..terms import Schedule, Term, schedule
from .case import Case, Computed, Quantity
from .limits import Limit, digits, model, order
from .meshes import box
from .probes import describe, displacement_at

YOUNG, LENGTH, SIDE, CELLS = 1e7, 1.0, 0.02, 40
"""Pa, m, m; cells along the beam, one across. ν = 0, as a beam of the theory keeps its section."""
BENDING = YOUNG * SIDE**4 / 12
SLENDER = (SIDE / LENGTH) ** 2
LOADS = (1.0, 2.0, 5.0, 10.0)
TABLE = {1: (0.30172, 0.05643), 2: (0.49346, 0.16064), 5: (0.71379, 0.38763), 10: (0.81061, 0.55500)}
"""PL²/EI → (v/L, u/L), from θ″ = −(PL²/EI) cos θ."""


def beam() -> Model:
    """Along x, its section centred on the axis."""

    def place(unit: np.ndarray) -> np.ndarray:
        return 1e3 * np.stack([LENGTH * unit[:, 0], SIDE * (unit[:, 1] - 0.5), SIDE * (unit[:, 2] - 0.5)], axis=1)

    law = NeoHookean.from_young(YOUNG, 0.0)
    return Model.from_mesh(box((CELLS, 1, 1), place=place), {"*": law}, element="T10")


def _end_load(progress: Progress) -> Computed:
    body = beam()
    largest = LOADS[-1] * BENDING / LENGTH**2
    posed = body.problem(loads=[Traction("x1", (0.0, largest / SIDE**2, 0.0))], supports=[Fixed("x0")])
    solution = solve(posed, load_steps=[load / LOADS[-1] for load in LOADS], progress=progress).require_converged()
    values = {}
    for load, state in zip(LOADS, solution.states, strict=True):
        moved = displacement_at(body, state, (LENGTH, 0.0, 0.0)) / LENGTH
        values[f"v/L at {load:g}"], values[f"u/L at {load:g}"] = float(moved[1]), float(-moved[0])
    return Computed(values, describe(posed))


def _rolled(progress: Progress) -> Computed:
    body = beam()
    load = EndCouple("x1", 2 * np.pi * BENDING / LENGTH)
    posed = body.problem(loads=[load], supports=[Fixed("x0")])
    state = solve(posed, load_steps=16, progress=progress).final
    tip = displacement_at(body, state, (LENGTH, 0.0, 0.0)) + np.array([LENGTH, 0.0, 0.0])
    return Computed({"gap of the circle / L": float(np.linalg.norm(tip)) / LENGTH}, describe(posed))


class EndCouple(eqx.Module):
    """A couple M about z on an end face: normal stress M y/I of the reference position y, following the face."""

    facets: str = eqx.field(static=True)
    moment: Float[Array, ""]
    when: Schedule

    def __init__(self, facets: str, moment: float, *, during: Sequence[float] = (0.0, 1.0)) -> None:
        self.facets, self.moment, self.when = facets, jnp.asarray(moment), schedule(during)

    def bind(self, model: Model) -> list[Term]:
        """One term."""
        facets = model.facets_of(self.facets)
        slope = jnp.broadcast_to(self.moment / (SIDE**4 / 12), (len(facets),))
        return [CoupleTerm(jnp.asarray(facets), slope, model.element.facet, self.when)]


class CoupleTerm(Term):
    """∫ N (M y/I) n da over one deformed facet."""

    nodes: Int[Array, "groups m"]
    slope: Float[Array, " groups"]
    facet: FacetElement = eqx.field(static=True)
    when: Schedule

    @property
    def symmetric(self) -> bool:
        """A follower load over an open face is not."""
        return False

    def force(self, reference: Array, displacement: Array, fraction: Array) -> Array:
        """Nodal forces [N]; fibres with y > 0 are pushed, so that the beam turns towards +y."""
        shape, normal = facet_frames(self.facet, reference + displacement)
        stress = -self.slope * self.when(fraction) * (shape @ reference[:, 1])
        return jnp.einsum("q,qa,qi->ai", self.facet.quadrature.weights * stress, shape, normal)


def _limit(load: float, value: float) -> Limit:
    """The beam stretches by PL²/EI (h/L)²/12 and shears by (12/5)(1 + ν) times that; the curve has its own length."""
    body = model(3.4 * load * SLENDER / 12, "stretch and shear of the beam, PL²/EI (h/L)²/12 × (1 + 12/5)")
    return body + order(3, CELLS / 4, "a quarter of the beam, where curvature changes") + digits(value, 1e-5)


def _case_quantities() -> tuple[Quantity, ...]:
    return tuple(
        Quantity(f"{name}/L at {load:g}", value, _limit(load, value))
        for load in LOADS
        for name, value in zip("vu", TABLE[int(load)], strict=True)
    )


_ROLL_LIMIT = model(
    2 * np.pi * (np.pi * SIDE / LENGTH) ** 2, "2π × the square of the strain πh/L of the outermost fibre"
) + order(3, CELLS / (2 * np.pi), "a radian of the circle")

CASES = (
    Case(
        "elastica-end-load",
        "Euler's elastica, θ″ = −(PL²/EI) cos θ, θ(0) = 0, θ′(L) = 0",
        _case_quantities(),
        _end_load,
        quick=True,
    ),
    Case(
        "elastica-circle",
        "Euler's elastica: an end moment of 2πEI/L closes a circle",
        (Quantity("gap of the circle / L", 0.0, _ROLL_LIMIT, measure="absolute"),),
        _rolled,
    ),
)
