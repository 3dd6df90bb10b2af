"""Sets of nodes and facets as a caller gives them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from .elements import facet_of


def checked_set(nodes: Sequence[int] | NDArray, count: int, name: str) -> NDArray[np.int32]:
    """A set of nodes (or facets) as an array.

    Raises:
        SolverError: it names a node that is not there.
    """
    array = np.asarray(nodes)
    if array.dtype.kind not in "iu" and array.size:
        raise SolverError(f"a set of {array.dtype} has no nodes", where=f"set {name!r}", advice="Give node indices")
    if array.size and (array.min() < 0 or array.max() >= count):
        raise SolverError(f"node {int(array.max())} is not among the {count} nodes", where=f"set {name!r}")
    return array.astype(np.int32)


def checked_facets(facets: NDArray | Sequence[NDArray], count: int, name: str) -> tuple[NDArray[np.int32], ...]:
    """Facets of a set, one array (facets, nodes per facet) for each kind.

    Raises:
        SolverError: they are of no kind that is known, or name a node that is not there.
    """
    several = isinstance(facets, (tuple, list)) and len(facets) > 0 and np.ndim(facets[0]) == 2
    arrays = tuple(np.asarray(part) for part in facets) if several else (np.asarray(facets),)
    for array in arrays:
        if array.ndim != 2:
            raise SolverError(f"facets must be (F, nodes), not {array.shape}", where=f"facet set {name!r}")
        facet_of(array.shape[1])
    return tuple(checked_set(array, count, name) for array in arrays)
