"""Where a place lies in the parent coordinates of the facet that it is on (numpy)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ..elements.base import Element, FacetElement
from ..elements.hex8 import CORNERS
from ..model import MM

ROUNDS = 30
"""Newton steps: about four for a quadrangle whose opposite edges differ by half."""
SETTLED = 1e-8
"""Last step in parent coordinates: what is left is of the order of its square."""
TETRAHEDRON = np.vstack([np.zeros(3), np.eye(3)])
"""Parent coordinates of the corners of a tetrahedron."""


def facet_places(kind: FacetElement, nodes: NDArray, at: NDArray, axes: NDArray, where: str) -> NDArray[np.float64]:
    """ξ (s, q, 2) at which Σ N_a(ξ) x_a and the places (s, q, 3) agree along the axes (s, 2, 3), by Newton's method.

    Args:
        nodes: (s, m, 3) m.

    Raises:
        SolverError: a facet so distorted that it is not found.
    """
    centre = nodes.mean(axis=1, keepdims=True)
    flat, aim = ((part - centre) @ np.swapaxes(axes, 1, 2) for part in (nodes, at))
    rule = kind.quadrature
    place = np.tile(rule.weights @ rule.points / rule.weights.sum(), (*at.shape[:2], 1))
    for _ in range(ROUNDS):
        slope, off = slopes(kind, place), aim - shapes(kind, place) @ flat
        step, lost = _step(np.swapaxes(slope, 2, 3) @ flat[:, None], off)
        length = np.sqrt(step[..., 0] ** 2 + step[..., 1] ** 2)
        if kind.nodes == 3 and not lost.any():  # flat: the first step is exact, however long
            return place + step
        place = place + step / np.maximum(length, 1.0)[..., None]
        if not lost.any() and length.max(initial=0.0) < SETTLED:
            return place
    bad = int(np.argmax(np.where(lost, np.inf, length).max(axis=1)))  # pyright: ignore[reportPossiblyUnboundVariable]
    raise SolverError(
        f"a {kind.name} at {np.round(nodes[bad].mean(axis=0) / MM, 2)} mm is so distorted that no place on it is found",
        where=where,
        advice="Look at the mesh there: corners may have been pulled past each other",
    )


def _step(along: NDArray, off: NDArray) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """s with s_d ∂x/∂ξ_d = off (s, q, 2) for ∂x_i/∂ξ_d as (s, q, d, i), written out; and where there is none."""
    a, b, c, d = (along[..., k, i] for k in (0, 1) for i in (0, 1))
    determinant = a * d - b * c
    lost = ~(np.abs(determinant) > 0)
    determinant = np.where(lost, 1.0, determinant)
    first, second = off[..., 0] * d - off[..., 1] * c, off[..., 1] * a - off[..., 0] * b
    return np.stack([first / determinant, second / determinant], axis=-1), lost


def corner_places(kind: Element) -> NDArray[np.float64]:
    """Parent coordinates (4 or 8, 3) of the corners of a solid."""
    return TETRAHEDRON if kind.corners == 4 else CORNERS


def shapes(kind: FacetElement | Element, place: NDArray) -> NDArray[np.float64]:
    """N (s, q, m) at places (s, q, d)."""
    return kind.shape(place.reshape(-1, place.shape[-1])).reshape(*place.shape[:-1], -1)


def slopes(kind: FacetElement | Element, place: NDArray) -> NDArray[np.float64]:
    """∂N/∂ξ (s, q, m, d) at places (s, q, d)."""
    found = np.asarray(kind.gradient(place.reshape(-1, place.shape[-1])))
    return found.reshape(*place.shape[:-1], *found.shape[1:])


def area_vectors(kind: FacetElement, nodes: NDArray, place: NDArray) -> NDArray[np.float64]:
    """∂x/∂ξ × ∂x/∂η (s, q, 3) [m²] of facets with nodes (s, m, 3) [m] at places (s, q, 2)."""
    along = np.swapaxes(slopes(kind, place), 2, 3) @ nodes[:, None]
    return np.cross(along[:, :, 0], along[:, :, 1])
