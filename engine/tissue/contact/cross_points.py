"""Where ties meet: nodes that two of them want to lead.

Two multipliers at one node, or as many ties around an edge as surfaces meet there, fix it more often than it can move.
As in mortar methods (Bernardi, Maday and Patera 1994; Wohlmuth 2000, *SIAM J. Numer. Anal.* 38:989) no tie has a
multiplier of its own there: it takes the mean of its neighbours', so that constant tractions are still carried.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ..model import MM, Model
from .tie import Tie


def resolved_contacts(model: Model, contacts: Sequence[Any], held: NDArray) -> tuple[Any, ...]:
    """Contacts with every number and table that was left open; ties with regard to each other.

    Raises:
        SolverError: facets that two ties lead (names both), or what a contact finds wrong itself.
    """
    ties = [contact for contact in contacts if isinstance(contact, Tie)]
    _tied_once(model, ties)
    return tuple(
        contact.resolved(model, held, cross_nodes(model, contact, ties))
        if isinstance(contact, Tie)
        else contact.resolved(model, held)
        for contact in contacts
    )


def cross_nodes(model: Model, tie: Tie, ties: Sequence[Tie]) -> NDArray[np.bool_]:
    """(nodes,) those on a surface of another tie as well; one that lies on this very surface does not count."""
    own = _facets(model, tie.facets)
    found = np.zeros(model.nodes, bool)
    for other in ties:
        if other is tie:
            continue
        for name in (other.facets, other.other):
            found[[node for facet in _facets(model, name) - own for node in facet]] = True
    return found


def _facets(model: Model, name: str) -> set[tuple[int, ...]]:
    groups = model.facet_groups(name)
    return {tuple(facet) for _, facets in groups for facet in np.sort(np.asarray(facets), axis=1).tolist()}


def _tied_once(model: Model, ties: Sequence[Tie]) -> None:
    """No facet is led by two ties.

    Raises:
        SolverError: one is; names both ties.
    """
    seen: dict[tuple[int, ...], str] = {}
    for tie in ties:
        facets = _facets(model, tie.facets)
        twice = [facet for facet in sorted(facets) if facet in seen]
        if twice:
            place = np.round(np.asarray(model.points)[list(twice[0])].mean(axis=0) / MM, 2)
            raise SolverError(
                f"over-constrained contact: {len(twice)} facets are tied twice, the first at {place} mm, also by the "
                f"{seen[twice[0]]}",
                where=tie.label,
                advice="Let each facet lead one tie: put all that it is tied to in one set, or swap the sides of one",
            )
        seen.update(dict.fromkeys(facets, tie.label))
