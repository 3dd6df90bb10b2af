"""Pairs of tissues that may touch, for compiled batches of explicit steps: a row per point, however many meet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from .contact.look import Look, Pairs, SlipHistory
from .contact.pairs import PairTerm
from .problem import Problem

SIGHT_SHARE = 0.1
"""Of the reach: how far a node may move before pairs are found anew. A point is then still beside the facet that it
met, and one that met nothing is still further away than four fifths of the reach."""


class MovingPairs:
    """The looks of a problem with their history, and the pairs found last."""

    def __init__(self, problem: Problem) -> None:
        self.looks: list[Any] = list(problem.moving())
        self.last: list[Pairs] = []

    @property
    def sight(self) -> float:
        """How far [m] a node may move before pairs must be found again."""
        return min((SIGHT_SHARE * look.reach for look in self.looks), default=np.inf)

    @property
    def count(self) -> int:
        """How many points meet a facet."""
        return sum(len(pairs.met.point) for pairs in self.last)

    def found(self, displacement: NDArray, fraction: float) -> tuple[PairTerm, ...]:
        """Forces of all points, those that meet nothing without weight."""
        self.last = [look.pairs(displacement, fraction) for look in self.looks]
        return tuple(_padded(look, pairs) for look, pairs in zip(self.looks, self.last, strict=True))

    def remember(self, terms: list[Any]) -> None:
        """Take over anchors and gaps from the pairs found last, as steps have moved them on."""
        for index, (look, pairs, term) in enumerate(zip(self.looks, self.last, terms, strict=True)):
            if not look.frictional:
                continue
            met, count = pairs.met, len(look.history.facet)
            facet, place, opening = np.full(count, -1, np.int64), np.zeros((count, 2)), np.zeros(count)
            facet[met.point] = met.facet
            place[met.point] = np.asarray(term.anchor)[: len(met.point)]
            opening[met.point] = np.asarray(term.opening)[: len(met.point)]
            kept = SlipHistory(look.history.multiplier, facet, jnp.asarray(place), jnp.asarray(opening))
            self.looks[index] = replace(look, history=kept)


def _padded(look: Look, pairs: Pairs) -> PairTerm:
    """A row per point of the look; those left over stand on the first facet's middle with no weight."""
    # Steps move every anchor on from here, so that all are known; without contact they follow their points.
    own = look.placed(pairs._replace(known=np.ones(len(pairs.known))))
    spare = len(look.history.facet) - len(own.nodes)
    fill = replace(look.placed(_first(pairs)), weight=np.zeros(1))

    def joined(rows: Any, row: Any) -> Any:
        return jnp.asarray(np.concatenate([np.asarray(rows), np.repeat(np.asarray(row), spare, axis=0)]))

    return jax.tree.map(joined, own, fill)


def _first(pairs: Pairs) -> Pairs:
    """One pair: the first point with the middle of the first facet."""
    near = pairs.met.near._replace(
        place=np.full((1, 2), 1 / 3), feature=np.full(1, 6), point=np.zeros((1, 3)), distance=np.zeros(1)
    )
    met = pairs.met._replace(point=np.zeros(1, np.int64), facet=np.zeros(1, np.int64), near=near, side=np.zeros(1))
    return Pairs(met, np.full((1, 2), 1 / 3), np.zeros(1))
