"""Geometry of facet sets: normals, rims, orientation."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from .elements.base import FacetElement, Quadrature
from .model import MM, Model

Groups = list[tuple[FacetElement, NDArray]]


def facet_frames(facet: FacetElement, position: Array, rule: Quadrature | None = None) -> tuple[Array, Array]:
    """Shape functions (Q, m), and the normals ∂x/∂ξ × ∂x/∂η (Q, 3) [m²] of one facet at positions (m, 3) [m].

    At the points of a rule, or of the facet's own.
    """
    points = (facet.quadrature if rule is None else rule).points
    slope = jnp.asarray(facet.gradient(points))
    along = jnp.einsum("qad,ai->qdi", slope, position)
    return jnp.asarray(facet.shape(points)), jnp.cross(along[:, 0], along[:, 1])


def closed_or_held(groups: Groups, held: NDArray | None) -> bool:
    """Whether facets have no rim, or one whose nodes are all held (`held` is (nodes,) bool)."""
    edges = []
    for kind, facets in groups:
        around = np.arange(kind.corners)
        edges.append(np.sort(facets[:, np.stack([around, np.roll(around, -1)], axis=1)].reshape(-1, 2), axis=1))
    unique, count = np.unique(np.concatenate(edges), axis=0, return_counts=True)
    rim = np.unique(unique[count == 1])
    return bool(rim.size == 0 or (held is not None and held[rim].all()))


def outward(model: Model, name: str) -> None:
    """Check that the facets of a set belong to elements, and that those on the boundary of a solid point outward.

    Facets of sheets point where they like: a pressure on them pushes against their normal.

    Raises:
        SolverError: a facet belongs to no element, or a boundary facet points into the body.
    """
    for kind, facets in model.facet_groups(name):
        corners = facets[:, : kind.corners].astype(np.int64)
        faces = solid_faces(model, kind.corners, corners)
        table, inverse_order = np.unique(np.sort(faces, axis=1), axis=0, return_inverse=True)
        owners = np.bincount(inverse_order.ravel(), minlength=len(table))
        lookup = {tuple(face): k for k, face in enumerate(table.tolist())}
        row = np.array([lookup.get(tuple(face), -1) for face in np.sort(corners, axis=1).tolist()], dtype=np.int64)
        sheet = _in_sheets(model, corners, row < 0)
        if (missing := np.flatnonzero((row < 0) & ~sheet)).size:
            raise SolverError(f"facet {missing[0]} is no face of an element", where=f"facet set {name!r}")
        first = np.zeros(len(table), np.int64)
        first[inverse_order.ravel()] = np.arange(len(faces))
        inside = np.flatnonzero(row >= 0)
        boundary = inside[owners[row[inside]] == 1]
        turned = _second(faces[first[row[boundary]]]) != _second(corners[boundary])
        if turned.any():
            _refuse(model, name, corners, boundary[turned])


def _refuse(model: Model, name: str, corners: NDArray, wrong: NDArray) -> None:
    at = np.round(np.asarray(model.points)[corners[wrong[0]]].mean(axis=0) / MM, 2)
    raise SolverError(
        f"{len(wrong)} of {len(corners)} facets point into the body, the first is facet {wrong[0]} at {at} mm",
        where=f"facet set {name!r}",
        advice="Turn the order of their nodes so that normals point outward",
    )


def solid_faces(model: Model, corners: int, near: NDArray) -> NDArray[np.int64]:
    """(n, corners) faces of solids all of whose nodes occur in `near`, normals outward."""
    inside = np.zeros(len(model.points), bool)
    inside[near.ravel()] = True
    found = [np.zeros((0, corners), np.int64)]
    for block in model.blocks:
        local = block.element.faces
        if block.element.dimension == 3 and local.shape[1] == corners:
            nodes = np.asarray(block.vertices)
            found += [nodes[inside[nodes[:, face]].all(axis=1)][:, face] for face in local]
    return np.concatenate(found).astype(np.int64)


def _in_sheets(model: Model, corners: NDArray, wanted: NDArray) -> NDArray[np.bool_]:
    """Which of the facets (F, c) are elements of a sheet."""
    found = np.zeros(len(corners), bool)
    sheets = [b for b in model.blocks if b.element.dimension == 2 and b.element.corners == corners.shape[1]]
    if sheets and wanted.any():
        own = np.concatenate([np.asarray(b.nodes)[:, : corners.shape[1]] for b in sheets])
        keys = {tuple(face) for face in np.sort(own, axis=1).tolist()}
        found[wanted] = [tuple(face) in keys for face in np.sort(corners[wanted], axis=1).tolist()]
    return found


def _second(facets: NDArray) -> NDArray:
    """The node after the smallest of each facet: tells the two senses of going round apart."""
    return facets[np.arange(len(facets)), (np.argmin(facets, axis=1) + 1) % facets.shape[1]]
