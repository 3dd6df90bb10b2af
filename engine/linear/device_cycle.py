"""The V-cycle of `hierarchy.Hierarchy` on a device: transfers and coarse matrices as rows padded to one length.

The hierarchy is made on the host. The finest level stays what it is on the device, a product given by the caller; what
is transferred is a few entries per node.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from scipy import linalg

from .hierarchy import Hierarchy

SPREAD = 30.0
"""The smoother damps eigenvalues between λ_max/SPREAD and λ_max."""
MARGIN = 1.1
"""Lanczos steps find λ_max from below."""


class PaddedRows(eqx.Module):
    """A block matrix, each row with as many blocks as the longest one; what is padded is zero."""

    columns: Int[Array, "rows width"]
    blocks: Float[Array, "rows width height breadth"]

    @classmethod
    def of(cls, matrix: Any) -> PaddedRows:
        """From a block CSR matrix of the host."""
        lengths = np.diff(matrix.indptr)
        rows = np.repeat(np.arange(len(lengths)), lengths)
        place = np.arange(len(rows)) - np.repeat(matrix.indptr[:-1], lengths)
        width = int(lengths.max(initial=1))
        columns = np.zeros((len(lengths), width), np.int32)
        blocks = np.zeros((len(lengths), width, *matrix.blocksize))
        columns[rows, place], blocks[rows, place] = matrix.indices, matrix.data
        return cls(jnp.asarray(columns), jnp.asarray(blocks))

    def product(self, vector: Float[Array, "columns breadth"]) -> Float[Array, "rows height"]:
        """A x."""
        return jnp.einsum("rwij,rwj->ri", self.blocks, vector[self.columns])


class DeviceLevel(eqx.Module):
    """A coarse matrix and the way from it to the next coarser level."""

    matrix: PaddedRows
    inverse_diagonal: Float[Array, "rows height"]
    largest: Float[Array, ""]
    prolongation: PaddedRows | None
    restriction: PaddedRows | None


class DeviceCycle(eqx.Module):
    """Transfers of the finest level, the coarser levels, and the inverse of the coarsest matrix."""

    prolongation: PaddedRows
    restriction: PaddedRows
    levels: list[DeviceLevel]
    inverse: Float[Array, "n n"]

    @classmethod
    def of(cls, hierarchy: Hierarchy) -> DeviceCycle:
        """From a hierarchy of two levels at least."""
        assert hierarchy.transfer is not None
        assert hierarchy.coarse is not None
        levels = []
        for level in hierarchy.coarser:
            down = (None, None) if level.transfer is None else [PaddedRows.of(part.whole) for part in level.transfer]
            diagonal = jnp.asarray(level.inverse_diagonal.reshape(-1, 3))
            matrix = PaddedRows.of(level.matrix)
            levels.append(DeviceLevel(matrix, diagonal, jnp.asarray(level.largest), *down))
        size = hierarchy.sizes[-1]
        inverse = linalg.lu_solve(hierarchy.coarse.factor, np.eye(size), check_finite=False)
        up, down = (PaddedRows.of(part.whole) for part in hierarchy.transfer)
        return cls(up, down, levels, jnp.asarray(0.5 * (inverse + inverse.T)))

    def apply(self, product: Callable[[Array], Array], inverse: Array, largest: Array, rhs: Array) -> Array:
        """One V-cycle from zero for a fine matrix given by its product, its inverse diagonal (nodes, 3) and λ_max."""
        solution, residual = smooth(product, inverse, largest, rhs)
        correction = self.prolongation.product(self._descend(0, self.restriction.product(residual)))
        solution = solution + correction
        return solution + smooth(product, inverse, largest, residual - product(correction))[0]

    def _descend(self, depth: int, rhs: Array) -> Array:
        level = self.levels[depth]
        if level.prolongation is None or level.restriction is None:
            return (self.inverse @ rhs.ravel()).reshape(rhs.shape)
        solution, residual = smooth(level.matrix.product, level.inverse_diagonal, level.largest, rhs)
        correction = level.prolongation.product(self._descend(depth + 1, level.restriction.product(residual)))
        solution = solution + correction
        left = residual - level.matrix.product(correction)
        return solution + smooth(level.matrix.product, level.inverse_diagonal, level.largest, left)[0]


def smooth(product: Callable[[Array], Array], inverse: Array, largest: Array, rhs: Array) -> tuple[Array, Array]:
    """Two Chebyshev steps for D⁻¹A x = D⁻¹b from zero (Saad, *Iterative Methods*, algorithm 12.1), and b − A x."""
    high = MARGIN * largest
    low = high / SPREAD
    theta, delta = 0.5 * (high + low), 0.5 * (high - low)
    sigma = theta / delta
    after = 1.0 / (2.0 * sigma - 1.0 / sigma)
    first = inverse * rhs / theta
    residual = rhs - product(first)
    second = (2.0 * after / delta) * inverse * residual + (after / sigma) * first
    return first + second, residual - product(second)
