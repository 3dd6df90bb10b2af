"""Unknown loads that deform an organ: tractions on its surface, mostly where it is not seen, and a change of weight.

Traction t(X) = τ s(X) g(X), g three independent Matérn fields on the surface, s = 1 where hidden and small where seen
(there nothing but gas touches the organ), and a uniform body force of unknown direction. Each is made free of net
force and moment by tractions on the same surface, weighted by area × s²: what holds an organ sits where it is hidden.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from ...linear.host import rigid_body_modes
from ..fitting.matern import surface_modes
from ..kernels import TermKernel
from ..loads.body import Gravity
from ..model import Model
from .free_body import FreeBody
from .outline import flat
from .prior import Prior

WEIGHT_SHARE = 0.4
"""RMS displacement of a change of weight, over that of the tractions."""


def scaled_patterns(
    body: FreeBody, surface: str, share: Float[NDArray, " nodes"], prior: Prior
) -> Float[np.ndarray, "nodes 3 n"]:
    """`load_basis` [N], scaled so that the median node of the body moves by 1 m (RMS) in linear elasticity."""
    basis = load_basis(body.model, surface, share, prior.length, prior.modes)
    moved = body.compliance(np.zeros(basis.shape[:2])).times(basis)
    scale = np.full(basis.shape[2], 1.0 / _median_size(moved[:, :, :-3]))
    weight = _median_size(moved[:, :, -3:])
    scale[-3:] = WEIGHT_SHARE / weight if weight > 0 else 0.0
    return basis * scale


def _median_size(slope: NDArray) -> float:
    """Median over nodes of the RMS displacement: thin lobes, which move much, do not set the scale."""
    return float(np.median(np.sqrt((slope**2).sum(axis=(1, 2)))))


def load_basis(
    model: Model, surface: str, share: Float[NDArray, " nodes"], length: float, modes: int
) -> Float[np.ndarray, "rows 3 n"]:
    """Self-balanced nodal forces [N] of each mode, for tractions of 1 Pa where `share` is 1.

    Args:
        model: the body.
        surface: its facet set.
        share: (rows,) s(X), of the surface's nodes.
        length: of the Matérn fields [m].
        modes: per component.
    """
    facets = flat(model.facets_of(surface))
    nodes, triangles = np.unique(facets, return_inverse=True)
    points = np.asarray(model.points)
    basis, _, area = surface_modes(points[nodes], triangles.reshape(-1, 3), length, min(modes, len(nodes) // 2))
    forces = np.zeros((*points.shape, 3 * basis.shape[1] + 3))
    weighted = basis * (area * share[nodes])[:, None]
    for axis in range(3):
        forces[nodes, axis, axis : 3 * basis.shape[1] : 3] = weighted
        pull = np.zeros(3)
        pull[axis] = 9.81
        forces[:, :, -3 + axis] = _body_forces(model, pull)
    return _balanced(forces, points, nodes, area * share[nodes] ** 2)


def _body_forces(model: Model, acceleration: NDArray) -> NDArray:
    total, points = np.zeros(model.points.shape), np.asarray(model.points)
    for term in Gravity(acceleration.tolist()).bind(model):
        kernel = TermKernel(term, points)
        np.add.at(total, kernel.nodes, kernel.forces(np.zeros_like(points), 1.0))
    return total


def _balanced(forces: NDArray, points: NDArray, nodes: NDArray, weight: NDArray) -> NDArray:
    """Without resultant and moment: F − W M (MᵀWM)⁻¹ Mᵀ F."""
    modes = rigid_body_modes(points).reshape(-1, 3, 6)
    resultant = np.einsum("nip,nik->pk", modes, forces)
    support = modes[nodes] * weight[:, None, None]
    gram = np.einsum("nip,niq->pq", support, modes[nodes])
    result = forces.copy()
    result[nodes] -= np.einsum("nip,pk->nik", support, np.linalg.solve(gram, resultant))
    return result
