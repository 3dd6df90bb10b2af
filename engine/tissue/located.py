"""Which element has the parameter that a material finds fault with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from numpy.typing import NDArray


def first_bad(material: Any, leaves: Sequence[NDArray], shapes: Sequence[tuple[int, ...]]) -> int | None:
    """The first element whose own parameters its material's `problems` are about; None if no parameter is by element.

    Args:
        material: what has `problems`, its leaves in any shape.
        leaves: its parameters as arrays, of the trailing shape or (elements, …).
        shapes: the trailing shape of each.
    """
    structure = jax.tree.structure(material)
    by_element = [leaf.shape != shape for leaf, shape in zip(leaves, shapes, strict=True)]
    if not any(by_element):
        return None

    def bad(start: int, stop: int) -> bool:
        rows = [leaf[start:stop] if own else leaf for leaf, own in zip(leaves, by_element, strict=True)]
        return bool(jax.tree.unflatten(structure, rows).problems())

    low, high = 0, next(len(leaf) for leaf, own in zip(leaves, by_element, strict=True) if own)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if bad(low, middle) else (middle, high)
    return low


def told(what: str, element: int | None, centre: NDArray | None) -> str:
    """A fault with the element [number] and place [mm] that it was found at."""
    return what if element is None or centre is None else f"element {element} at {np.round(centre, 2)} mm: {what}"
