"""Which parameters are possible: finite, of the right sign, and of a size that tissue or implants have."""

from __future__ import annotations

from typing import Any

import numpy as np

from ....imaging.errors import SolverError
from ..tensors import Scalar

IMPLAUSIBLE_MODULUS = 10.0
"""Pa. The softest tissues measured (fat, brain) lie above 100 Pa; less means that kPa or MPa was typed as Pa."""
STIFFEST = 1e13
"""Pa. Ten times diamond."""
SOFTEST_FIBERS = 20.0
"""Pa. A third of the softest fibre modulus reported (57 Pa, between fibre and sheet of myocardium)."""
LEAST_BULK = 0.1
"""Of the shear modulus: Poisson's ratio -0.65. Less means that one of the two is not in Pa."""
ORTHOGONAL = 1e-6


def as_array(value: Any) -> Any:
    """A direction written as numbers in a tuple or list, as an array; arrays as they are."""
    return np.asarray(value, float) if isinstance(value, (tuple, list)) else value


def _real(value: Any) -> np.ndarray:
    """As floats; what is no real number stays an object."""
    found = np.asarray(value)
    return found.astype(float) if found.dtype.kind in "fiub" else found.astype(object)


def young_problems(young_modulus: Scalar, poisson_ratio: Scalar) -> list[str]:
    """What is wrong with E [Pa] and ν of an isotropic material; the first bad value is told."""
    found = []
    young, poisson = (np.ravel(_real(value)) for value in (young_modulus, poisson_ratio))
    if young.dtype.kind == "O" or poisson.dtype.kind == "O":
        return [f"Young's modulus {young_modulus!r} and Poisson's ratio {poisson_ratio!r} must be real numbers"]
    bad = young[~(np.isfinite(young) & (young > 0))]
    odd = young[(young < IMPLAUSIBLE_MODULUS) | (young > STIFFEST)]
    if bad.size:
        found.append(f"Young's modulus is {bad[0]:g} Pa; it must be positive")
    elif odd.size:
        found.append(f"Young's modulus is {odd[0]:g} Pa, {_compared(odd[0])}")
    outside = poisson[~(np.isfinite(poisson) & (poisson > -1) & (poisson <= 0.5))]
    if outside.size:
        found.append(
            f"Poisson's ratio is {outside[0]:g}; it must be above -1 and below 0.5 (0.5 itself with mixed elements)"
        )
    return found


def lame_parameters(young_modulus: Scalar, poisson_ratio: Scalar) -> tuple[Scalar, Scalar]:
    """Shear modulus μ and Lamé's λ [Pa] from E [Pa] and ν (numbers or arrays); λ is infinite for ν = 0.5.

    Raises:
        SolverError: E or ν out of range.
    """
    found = young_problems(young_modulus, poisson_ratio)
    if found:
        raise SolverError(found[0], where="material")
    young_modulus, poisson_ratio = (
        np.asarray(value, float) if isinstance(value, (list, tuple)) else value
        for value in (young_modulus, poisson_ratio)
    )
    shear = young_modulus / (2 * (1 + poisson_ratio))
    with np.errstate(divide="ignore"):
        lame = np.divide(2 * shear * poisson_ratio, 1 - 2 * np.asarray(poisson_ratio, float))
    return shear, float(lame) if np.ndim(lame) == 0 else lame


def lame_problems(shear_modulus: Scalar, lame: Scalar) -> list[str]:
    """What is wrong with μ and λ [Pa]: moduli must be positive and plausible; λ alone may be infinite."""
    shear, lam = np.atleast_1d(np.asarray(shear_modulus, float)), np.atleast_1d(np.asarray(lame, float))
    if not np.isfinite(shear).all() or np.isnan(lam).any():
        return ["a modulus is not finite"]
    bulk = lam + 2 * shear / 3
    if (shear <= 0).any() or (bulk <= 0).any():
        return ["the shear and bulk moduli must be positive"]
    return bulk_problems(shear, bulk) or young_problems(shear * (3 - shear / (lam + shear)), 0.0)


def stiffness_problems(shear: Scalar, bulk: Scalar) -> list[str]:
    """What is wrong with the shear modulus that a law has at rest, and with its bulk modulus [Pa]."""
    mu, volume = np.ravel(np.asarray(shear, float)), np.ravel(np.asarray(bulk, float))
    if not (np.isfinite(mu) & (mu > 0)).all():
        return [f"the shear modulus at rest is {mu[~(np.isfinite(mu) & (mu > 0))][0]:g} Pa; it must be positive"]
    odd = mu[(3 * mu < IMPLAUSIBLE_MODULUS) | (mu > STIFFEST)]
    if odd.size:
        return [f"the shear modulus at rest is {odd[0]:g} Pa, {_compared(odd[0])}"]
    if not (volume > 0).all():
        return [f"the bulk modulus is {volume[~(volume > 0)][0]:g} Pa; it must be positive"]
    return bulk_problems(mu, volume)


def bulk_problems(shear: np.ndarray, bulk: np.ndarray) -> list[str]:
    """A bulk modulus that is tiny beside the shear modulus [Pa] is in another unit."""
    if bulk.min() >= LEAST_BULK * shear.min():
        return []
    return [f"the bulk modulus is {bulk.min():g} Pa beside a shear modulus of {shear.min():g} Pa; give both in Pa"]


def fiber_problems(**moduli: Scalar) -> list[str]:
    """Which of the named fibre moduli [Pa] are negative, not finite, or so small that they were given in kPa."""
    found = number_problems(**moduli)
    for name, value in moduli.items():
        flat = np.ravel(np.asarray(value, float))
        odd = flat[(flat > 0) & (flat < SOFTEST_FIBERS)]
        if odd.size:
            found.append(f"{_spoken(name)} is {odd[0]:g} Pa, {_compared(odd[0])}")
    return found


def _spoken(name: str) -> str:
    """A parameter in words; symbols such as `a_fs` as they are."""
    return name if len(name) < 5 else name.replace("_", " ")


def number_problems(low: float = 0.0, *, strict: bool = False, high: float = np.inf, **numbers: Scalar) -> list[str]:
    """Which of the named numbers are not finite or lie outside [low, high], or ]low, high] where strict."""
    found = []
    for name, value in numbers.items():
        flat = np.ravel(np.asarray(value, float))
        good = np.isfinite(flat) & ((flat > low) if strict else (flat >= low)) & (flat <= high)
        if not good.all():
            limit = f"above {low:g}" if strict else f"{low:g} or more"
            limit += "" if np.isinf(high) else f", and at most {high:g}"
            found.append(f"{_spoken(name)} is {flat[~good][0]:g}; it must be {limit}")
    return found


def frame_problems(fiber: Scalar, sheet: Scalar) -> list[str]:
    """Fibre and sheet directions (..., 3) must stand at right angles; the first element where they do not is named."""
    dot = np.einsum("...i,...i->...", np.asarray(fiber, float), np.asarray(sheet, float))
    bad = np.argwhere(~(np.abs(np.atleast_1d(dot)) <= ORTHOGONAL))
    if not bad.size:
        return []
    value = float(np.atleast_1d(dot)[tuple(bad[0])])
    angle = np.degrees(np.arccos(np.clip(abs(value), 0, 1)))
    return [f"fibre and sheet stand at {angle:.1f}° to each other (value {bad[0][0]} of the field), not at 90°"]


def _compared(modulus: float) -> str:
    if modulus > STIFFEST:
        return "stiffer than any material; give it in Pa"
    return "softer than any tissue; give it in Pa, not kPa or MPa"
