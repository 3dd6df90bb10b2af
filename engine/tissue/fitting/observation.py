"""What an observation is: residuals between what was seen and what the model gives, and how noisy they are."""

from __future__ import annotations

import abc
from functools import cached_property

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray
from scipy import sparse

from ....imaging.errors import SolverError
from .. import given
from ..terms import components_of
from .correlation import decaying
from .setting import Setting

STUDENT_FREEDOM = 4.0
"""Degrees of freedom of the robust noise law (Lange, Little and Taylor, J Am Stat Assoc 84:881, 1989)."""


class Bound(eqx.Module):
    """An observation at one state: pairings are found, residuals are a smooth function."""

    @abc.abstractmethod
    def residuals(self, displacement: Float[Array, "rows 3"], setting: Setting) -> Float[Array, " m"]:
        """Model minus observation, in the observation's unit."""

    def motion(self, displacement: Float[Array, "rows 3"], setting: Setting) -> Float[Array, " m"]:
        """What the body's motion adds to the residuals, pairings as they are; of a force, the force itself."""
        return self.residuals(displacement, setting) - self.residuals(jnp.zeros_like(displacement), setting)

    def directions(self) -> Float[np.ndarray, "m c"]:
        """Along which vector each residual sees an error of its place: residual = direction · error."""
        raise NotImplementedError


class Observation(abc.ABC):
    """Something that was seen.

    Attributes:
        label, unit: for messages.
        noise: standard deviation of one residual, in its unit; None: estimated from what is left.
        robust: Student's law with 4 degrees of freedom instead of the normal one: outliers lose their weight.
        correlation: distance ℓ [m] over which errors go the same way (model error, a smoothing sensor): the error
            is a vector field whose components go together by exp(−d/ℓ). 0: all independent. None: not known, read
            off the residuals of the best numbers; where these go together, the intervals are widened for it.
    """

    label: str
    unit: str = "m"
    noise: float | None
    robust: bool = False
    correlation: float | None = None

    @abc.abstractmethod
    def check(self, setting: Setting) -> None:
        """Raise where the observation does not fit the model."""

    @abc.abstractmethod
    def bind(self, setting: Setting, displacement: NDArray) -> Bound:
        """Find pairings at a state."""

    @property
    @abc.abstractmethod
    def count(self) -> int:
        """How many residuals."""

    @property
    def positions(self) -> Float[np.ndarray, "n 3"] | None:
        """Where each point was seen [m], for the correlation; None where there is no place."""
        return None

    @cached_property
    def kernel(self) -> sparse.csr_matrix | None:
        """exp(−d_ij/ℓ) of all pairs of places up to 6 ℓ; None where residuals are independent."""
        places = self.positions
        if not self.correlation or places is None or len(places) < 2:
            return None
        return decaying(places, self.correlation)

    def design_effect(self, bound: Bound) -> float:
        """n over the effective number of independent residuals, for errors that vary smoothly along the body.

        Of a shift along axis c the residuals are the components d_c of `directions`; its variance over that of
        independent residuals is d_cᵀ ρ d_c / d_cᵀ d_c, here over the three together.
        """
        if self.kernel is None:
            return 1.0
        along = bound.directions()
        return float(np.trace(self.gathered(bound, along)) / (along**2).sum())

    def gathered(self, bound: Bound, jacobian: Float[NDArray, "m n"]) -> Float[NDArray, "n n"]:
        """JᵀρJ, ρ the correlation of the residuals: that of a vector field of errors, seen along `directions`."""
        if self.kernel is None:
            return jacobian.T @ jacobian
        total, places = np.zeros((jacobian.shape[1],) * 2), self.kernel.shape[0]
        for along in bound.directions().T:
            seen = (along[:, None] * jacobian).reshape(places, -1, jacobian.shape[1]).sum(axis=1)
            total += seen.T @ (self.kernel @ seen)
        return total


def finite(values: NDArray, what: str, where: str) -> NDArray:
    """The values as floats.

    Raises:
        SolverError: there are none, or one is NaN or infinite; says which.
    """
    array = np.asarray(values) if not isinstance(values, (str, type(None))) else np.asarray(None)
    if array.dtype.kind not in "fiub":
        raise SolverError(f"{what} are no real numbers", where=where, advice="Give numbers, in SI units")
    array = array.astype(float)
    if array.size == 0:
        raise SolverError(f"there are no {what}", where=where, advice="Give at least one")
    bad = np.flatnonzero(~np.isfinite(array.reshape(len(array), -1)).all(axis=1)) if array.ndim else np.array([])
    if bad.size:
        raise SolverError(
            f"{bad.size} of {len(array)} {what} are not finite, the first is number {bad[0]}",
            where=where,
            advice="Leave out what was not seen",
        )
    return array


def positive_noise(noise: float | None, where: str) -> float | None:
    """The noise, if it is one.

    Raises:
        SolverError: not positive or not finite.
    """
    if noise is None:
        return None
    return given.number(noise, "a noise", where, above=0.0, advice="Give a standard deviation, or None")


def vectors(values: NDArray, what: str, where: str) -> NDArray:
    """Finite values (n, 3).

    Raises:
        SolverError: as `finite`; or they are of another shape.
    """
    found = finite(values, what, where)
    if found.ndim != 2 or found.shape[1] != 3:
        raise SolverError(f"{what} have shape {found.shape}, not (n, 3)", where=where, advice="Give x, y, z of each")
    return found


def alike(correlation: float | None, where: str) -> float | None:
    """A correlation length [m], zero or more; None where it is not known.

    Raises:
        SolverError: it is none.
    """
    return None if correlation is None else distance(correlation, "a correlation", where)


def distance(value: float, what: str, where: str) -> float:
    """A length [m], zero or more.

    Raises:
        SolverError: it is none.
    """
    return given.number(value, what, where, low=0.0, advice="Give m")


def measured(force: object, components: str, where: str) -> tuple[NDArray, tuple[int, ...]]:
    """A force (3,) [N] and which of its components were measured.

    Raises:
        SolverError: another shape, no components, or others than x, y, z.
    """
    value = np.asarray(given.array(force, "a force", where, (3,), advice="Give x, y, z in N"))
    chosen = components_of(components)
    return value, tuple(axis for axis in range(3) if chosen[axis])


def refuse_far(points: NDArray, body: NDArray, where: str, *, reach: float = 0.5) -> None:
    """Points further from the body than `reach` times its size are in another unit or frame.

    Raises:
        SolverError: more than half are far; says the first and the likely unit.
    """
    low, high = body.min(axis=0), body.max(axis=0)
    size = float(np.linalg.norm(high - low))
    outside = np.linalg.norm(np.maximum(np.maximum(low - points, points - high), 0.0), axis=1)
    far = np.flatnonzero(outside > reach * size)
    if 2 * far.size > len(points):
        spread = float(np.linalg.norm(np.ptp(points, axis=0)))
        unit = (
            "Give metres, not millimetres" if spread > 20 * size else "Check the unit (m) and the frame of the points"
        )
        raise SolverError(
            f"{far.size} of {len(points)} points lie far from the body, the first is number {far[0]} at "
            f"{np.round(points[far[0]], 4)} m, {outside[far[0]]:.3g} m away from a body of {size:.3g} m",
            where=where,
            advice=unit,
        )
