"""Numbers as a caller gives them: real, finite, of the right shape and size, or refused in one line.

Traced arrays pass: their values are not known yet, and belong to a problem that was checked when it was made.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...imaging.errors import SolverError

Shape = tuple[int | None, ...]
"""None stands for any length."""


def array(value: Any, what: str, where: str, *shapes: Shape, advice: str = "") -> Array:
    """The value as an array of floats.

    Args:
        value: numbers, lists of them, or an array of any real type.
        what: what it is called, as in "a pressure".
        where: what it belongs to.
        shapes: those it may have; none: any.
        advice: what to give instead.

    Raises:
        SolverError: it is no real number, not finite, or of another shape.
    """
    found = jnp.asarray(value, float) if _traced(value) else _real(value, what, where, advice)
    if shapes and not any(_fits(np.shape(found), shape) for shape in shapes):
        wanted = " or ".join(str(tuple("n" if n is None else n for n in shape)).replace("'", "") for shape in shapes)
        raise SolverError(f"{what} has shape {np.shape(found)}, not {wanted}", where=where, advice=advice)
    return jnp.asarray(found, float)


def number(
    value: Any,
    what: str,
    where: str,
    *,
    low: float = -np.inf,
    above: float = -np.inf,
    high: float = np.inf,
    below: float = np.inf,
    advice: str = "",
) -> float:
    """The value as one float within [low, high] and ]above, below[.

    Raises:
        SolverError: it is no real number, not finite, or outside.
    """
    found = _real(value, what, where, advice)
    if found.shape != ():
        raise SolverError(f"{what} has shape {found.shape}; give one number", where=where, advice=advice)
    if not (low <= found <= high and above < found < below):
        raise SolverError(f"{what} of {float(found):g} is not possible", where=where, advice=advice)
    return float(found)


def whole(value: Any, what: str, where: str, *, least: int = 1, advice: str = "") -> int:
    """The value as a whole number, `least` or more.

    Raises:
        SolverError: it is none, or less.
    """
    found = number(value, what, where, advice=advice or f"Give a whole number, {least} or more")
    if found < least or found != round(found):
        raise SolverError(
            f"{found:g} {what} are not possible", where=where, advice=advice or f"Give a whole number, {least} or more"
        )
    return int(found)


def tolerance(value: Any, where: str) -> float:
    """A relative tolerance.

    Raises:
        SolverError: not between 0 and 1.
    """
    return number(value, "a tolerance", where, above=0.0, below=1.0, advice="Use 1e-6 to 1e-10")


def at_least(found: Array, low: float, what: str, unit: str, where: str, advice: str) -> Array:
    """The array, where no entry is below a bound; see `small`."""
    _within(found, lambda values: values >= low, what, unit, where, advice)
    return found


def small(found: Array, most: float, what: str, unit: str, where: str, advice: str) -> Array:
    """The array, where no entry is larger than a bound.

    Raises:
        SolverError: one is; tells it.
    """
    _within(found, lambda values: np.abs(values) <= most, what, unit, where, advice)
    return found


def positive(found: Array) -> bool:
    """Whether all entries are known and above zero."""
    return not _traced(found) and bool((np.asarray(found) > 0).all())


def _within(found: Array, good: Callable, what: str, unit: str, where: str, advice: str) -> None:
    if _traced(found):
        return
    values = np.atleast_1d(np.asarray(found))
    bad = np.argwhere(~good(values))
    if bad.size:
        told = f"{values[tuple(bad[0])]:g} {unit}".strip()
        raise SolverError(f"{what} of {told} is not plausible", where=where, advice=advice)


def _traced(value: Any) -> bool:
    return any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value))  # pyright: ignore[reportAttributeAccessIssue]


def _real(value: Any, what: str, where: str, advice: str) -> np.ndarray:
    try:
        found = np.asarray(value)
    except (TypeError, ValueError):
        found = np.asarray(None)
    if found.dtype.kind not in "fiub" and not (found.dtype.kind == "V" and hasattr(value, "astype")):
        kind = "complex" if found.dtype.kind == "c" else "no number"
        told = repr(value) if isinstance(value, (str, int, float, complex, type(None))) else type(value).__name__
        raise SolverError(f"{what} of {told} is {kind}", where=where, advice=advice or "Give real numbers")
    found = found.astype(float)
    if not np.isfinite(found).all():
        bad = np.argwhere(~np.isfinite(np.atleast_1d(found)))
        entry = f", first entry {bad[0].tolist()}" if found.ndim else ""
        told = np.atleast_1d(found)[tuple(bad[0])]
        raise SolverError(f"{what} is not finite ({told}{entry})", where=where, advice=advice or "Look for NaN")
    return found


def _fits(shape: tuple[int, ...], wanted: Shape) -> bool:
    return len(shape) == len(wanted) and all(w is None or n == w for n, w in zip(shape, wanted, strict=True))
