"""Masses of a model: consistent or lumped, as a matrix for the host, as a product that can be differentiated."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray
from scipy import sparse

from ...imaging.errors import SolverError
from .block import ElementBlock
from .elements.base import Element
from .model import Model

KINDS = ("consistent", "lumped")


class MassMatrix(NamedTuple):
    """One scalar matrix [kg] for all three components: entries in both triangles, rows sorted.

    Attributes:
        matrix: (rows, rows).
        rows, columns, values: its entries.
        diagonal: (rows,) kg.
    """

    matrix: sparse.csr_matrix
    rows: NDArray[np.int32]
    columns: NDArray[np.int32]
    values: NDArray[np.float64]
    diagonal: NDArray[np.float64]

    def product(self, field: Any) -> Any:
        """M f (rows, 3), where the field is."""
        if isinstance(field, np.ndarray):
            return self.matrix @ field
        return _product(jnp.asarray(self.rows), jnp.asarray(self.columns), jnp.asarray(self.values), field)


@jax.jit
def _product(rows: Array, columns: Array, values: Array, field: Array) -> Array:
    return jax.ops.segment_sum(values[:, None] * field[columns], rows, len(field), indices_are_sorted=True)


def mass_matrix(model: Model, kind: str = "consistent") -> MassMatrix:
    """The mass of a model.

    Raises:
        SolverError: no such kind, or a node that moves has no mass.
    """
    if kind not in KINDS:
        raise SolverError(f"no mass is named {kind!r}", where="mass", advice=f"Choose from {KINDS}")
    count = len(model.row_points)
    matrix = sparse.csr_matrix((count, count))
    for block in model.blocks:
        nodes = np.asarray(block.nodes)[:, : block.element.nodes]
        local = element_masses(model, block)
        if kind == "lumped":
            local = np.asarray(lumped(jnp.asarray(local)))[:, :, None] * np.eye(nodes.shape[1])
        rows = np.broadcast_to(nodes[:, :, None], local.shape).ravel()
        columns = np.broadcast_to(nodes[:, None, :], local.shape).ravel()
        some = local.ravel() != 0.0
        matrix = matrix + sparse.csr_matrix((local.ravel()[some], (rows[some], columns[some])), (count, count))
    matrix.sort_indices()
    entries = matrix.tocoo()
    found = MassMatrix(matrix, entries.row, entries.col, entries.data, matrix.diagonal())
    refuse_massless(model, found.diagonal)
    return found


def refuse_massless(model: Model, diagonal: NDArray[np.float64]) -> None:
    """A node that moves needs a mass.

    Raises:
        SolverError: one has none; names the region.
    """
    bare = np.flatnonzero(~(diagonal[: model.nodes] > 0))
    if bare.size:
        at = np.round(1e3 * np.asarray(model.points)[bare[0]], 2)
        raise SolverError(
            f"{bare.size} nodes have no mass, the first: {bare[0]} at {at} mm",
            where="mass",
            advice="Give every region a density in kg/m³",
        )


def element_masses(model: Model, block: ElementBlock) -> Float[np.ndarray, "elements nodes nodes"]:
    """Consistent masses [kg] of the elements of a block, in pieces of the one shape that is compiled."""
    size, count = block.element.chunk, len(block.nodes)
    pieces = []
    for start in range(0, count, size):
        rows = np.minimum(np.arange(start, start + size), count - 1)
        material = jax.tree.map(lambda leaf, r=rows: jnp.asarray(np.asarray(leaf)[r]), block.material)
        reference = model.points[np.asarray(block.nodes)[rows][:, : block.element.nodes]]
        pieces.append(np.asarray(_compiled(block.element, reference, block.density[rows], material))[: count - start])
    return np.concatenate(pieces)


@partial(jax.jit, static_argnums=0)
def _compiled(element: Element, reference: Array, density: Array, material: Any) -> Array:
    return element.mass(reference, density, material)


def lumped(local: Float[Array, "elements nodes nodes"]) -> Float[Array, "elements nodes"]:
    """Diagonal masses [kg] proportional to the diagonal of the consistent mass: positive for every element.

    Hinton, Rock and Zienkiewicz (1976), *Earthquake Eng. Struct. Dyn.* 4:245. Of a T4 it is a quarter each.
    """
    diagonal = jnp.diagonal(local, axis1=1, axis2=2)
    total, part = local.sum(axis=(1, 2)), diagonal.sum(axis=1)
    return diagonal * jnp.where(part > 0, total / jnp.where(part > 0, part, 1.0), 0.0)[:, None]


def mass_product(model: Model, field: Float[Array, "rows 3"], kind: str = "consistent") -> Float[Array, "rows 3"]:
    """M f, differentiable in the field, the densities and the node positions."""
    total = jnp.zeros_like(field)
    for block in model.blocks:
        nodes = block.nodes[:, : block.element.nodes]
        local = block.element.mass(model.points[nodes], block.density, block.material)
        moved = field[nodes]
        product = lumped(local)[:, :, None] * moved if kind == "lumped" else jnp.einsum("eab,ebi->eai", local, moved)
        for corner in range(block.element.nodes):
            total = total.at[nodes[:, corner]].add(product[:, corner])
    return total
