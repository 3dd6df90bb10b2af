"""What a verification is: a source, reference values, limits with their reasons, and a function that computes."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from ....imaging.progress import Progress
from .limits import Limit

Measure = Literal["relative", "absolute", "at least", "at most"]


@dataclass(frozen=True)
class Quantity:
    """One number of a case.

    Attributes:
        name: in the field's words.
        reference: the value of the source.
        limit: how far the computed one may lie from it, and why.
        unit: "" where the number has none.
        measure: `"relative"`: |computed − reference| / |reference|; `"absolute"`: in the unit, where the reference is
            zero or a length sets the scale; `"at least"`, `"at most"`: only what is missing or too much, in the unit.
    """

    name: str
    reference: float
    limit: Limit
    unit: str = ""
    measure: Measure = "relative"

    def __post_init__(self) -> None:
        object.__setattr__(self, "reference", float(self.reference))

    def error(self, computed: float) -> float:
        """What is compared with the limit; NaN where the computed value is not finite."""
        gap = computed - self.reference
        if not math.isfinite(computed):
            return math.nan
        if self.measure == "relative":
            return abs(gap) / abs(self.reference)
        if self.measure == "at least":
            return max(-gap, 0.0)
        return max(gap, 0.0) if self.measure == "at most" else abs(gap)

    @property
    def error_unit(self) -> str:
        """The unit of error and limit: "%" stands for shares of the reference, which are kept as plain numbers."""
        return "%" if self.measure == "relative" else self.unit


@dataclass(frozen=True)
class Computed:
    """What a case computed: a value for each of its quantities, and on what mesh, in words."""

    values: Mapping[str, float]
    mesh: str


@dataclass(frozen=True)
class Case:
    """One reference problem.

    Attributes:
        name: family and variant, joined by hyphens; what `--case` matches.
        source: where the reference values come from.
        quantities: what is compared.
        compute: solves the problem; raises `SolverError` where it cannot.
        quick: whether it is one of those that every run of the tests includes (a few seconds).
        missing: tells what is not here that the case needs, "" where it can run.
    """

    name: str
    source: str
    quantities: tuple[Quantity, ...]
    compute: Callable[[Progress], Computed]
    quick: bool = False
    missing: Callable[[], str] = lambda: ""
