"""Outcomes of reference problems: a table on the terminal, and the page `docs/verification.md`."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..engine.tissue.verification.case import Case
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
    error, limit = (_error(size, one.measure, one.unit) for size in (row.error, one.limit.value))
    return wanted, _value(row.computed), error, limit


def _value(value: float | None) -> str:
    return f"{value:.6g}" if value is not None and math.isfinite(value) else "–"


def _error(value: float | None, measure: str, unit: str) -> str:
    if value is None or not math.isfinite(value):
        return "–"
    return f"{100 * value:.2g} %" if measure == "relative" else f"{value:.2g}{' ' + unit if unit else ''}"


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


def markdown(document: Mapping[str, Any]) -> str:
    """The page `docs/verification.md` from what `--json` prints."""
    cases = document["cases"]
    ran = [one for one in cases if not one["skipped"]]
    passed = sum(one["passed"] for one in ran)
    head = [
        "# Verification of tissue mechanics",
        "",
        "Made by `preop verify tissue --markdown`; a test checks that its cases are those of the registry.",
        f"Computed on: {document['device']}. {passed} of {len(ran)} cases pass, {len(cases) - len(ran)} left out.",
        "Times are those of a shared machine and include compilation.",
        "",
        "A limit follows from the order of the method at its mesh, from the gap between what the source idealises and",
        "what is computed, and from the digits of the source; the parts add up, and no constant is fitted. Errors and",
        "limits in % are relative to the reference, others in its unit. Quick cases (q) are in every run of the tests.",
        "",
        "| case | quantity | reference | computed | error | limit | pass | time s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    body = [line for one in cases for line in _table_lines(one)]
    notes = ["", "## Sources, meshes and reasons of the limits", ""]
    return "\n".join([*head, *body, *notes, *map(_note, cases)])


def _table_lines(case: Mapping[str, Any]) -> list[str]:
    name, seconds = f"`{case['name']}`{' q' if case['quick'] else ''}", f"{case['seconds']:.1f}"
    if case["skipped"]:
        return [f"| {name} | left out: {case['skipped']} | | | | | – | |"]
    lines = []
    for row in case["quantities"]:
        unit = f" {row['unit']}" if row["unit"] else ""
        wanted = f"{_SIGNS.get(row['measure'], '')}{_value(row['reference'])}{unit}"
        sizes = (_error(row[key], row["measure"], row["unit"]) for key in ("error", "limit"))
        cells = (row["name"], wanted, _value(row["computed"]), *sizes, "yes" if row["passed"] else "**no**")
        lines.append(f"| {name} | {' | '.join(cells)} | {seconds} |")
        name = seconds = ""
    return lines


def _note(case: Mapping[str, Any]) -> str:
    reasons = " · ".join(dict.fromkeys(row["limit_reason"] for row in case["quantities"]))
    told = {" Mesh: ": case["mesh"], " Not computed: ": case["failure"], " Limit: ": reasons}
    return f"* `{case['name']}`: {case['source']}." + "".join(f"{what}{text}." for what, text in told.items() if text)
