"""Homogeneous states of a distorted cube: stretched one way, two ways, with one side held, sheared.

The stress is the reaction over the deformed face, not the law evaluated twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import jax.numpy as jnp
import numpy as np
from scipy.optimize import brentq

from ....imaging.progress import Progress, part
from .. import fields
from ..materials import Material, MooneyRivlin, NeoHookean, Ogden
from ..model import Model
from ..prescribed import Prescribed
from ..problem import Problem
from ..solution import State
from ..static import solve
from ..supports import Fixed
from .case import Case, Computed, Quantity
from .limits import digits, round_off
from .meshes import mesh_for
from .probes import describe

SHEAR = 1e4
"""Pa, so that stresses over it are those of the table."""
MODES = ("uniaxial", "equibiaxial", "pure shear")


@dataclass(frozen=True)
class Stretch:
    """One state: how it is stretched, by how much, and the Cauchy stress along x [Pa]."""

    mode: str
    stretch: float
    stress: float
    last: float = 0.0
    """Last digit of the source; 0 where the reference is computed to double precision."""

    @property
    def quantity(self) -> Quantity:
        """With the limit of a state that any element holds exactly."""
        limit = round_off(1e-6, "any element holds this state exactly: 10 × the solver's tolerance over its condition")
        if self.last:
            limit = limit + digits(self.stress, self.last)
        return Quantity(f"σ₁₁, {self.mode} {self.stretch:g}", self.stress, limit, "Pa")


def stretched(law: Material, element: str, mode: str, stretch: float, progress: Progress) -> tuple[Problem, State]:
    """A unit cube of distorted elements between three symmetry planes, pulled along x (and y), free elsewhere."""
    body = Model.from_mesh(mesh_for(element, (2, 2, 2), jitter=0.2), {"*": law}, element=element)
    held = [Fixed("x0", "x"), Fixed("y0", "y"), Fixed("z0", "z")]
    moved = [Prescribed("x1", (stretch - 1, 0, 0), components="x")]
    if mode == "equibiaxial":
        moved.append(Prescribed("y1", (0, stretch - 1, 0), components="y"))
    elif mode == "pure shear":
        held.append(Fixed("y1", "y"))
    posed = body.problem(supports=held, prescribed=moved)
    steps = int(np.ceil(abs(stretch - 1) / 0.125))
    return posed, solve(posed, load_steps=steps, tolerance=1e-10, progress=progress).final


def stress_along_x(posed: Problem, state: State) -> float:
    """The pull on the face x1 over its deformed area [Pa]; its sides stay planes, so three corners tell the area."""
    force = fields.reaction(posed, state, "x1")[0]
    moved = np.asarray(state.displacement)
    sizes = [1.0 + moved[posed.model.nodes_of(f"{axis}1"), k].mean() for k, axis in ((1, "y"), (2, "z"))]
    return float(force / (sizes[0] * sizes[1]))


def _compute(law: Material, element: str, states: tuple[Stretch, ...], progress: Progress) -> Computed:
    values, mesh = {}, ""
    for index, one in enumerate(states):
        piece = part(progress, index / len(states), (index + 1) / len(states))
        posed, state = stretched(law, element, one.mode, one.stretch, piece)
        values[one.quantity.name], mesh = stress_along_x(posed, state), describe(posed)
    return Computed(values, mesh)


def stretch_case(
    name: str, source: str, law: Material, states: tuple[Stretch, ...], element: str, *, quick: bool = True
) -> Case:
    """A case of a law in some states."""
    compute = partial(_compute, law, element, states)
    return Case(name, source, tuple(one.quantity for one in states), compute, quick=quick)


def free_transverse(stress: Callable[[np.ndarray, int], float], mode: str, stretch: float) -> np.ndarray:
    """Principal stretches (3,) whose free directions carry no stress, by root finding.

    Args:
        stress: (stretches, direction) → principal stress, in closed form.
    """

    def stretches(free: float) -> np.ndarray:
        other = {"uniaxial": free, "equibiaxial": stretch, "pure shear": 1.0}[mode]
        return np.array([stretch, other, free])

    return stretches(brentq(lambda free: stress(stretches(free), 2), 0.2, 3.0, xtol=1e-15))


def _compressible(law: NeoHookean, mode: str, stretch: float) -> Stretch:
    """σᵢ = (μ (λᵢ² − 1) + λ ln J)/J, Bonet and Wood, eq. 6.29."""

    def stress(stretches: np.ndarray, axis: int) -> float:
        volume = float(np.prod(stretches))
        return (law.shear_modulus * (stretches[axis] ** 2 - 1) + law.lame * np.log(volume)) / volume

    return Stretch(mode, stretch, stress(free_transverse(stress, mode, stretch), 0))


def incompressible(mode: str, stretch: float, ratio: float, last: float) -> Stretch:
    """A state whose stress over μ the table gives to a last digit."""
    return Stretch(mode, stretch, SHEAR * ratio, SHEAR * last)


def _sheared(law: Material, amount: float, element: str, progress: Progress) -> Computed:
    """Simple shear held on the whole boundary: the mean stress over the volume."""
    body = Model.from_mesh(mesh_for(element, (2, 2, 2), jitter=0.2), {"*": law}, element=element)
    field = Prescribed("boundary", lambda x: jnp.stack([amount * x[:, 1], 0 * x[:, 1], 0 * x[:, 1]], axis=1))
    posed = body.problem(prescribed=[field])
    state = solve(posed, tolerance=1e-10, progress=progress).final
    stress = fields.element_volumes(body) @ fields.cauchy_stress(body, state).reshape(-1, 9)
    return Computed({"σ₁₂": float(stress[1]), "σ₁₁ − σ₂₂": float(stress[0] - stress[4])}, describe(posed))


COMPRESSIBLE = NeoHookean.from_young(2.9 * SHEAR, 0.45)
_PULLS: Mapping[str, tuple[float, ...]] = {"uniaxial": (0.7, 1.3, 2.0), "equibiaxial": (1.3,), "pure shear": (1.3,)}
_BONET = "σᵢ = (μ (λᵢ² − 1) + λ ln J)/J with free sides (Bonet and Wood, eq. 6.29), roots by Brent's method"
_TABLE = (
    incompressible("uniaxial", 0.7, -0.93857, 1e-5),
    incompressible("uniaxial", 1.3, 0.92077, 1e-5),
    incompressible("uniaxial", 2.0, 3.5, 0),
    incompressible("equibiaxial", 1.3, 1.33987, 1e-5),
    incompressible("equibiaxial", 2.0, 3.9375, 0),
    incompressible("pure shear", 1.3, 1.09828, 1e-5),
    incompressible("pure shear", 2.0, 3.75, 0),
)
_AMOUNT = 0.6
_SHEAR_QUANTITIES = (
    Quantity("σ₁₂", SHEAR * _AMOUNT, round_off(), "Pa"),
    Quantity("σ₁₁ − σ₂₂", SHEAR * _AMOUNT**2, round_off(), "Pa"),
)


def _shear_case(element: str, law: Material) -> Case:
    source = "simple shear: σ₁₂ = μγ, σ₁₁ − σ₂₂ = μγ²"
    compute = partial(_sheared, law, _AMOUNT, element)
    return Case(f"homogeneous-shear-{element}", source, _SHEAR_QUANTITIES, compute, quick=True)


_STATES = tuple(_compressible(COMPRESSIBLE, mode, one) for mode in MODES for one in _PULLS[mode])
_INCOMPRESSIBLE = "σ/μ of an incompressible neo-Hookean body: λ² − 1/λ, λ² − λ⁻⁴, λ² − λ⁻²"
CASES = (
    *(
        stretch_case(f"homogeneous-compressible-{element}", _BONET, COMPRESSIBLE, _STATES, element)
        for element in ("T4", "T10", "T10P1", "H8")
    ),
    stretch_case("homogeneous-incompressible", _INCOMPRESSIBLE, NeoHookean(SHEAR, float("inf")), _TABLE, "T10P1"),
    stretch_case(
        "homogeneous-mooney-rivlin",
        "σ = 2 (λ² − 1/λ)(C₁ + C₂/λ), incompressible, C₁ = 0.5, C₂ = 0.1 (times 10 kPa)",
        MooneyRivlin(0.5 * SHEAR, 0.1 * SHEAR, bulk_modulus=float("inf")),
        (incompressible("uniaxial", 1.3, 1.06243, 1e-5), incompressible("uniaxial", 2.0, 3.85, 0)),
        "T10P1",
    ),
    stretch_case(
        "homogeneous-ogden",
        "σ/μ = (2/α)(λ^α − λ^(−α/2)), incompressible, W = (2μ/α²) Σ (λᵅ − 1), α = −4.7",
        Ogden((SHEAR,), (-4.7,), bulk_modulus=float("inf")),
        (
            incompressible("uniaxial", 0.7, -2.0909, 1e-4),
            incompressible("uniaxial", 0.9, -0.36602, 1e-5),
            incompressible("uniaxial", 1.3, 0.66432, 1e-5),
        ),
        "T10P1",
        quick=False,
    ),
    _shear_case("T10", COMPRESSIBLE),
    _shear_case("T10P1", COMPRESSIBLE),
)
