"""Runs cases and compares: outcomes that never hide a failure."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from ....imaging.errors import SolverError
from ....imaging.progress import Progress, part, silent
from .case import Case, Computed, Quantity


@dataclass(frozen=True)
class Row:
    """One quantity compared; `computed` and `error` are NaN where nothing was computed."""

    quantity: Quantity
    computed: float
    error: float

    @property
    def passed(self) -> bool:
        """Whether the error is within the limit; a NaN is not."""
        return self.error <= self.quantity.limit.value

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON; None where nothing was computed."""
        one = self.quantity
        return {
            "name": one.name,
            "unit": one.unit,
            "reference": one.reference,
            "computed": _number(self.computed),
            "measure": one.measure,
            "error": _number(self.error),
            "limit": one.limit.value,
            "limit_reason": one.limit.reason,
            "passed": self.passed,
        }


@dataclass(frozen=True)
class Outcome:
    """A case that was run, that failed to run, or that was left out.

    Attributes:
        mesh: in words; "" where nothing was computed.
        seconds: of wall time, compilation included.
        failure: why it could not be computed, in one line.
        skipped: what is not here that it needs; such a case neither passes nor fails.
    """

    case: Case
    rows: tuple[Row, ...]
    mesh: str = ""
    seconds: float = 0.0
    failure: str = ""
    skipped: str = ""

    @property
    def passed(self) -> bool:
        """Whether every quantity is within its limit (a skipped case has none)."""
        return not self.failure and all(row.passed for row in self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON."""
        return {
            "name": self.case.name,
            "source": self.case.source,
            "quick": self.case.quick,
            "mesh": self.mesh,
            "seconds": round(self.seconds, 3),
            "passed": self.passed and not self.skipped,
            "failure": self.failure,
            "skipped": self.skipped,
            "quantities": [row.to_dict() for row in self.rows],
        }


def select(cases: Sequence[Case], *, pattern: str = "*", quick: bool = False) -> list[Case]:
    """Cases whose name matches a shell pattern (a plain word matches anywhere in the name).

    Raises:
        SolverError: none does.
    """
    wanted = pattern if any(sign in pattern for sign in "*?[") else f"*{pattern}*"
    found = [case for case in cases if fnmatchcase(case.name, wanted)]
    if not found:
        raise SolverError(f"no case matches {pattern!r}", where="verify", advice="--list shows all")
    chosen = [case for case in found if case.quick or not quick]
    if not chosen:
        raise SolverError(
            f"the cases that match {pattern!r} are all long ones", where="verify", advice="Leave out --quick"
        )
    return chosen


def verify(cases: Sequence[Case], progress: Progress = silent) -> Iterator[Outcome]:
    """The outcome of each case as soon as it is there."""
    for index, case in enumerate(cases):
        start, stop = index / len(cases), (index + 1) / len(cases)
        progress(start, f"{case.name} ({index + 1} of {len(cases)})")
        yield _run(case, part(_named(progress, case.name), start, stop))
    progress(1.0, f"{len(cases)} cases")


def _run(case: Case, progress: Progress) -> Outcome:
    reason = case.missing()
    if reason:
        return Outcome(case, (), skipped=reason)
    started = time.perf_counter()
    try:
        computed = case.compute(progress)
    except SolverError as error:
        nothing = tuple(Row(quantity, math.nan, math.nan) for quantity in case.quantities)
        return Outcome(case, nothing, seconds=time.perf_counter() - started, failure=error.line())
    return Outcome(case, compare(case, computed), computed.mesh, time.perf_counter() - started)


def compare(case: Case, computed: Computed) -> tuple[Row, ...]:
    """A row per quantity.

    Raises:
        ValueError: what was computed is not what the case promises: a fault of the case.
    """
    names = [quantity.name for quantity in case.quantities]
    if sorted(names) != sorted(computed.values):
        raise ValueError(f"{case.name} promises {sorted(names)} and computed {sorted(computed.values)}")
    values = [float(computed.values[name]) for name in names]
    return tuple(Row(one, value, one.error(value)) for one, value in zip(case.quantities, values, strict=True))


def _named(progress: Progress, name: str) -> Progress:
    def told(fraction: float | None, message: str) -> None:
        # A case may solve several times, each of which tells that it is done: the case itself is not yet.
        progress(None if fraction is None else min(fraction, 0.99), f"{name}: {message}")

    return told


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
