"""Where two tied meshes overlap: products of shape functions over segments cut once at rest, and the multipliers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int
from numpy.typing import NDArray
from scipy import sparse

from ..elements import facet_of
from ..model import Model
from .clipping import segments
from .overlap import Overlap, overlaps, solids_behind
from .tie_coverage import Group, check_coverage, plane_areas
from .tie_multipliers import Multipliers
from .uncovered_facets import MOST


class TieTable(eqx.Module):
    """Pairs of facets of a tie that overlap, found once.

    Facets of several kinds stand in one table: those with fewer nodes name their first again, whose second entry in
    `gram` is zero.

    Attributes:
        nodes: of the slave's facet, then of the master's or of the solid behind it.
        gram: ∫ φ_i φ_j dA over the overlap [m²], φ the shape functions in the order of the nodes.
        slave_nodes: nodes that carry multipliers; `local` their rows of each pair.
        multipliers: of each component of λ; of all three the same where the same nodes are held.
    """

    nodes: Int[np.ndarray, "pairs m"]
    gram: Float[np.ndarray, "pairs m m"]
    slave_nodes: Int[np.ndarray, " n"]
    local: Int[np.ndarray, "pairs half"]
    multipliers: tuple[Any, ...] = eqx.field(static=True)

    def jumps(self, moved: NDArray) -> NDArray[np.float64]:
        """∫ N_a (u − u') dA (n, 3) of the slave's nodes [m³]; `moved` is the displacement of all nodes [m]."""
        right = np.zeros((len(self.slave_nodes), 3))
        half = self.local.shape[1]
        np.add.at(right, self.local, self.gram[:, :half] @ self._apart(moved))
        return right

    def jumps_turned(self, weight: NDArray, rows: int) -> NDArray[np.float64]:
        """The transpose of `jumps`: (rows, 3) from (n, 3)."""
        half, total = self.local.shape[1], np.zeros((rows, 3))
        share = np.swapaxes(self.gram[:, :half], 1, 2) @ weight[self.local]
        np.add.at(total, self.nodes, np.concatenate([share[:, :half], -share[:, half:]], axis=1))
        return total

    def spread(self, moved: NDArray) -> NDArray[np.float64]:
        """Root mean square of the jump over each pair [m]."""
        half = self.local.shape[1]
        area = self.gram[:, :half, :half].sum(axis=(1, 2))
        apart = self._apart(moved - moved[self.nodes[0, 0]])
        return np.sqrt(np.maximum(np.einsum("pai,pab,pbi->p", apart, self.gram, apart) / area, 0.0))

    @property
    def starts(self) -> list[int]:
        """Where the unknown multipliers of the second and third component begin among all of them."""
        return np.cumsum([space.size for space in self.multipliers]).tolist()[:-1]

    def field(self, own: Any) -> Any:
        """λ (n, 3) at the slave's nodes from the unknown multipliers (m,), component by component; numpy or traced."""
        kind: Any = np if isinstance(own, np.ndarray) else jnp
        parts = kind.split(own, self.starts)
        return kind.stack([space.field(part) for space, part in zip(self.multipliers, parts, strict=True)], axis=1)

    def gathered(self, weight: NDArray) -> NDArray[np.float64]:
        """The transpose of `field`: (m,) from (n, 3)."""
        return np.concatenate([space.extension.T @ weight[:, k] for k, space in enumerate(self.multipliers)])

    def nearest(self, right: Any) -> Any:
        """The multipliers (m,) of the field nearest to what is weighted by N_a (n, 3); numpy or traced."""
        kind: Any = np if isinstance(right, np.ndarray) else jnp
        return kind.concatenate([space.nearest(right[:, k]) for k, space in enumerate(self.multipliers)])

    def project(self, right: NDArray) -> NDArray[np.float64]:
        """Mean jumps (n, 3) from weighted ones (n, 3)."""
        return self.field(self.nearest(right))

    def _apart(self, moved: NDArray) -> NDArray[np.float64]:
        """Coefficients (pairs, m, 3) of u − u' in the shape functions."""
        own, half = moved[self.nodes], self.local.shape[1]
        return np.concatenate([own[:, :half], -own[:, half:]], axis=1)


def tie_table(
    model: Model,
    sides: tuple[Sequence[NDArray], Sequence[NDArray]],
    held: NDArray,
    shared: NDArray,
    reach: float,
    free: bool,
    where: str,
) -> TieTable:
    """Cut the overlap of two surfaces, each of groups of facets (n, 3, 4 or 6) of one kind.

    Args:
        held: (rows, 3) prescribed components.
        shared: (rows,) nodes that lie on another tie as well.
        free: whether parts of the slave surface without a partner are left free.

    Raises:
        SolverError: a part of the slave surface without a partner, or with two.
    """
    points = np.asarray(model.points)
    first, second = ([_group(model, facets) for facets in side] for side in sides)
    found: list[Overlap] = []
    covered = [np.zeros(len(group.facets)) for group in first]
    for area, slave in zip(covered, first, strict=True):
        for master in second:
            cut = segments(slave.corners, master.corners, reach, (slave.sheet, master.sheet))
            area += np.bincount(cut.slave, cut.areas, minlength=len(area))
            found += overlaps(points, (slave.facets, master.facets), cut, master.behind, where)
    check_coverage(first, second, covered, reach, free, where)
    slave_nodes = np.unique(np.concatenate([facets.ravel() for facets in sides[0]]))
    return _joined(found, slave_nodes, held, shared | _beyond(first, covered, len(shared)))


def _beyond(slave: Sequence[Group], covered: Sequence[NDArray], nodes: int) -> NDArray[np.bool_]:
    """(nodes,) those with nothing opposite to most of the area of their facets.

    Multipliers of their own would stand on what little is left: the loop that moves them on would not settle.
    """
    total = np.zeros((2, nodes))
    for group, area in zip(slave, covered, strict=True):
        for sum_, part in zip(total, (area, plane_areas(group.corners)), strict=True):
            np.add.at(sum_, group.facets, part[:, None])
    return total[0] < MOST * total[1]


def _group(model: Model, facets: NDArray) -> Group:
    behind, sheet = solids_behind(model, facets), np.ones(len(facets), bool)
    for part in behind:
        sheet[part.facets] = False
    corners = np.asarray(model.points)[facets[:, : facet_of(facets.shape[1]).corners]]
    return Group(facets.astype(np.int64), corners, sheet, behind)


def _joined(found: Sequence[Overlap], slave_nodes: NDArray, held: NDArray, shared: NDArray) -> TieTable:
    """One table of overlaps whose facets have different numbers of nodes."""
    widths = [max(part.slave.shape[1] for part in found), max(part.master.shape[1] for part in found)]
    slave, master = (
        np.concatenate([_widened(nodes, width) for nodes in side])
        for side, width in zip(zip(*((part.slave, part.master) for part in found), strict=True), widths, strict=True)
    )
    gram = np.zeros((len(slave), sum(widths), sum(widths)))
    start = 0
    for part in found:
        (pairs, own), other = part.slave.shape, part.master.shape[1]
        rows = np.concatenate([np.arange(own), widths[0] + np.arange(other)])
        gram[start : start + pairs, rows[:, None], rows] = part.gram
        start += pairs
    local = np.searchsorted(slave_nodes, slave)
    mass = _summed(gram[:, : widths[0], : widths[0]], local, len(slave_nodes))
    spaces = _spaces(mass, held[slave_nodes], shared[slave_nodes])
    return TieTable(np.concatenate([slave, master], axis=1), gram, slave_nodes, local, spaces)


def _spaces(mass: sparse.csr_matrix, held: NDArray, shared: NDArray) -> tuple[Multipliers, ...]:
    """Of each component; one factor for those with the same held nodes."""
    kept = {held[:, k].tobytes(): k for k in (2, 1, 0)}
    found = {k: Multipliers(mass, held[:, k], shared) for k in kept.values()}
    return tuple(found[kept[held[:, k].tobytes()]] for k in range(3))


def _widened(nodes: NDArray, width: int) -> NDArray[np.int64]:
    return np.concatenate([nodes, np.repeat(nodes[:, :1], width - nodes.shape[1], axis=1)], axis=1)


def _summed(mass: NDArray, local: NDArray, count: int) -> sparse.csr_matrix:
    rows, cols = np.repeat(local, local.shape[1], axis=1).ravel(), np.tile(local, (1, local.shape[1])).ravel()
    return sparse.csr_matrix((mass.ravel(), (rows, cols)), (count, count))
