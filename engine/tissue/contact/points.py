"""What contact does at its points, and reading it off in chunks of one shape."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from ..kernels import TermKernel


class ContactPoints(NamedTuple):
    """At each point of a contact (any leading shape …), LPS: numpy when read off, traced in kernels."""

    position: Any
    """Where it is (…, 3) [m]."""
    gap: Any
    """Distance [m], negative where one is in the other."""
    pressure: Any
    """Contact pressure per reference area [Pa]."""
    traction: Any
    """Pressure and friction on the body (the slave side of two) per reference area [Pa]."""
    area: Any
    """Reference area it stands for [m²]."""
    anchor: Any
    """Where friction would pull it, to be kept as history: moved on by what slipped."""

    @property
    def opening(self) -> Any:
        """The gap [m] that has to close before friction acts, zero where there is contact: the history of friction."""
        xp = jnp if isinstance(self.gap, jax.Array) else np
        return xp.where(self.pressure > 0, 0.0, self.gap)


@jax.jit
def _points(term: Any, reference: Array, displacement: Array, fraction: Array) -> ContactPoints:
    return term.points(reference, displacement, fraction)


def contact_points(
    term: Any, points: NDArray, displacement: NDArray, fraction: float, size: int | None = None
) -> ContactPoints:
    """At all groups of a contact term, as numpy arrays; `size` groups per compiled call."""
    if len(term.nodes) == 0:
        none = np.zeros(0)
        return ContactPoints(np.zeros((0, 3)), none, none, np.zeros((0, 3)), none, np.zeros((0, 2)))
    kernel = TermKernel(term, points, size)
    calls = [
        _points(part, reference, displacement[nodes], np.float64(fraction))
        for part, reference, nodes in zip(kernel.term, kernel.reference, kernel.gather, strict=True)
    ]
    return jax.tree.map(lambda *parts: np.concatenate([np.asarray(p) for p in parts])[: len(kernel.nodes)], *calls)
