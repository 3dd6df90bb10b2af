"""The tractions a tie can carry: λ = Σ N_a λ_a, where nodes that have none of their own take their neighbours' mean."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import splu

SHIFT = 1e-12
"""Of the largest diagonal entry of the mass matrix: what keeps it regular at nodes with nothing opposite."""
SETTLED, ROUNDS = 1e-15, 2000
"""Relative residual of the mass solve, and at most so many iterations: about 40 on facets of like size."""


class Multipliers:
    """One component of λ = E m: m its unknowns, E 1 at nodes of their own and the neighbours' mean elsewhere.

    Held nodes and nodes shared with other ties have nothing left for a multiplier of their own to do; that they take
    their neighbours' keeps constants. Where ties share every node, λ is one constant; where all are held, there is
    none. Kept are E and EᵀME, M = ∫ N_a N_b dA, both sparse, and a sparse factor.

    Equal by content: a static part of what is compiled, which the same problem built again is to find.
    """

    def __init__(self, mass: Any, held: NDArray, shared: NDArray) -> None:
        own = np.flatnonzero(~(held | shared))
        if own.size:
            self.extension = _spread(abs(mass), own)
        else:
            self.extension = sparse.csr_matrix(np.ones((len(held), 0 if held.all() else 1)))
        small = (self.extension.T @ mass @ self.extension).tocsc()
        shift = SHIFT * max(small.diagonal().max(initial=0.0), 1e-300)
        self.mass = (small + shift * sparse.identity(small.shape[0], format="csc")).tocsc()
        self._factor: Callable[[NDArray], NDArray] | None = splu(self.mass).solve if self.size else None
        self._content = _digest(self.extension, self.mass)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Multipliers) and self._content == other._content

    def __hash__(self) -> int:
        return hash(self._content)

    @property
    def size(self) -> int:
        """How many unknowns."""
        return self.extension.shape[1]

    def field(self, own: Any) -> Any:
        """E m (n,) from m (size,), of numpy or traced."""
        return self.extension @ own if isinstance(own, np.ndarray) else _product(self.extension, own)

    def nearest(self, right: Any) -> Any:
        """m (size,) of the function nearest to what is weighted by N_a: (EᵀME)⁻¹ Eᵀ r of r (n,), numpy or traced."""
        if isinstance(right, np.ndarray):
            return self.solve(self.extension.T @ right)
        return self._settled(_product(self.extension.T, right)) if self.size else jnp.zeros(0)

    def solve(self, right: NDArray) -> NDArray[np.float64]:
        """(EᵀME)⁻¹ r, by the factor."""
        return np.zeros_like(right) if self._factor is None else self._factor(right)

    def project(self, right: NDArray) -> NDArray[np.float64]:
        """E m (n,) of the nearest function."""
        return self.field(self.nearest(right))

    def _settled(self, right: Float[Array, " size"]) -> Float[Array, " size"]:
        """`solve` of what is traced: conjugate gradients on the matrix with a diagonal of ones, well conditioned on
        facets of any size (Wathen 1987, *IMA J. Numer. Anal.* 7:449)."""
        scale = 1.0 / np.sqrt(self.mass.diagonal())
        scaled = sparse.diags(scale) @ self.mass @ sparse.diags(scale)
        found, _ = jax.scipy.sparse.linalg.cg(lambda m: _product(scaled, m), scale * right, tol=SETTLED, maxiter=ROUNDS)
        return scale * found


def _product(matrix: Any, vector: Array) -> Array:
    """A sparse matrix, a constant of what is compiled, times a traced vector."""
    entries = matrix.tocoo()
    return jnp.zeros(matrix.shape[0]).at[entries.row].add(entries.data * vector[entries.col])


def _digest(*parts: Any) -> bytes:
    """Of what sparse matrices hold, whose bytes need not be kept then."""
    found = hashlib.sha256()
    for part in parts:
        found.update(repr(part.shape).encode())
        for array in (part.indptr, part.indices, part.data):
            found.update(array.tobytes())
    return found.digest()


def _spread(weights: sparse.csr_matrix, own: NDArray) -> sparse.csr_matrix:
    """(nodes, own): 1 at nodes of their own, the others ring by ring the weighted mean of neighbours that have one."""
    count = weights.shape[0]
    spread = sparse.csr_matrix((np.ones(len(own)), (own, np.arange(len(own)))), (count, len(own)))
    known = np.zeros(count, bool)
    known[own] = True
    while not known.all():
        total = np.asarray(weights[:, known].sum(axis=1)).ravel() * ~known
        ring = total > 0
        if not ring.any():
            break
        spread = spread + sparse.diags(np.where(ring, 1.0 / np.where(ring, total, 1.0), 0.0)) @ weights @ spread
        known |= ring
    return spread.tocsr()
