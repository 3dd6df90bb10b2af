"""Where a contact did not settle: what a failed solve says of it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..model import MM
from ..problem import Problem


def unsettled(problem: Problem, residual: NDArray, free: NDArray) -> str:
    """The contact at whose nodes the balance is worst, and where; "" where that is no contact's node.

    Args:
        residual: (rows, 3) N, of the last displacement.
        free: (rows, 3), 1 where a component is free.
    """
    if not problem.contacts:
        return ""
    size = np.linalg.norm(np.nan_to_num(np.asarray(residual) * np.asarray(free)), axis=1)[: problem.model.nodes]
    worst = int(np.argmax(size))
    for contact in problem.contacts:
        names = [contact.facets, getattr(contact, "other", None)]
        sets = [problem.model.facet_groups(name) for name in names if name is not None]
        if any(worst in facets for groups in sets for _, facets in groups):
            place = np.round(np.asarray(problem.model.points)[worst] / MM, 2)
            return f"{contact.label}, worst at node {worst} at {place} mm"
    return ""
