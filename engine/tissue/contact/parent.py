"""Where a place lies in the parent coordinates of the facet or solid that it is on (numpy)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ..elements.base import Element, FacetElement
from ..model import MM

ROUNDS = 30
"""Newton steps: one for flat triangles, about five for a quadrangle whose opposite edges differ by half."""
SETTLED = 1e-12
"""Last step in parent coordinates."""


def parent_places(
    kind: FacetElement | Element, nodes: NDArray, at: NDArray, axes: NDArray, where: str
) -> NDArray[np.float64]:
    """ξ (s, q, d) at which Σ N_a(ξ) x_a and the places (s, q, 3) agree along the axes (s, d, 3), by Newton's method.

    Args:
        nodes: (s, m, 3) m.

    Raises:
        SolverError: a facet so distorted that it is not found.
    """
    centre = nodes.mean(axis=1, keepdims=True)
    flat, aim = (np.einsum("sdi,sqi->sqd", axes, part - centre) for part in (nodes, at))
    rule = kind.quadrature
    place = np.tile(rule.weights @ rule.points / rule.weights.sum(), (*at.shape[:2], 1))
    for _ in range(ROUNDS):
        slope = np.einsum("sqad,sai->sqid", slopes(kind, place), flat)
        off = aim - shapes(kind, place) @ flat
        lost = ~(np.abs(np.linalg.det(slope)) > 0)
        step = np.linalg.solve(np.where(lost[..., None, None], np.eye(flat.shape[2]), slope), off[..., None])[..., 0]
        length = np.linalg.norm(step, axis=-1, keepdims=True)
        place = place + step / np.maximum(length, 1.0)
        if not lost.any() and length.max(initial=0.0) < SETTLED:
            return place
    bad = int(np.argmax(length.max(axis=(1, 2))))  # pyright: ignore[reportPossiblyUnboundVariable]
    raise SolverError(
        f"a {kind.name} at {np.round(nodes[bad].mean(axis=0) / MM, 2)} mm is so distorted that no place on it is found",
        where=where,
        advice="Look at the mesh there: corners may have been pulled past each other",
    )


def shapes(kind: FacetElement | Element, place: NDArray) -> NDArray[np.float64]:
    """N (s, q, m) at places (s, q, d)."""
    return kind.shape(place.reshape(-1, place.shape[-1])).reshape(*place.shape[:-1], -1)


def slopes(kind: FacetElement | Element, place: NDArray) -> NDArray[np.float64]:
    """∂N/∂ξ (s, q, m, d) at places (s, q, d)."""
    found = np.asarray(kind.gradient(place.reshape(-1, place.shape[-1])))
    return found.reshape(*place.shape[:-1], *found.shape[1:])


def area_vectors(kind: FacetElement, nodes: NDArray, place: NDArray) -> NDArray[np.float64]:
    """∂x/∂ξ × ∂x/∂η (s, q, 3) [m²] of facets with nodes (s, m, 3) [m] at places (s, q, 2)."""
    along = np.einsum("sqad,sai->sqdi", slopes(kind, place), nodes)
    return np.cross(along[:, :, 0], along[:, :, 1])
