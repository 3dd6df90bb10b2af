"""What the marches of second derivatives, through load steps and through motion, have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from .parameters import Parameters
from .swept_steps import SweptSteps

Pair = tuple[Any, Any]
"""A value and its rate along the direction."""

Steps = TypeVar("Steps", bound=SweptSteps[Any])


class RatesMarch(Generic[Steps]):
    """A march of states with their changes, for `reverse_sweep`.

    Args:
        steps: of loads or of a motion.
        measures: step → functional, as of the steps' `gradient`.
        along: ṗ, all float arrays of the problem.
    """

    def __init__(self, steps: Steps, measures: Mapping[int, Any], along: Parameters) -> None:
        self.steps, self.measures, self.along = steps, measures, along

    def start(self) -> Pair:
        """The first state, and its change."""
        return self.steps.start(), self.steps.push_start(self.along)

    def advance(self, before: Pair, index: int) -> Pair:
        """The state after a step, and its change."""
        after = self.steps.advance(before[0], index)
        return after, self.steps.push(before[0], after, index, before[1], self.along)
