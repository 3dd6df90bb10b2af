"""Outcomes of reference problems: a table on the terminal, and the page `docs/verification.md`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..engine.tissue.verification.case import Case, Quantity
    from ..engine.tissue.verification.run import Outcome, Row

WIDE = 120
"""Columns that the table takes where nobody looks at a terminal."""
_SIGNS = {"at least": "≥ ", "at most": "≤ "}


def print_outcomes(outcomes: Sequence[Outcome], *, console: Console | None = None) -> None:
    """Print every quantity beside its reference, what could not be computed, and how many cases pass."""
    from rich.console import Console

    console = console or Console()
    if not console.is_terminal:
        console.width = max(console.width, WIDE)
    console.print(outcome_table(outcomes))
    console.print()
    for number, source in enumerate(_sources(outcomes), start=1):
        console.print(f"[{number}] {source}", markup=False, highlight=False, style="dim")
    for line in _remarks(outcomes):
        console.print(line, markup=False, highlight=False)


def outcome_table(outcomes: Sequence[Outcome]) -> Table:
    """A row per case with its mesh and time, and one below it per quantity."""
    from rich.table import Table
    from rich.text import Text

    sources = _sources(outcomes)
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("case")
    for title in ("reference", "computed", "error", "limit"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("mesh, source")
    table.add_column("s", justify="right", no_wrap=True)
    for outcome in outcomes:
        note = f"[{sources.index(outcome.case.source) + 1}]"
        about = Text(", ".join(filter(None, (outcome.mesh, note))), style="dim")
        verdict = Text(*_VERDICT[_state(outcome)])
        table.add_row(Text(outcome.case.name, "bold"), "", "", "", "", verdict, about, f"{outcome.seconds:.1f}")
        for row in outcome.rows:
            table.add_row(Text(f"  {row.quantity.name}"), *_cells(row), "" if row.passed else Text("✗", "red"), "", "")
    return table


_VERDICT = {"pass": ("pass", "green"), "FAIL": ("FAIL", "bold red"), "skipped": ("skipped", "yellow")}


def _state(outcome: Outcome) -> str:
    return "skipped" if outcome.skipped else "pass" if outcome.passed else "FAIL"


def _cells(row: Row) -> tuple[str, str, str, str]:
    """Reference, computed, error and limit, as text."""
    one = row.quantity
    unit = f" {one.unit}" if one.unit else ""
    wanted = f"{_SIGNS.get(one.measure, '')}{_value(one.reference)}{unit}"
    return wanted, _value(row.computed), _error(row.error, one), _error(one.limit.value, one)


def _value(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else "–"


def _error(value: float, quantity: Quantity) -> str:
    if not math.isfinite(value):
        return "–"
    if quantity.measure == "relative":
        return f"{100 * value:.2g} %"
    return f"{value:.2g}{' ' + quantity.unit if quantity.unit else ''}"


def _sources(outcomes: Sequence[Outcome]) -> list[str]:
    return list(dict.fromkeys(outcome.case.source for outcome in outcomes))


def _remarks(outcomes: Sequence[Outcome]) -> list[str]:
    lines = [f"{one.case.name} could not be computed: {one.failure}" for one in outcomes if one.failure]
    lines += [f"{one.case.name} was left out: {one.skipped}" for one in outcomes if one.skipped]
    return [*lines, summary(outcomes)]


def summary(outcomes: Sequence[Outcome]) -> str:
    """How many cases passed, failed and were left out."""
    states = [_state(outcome) for outcome in outcomes]
    ran = len(states) - states.count("skipped")
    text = f"{states.count('pass')} of {ran} cases pass"
    if states.count("skipped"):
        text += f", {states.count('skipped')} left out"
    failed = [outcome.case.name for outcome in outcomes if _state(outcome) == "FAIL"]
    return f"{text}; not within limits: {', '.join(failed)}." if failed else f"{text}."


def print_cases(cases: Sequence[Case], *, console: Console | None = None) -> None:
    """Print names, sources and which ones are quick."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = console or Console()
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("case", no_wrap=True)
    table.add_column("", no_wrap=True)
    table.add_column("source")
    for case in cases:
        table.add_row(Text(case.name), "quick" if case.quick else "", Text(case.source))
    console.print(table)


def markdown(outcomes: Sequence[Outcome], device: str) -> str:
    """The page `docs/verification.md`."""
    head = [
        "# Verification of tissue mechanics",
        "",
        "Made by `preop verify tissue --markdown`; a test checks that its cases are those of the registry.",
        f"Computed on: {device}. {summary(outcomes)} Times include compilation, on a shared machine.",
        "",
        "A limit follows from the order of the method at its mesh, from the gap between what the source idealises and",
        "what is computed, and from the digits of the source; the parts add up, and no constant is fitted. Errors and",
        "limits in % are relative to the reference, others in its unit.",
        "",
        "| case | quantity | reference | computed | error | limit | pass | time s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    body = [line for outcome in outcomes for line in _table_lines(outcome)]
    notes = ["", "## Sources, meshes and reasons of the limits", ""]
    notes += [line for outcome in outcomes for line in _notes(outcome)]
    return "\n".join([*head, *body, *notes])


def _table_lines(outcome: Outcome) -> list[str]:
    name, seconds = f"`{outcome.case.name}`", f"{outcome.seconds:.1f}"
    if outcome.skipped:
        return [f"| {name} | left out: {outcome.skipped} | | | | | – | |"]
    lines = []
    for row in outcome.rows:
        cells = (row.quantity.name, *_cells(row), "yes" if row.passed else "**no**")
        lines.append(f"| {name} | {' | '.join(cells)} | {seconds} |")
        name = seconds = ""
    return lines


def _notes(outcome: Outcome) -> list[str]:
    reasons = dict.fromkeys(quantity.limit.reason for quantity in outcome.case.quantities)
    mesh = f" Mesh: {outcome.mesh}." if outcome.mesh else ""
    failure = f" Not computed: {outcome.failure}." if outcome.failure else ""
    return [f"* `{outcome.case.name}`: {outcome.case.source}.{mesh}{failure} Limit: {' · '.join(reasons)}."]
