"""`Inspection` as tables on the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from .series_table import series_name, series_tables

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from ..imaging.inspect import Inspection, SeriesSummary, StudySummary


def print_inspection(inspection: Inspection, *, identify: bool = False, console: Console | None = None) -> None:
    """Print the usable series with what is odd about them, the others in a line each, and which one would be used."""
    from rich.console import Console
    from rich.markup import escape

    console = console or Console()
    usable = [[one for one in study.series if one.usable] for study in inspection.studies]
    tables = series_tables([series for series in usable if series], console.width)
    for study, series in zip(inspection.studies, usable, strict=True):
        if series or len(inspection.studies) == 1:
            console.print(f"[bold]{escape(_study_line(study, identify))}[/bold]", highlight=False)
        if series:
            console.print(tables.pop(0))
            for line in _oddities(series):
                console.print(line, highlight=False)
    _print_unusable(console, inspection, identify)
    legend = _legend(inspection)
    if legend:
        console.print(legend, style="dim", highlight=False)
    if inspection.ignored_files:
        console.print(f"Other files (no scans, ignored): {inspection.ignored_files}")
    for note in inspection.notes:
        console.print(f"[yellow]Note:[/yellow] {escape(note)}", highlight=False)
    # In a log or a pipe one line, however long; on a terminal broken between words.
    console.print(_verdict(inspection), highlight=False, soft_wrap=not console.is_terminal)


def _legend(inspection: Inspection) -> str:
    """What the signs before a series mean, of those that are there."""
    series = [one for study in inspection.studies for one in study.series]
    signs = {"▶ will be used": inspection.chosen is not None, "– cannot be used": not all(one.usable for one in series)}
    return f"Signs: {', '.join(words for words, there in signs.items() if there)}" if any(signs.values()) else ""


_FEW = 8
"""So many lines of unusable series may be broken; of more, each is cut at the terminal's edge."""


def _print_unusable(console: Console, inspection: Inspection, identify: bool) -> None:
    from rich.text import Text

    several = len(inspection.studies) > 1
    rows = [(study, one) for study in inspection.studies for one in study.series if not one.usable]
    widest = max((len(one.key) for _, one in rows), default=0)
    for study, one in rows:
        whose = f" ({_who(study, identify)})" if several else ""
        line = Text(f"–  {one.key:<{widest}}  {series_name(one)}{_size(one)}: {_why_not(one)}{whose}", style="dim")
        if not console.is_terminal:
            console.print(line, soft_wrap=True)
        elif len(rows) > _FEW:
            console.print(line, no_wrap=True, overflow="ellipsis")
        else:
            console.print(line)


def _size(one: SeriesSummary) -> str:
    return f" {'×'.join(map(str, one.size))}" if all(one.size[:2]) else ""


def _why_not(one: SeriesSummary) -> str:
    """Why it cannot be used; what kind of object it is instead has been told by its name."""
    what, but, _ = one.why.partition(" but ")
    return what if but and what == "not a scan" and one.kind in series_name(one) else one.why


def _study_line(study: StudySummary, identify: bool) -> str:
    return ", ".join(filter(None, (_who(study, identify), study.date, study.description)))


def _who(study: StudySummary, identify: bool) -> str:
    if identify and (study.patient_name or study.patient_id):
        return f"{study.patient}: {study.patient_name or 'no name'} (ID {study.patient_id or 'none'})"
    return study.patient


_SAID_ONCE = 3
"""Series that share an oddity, from which on it is said once."""
_ODDITIES = 4
"""Of one series that are shown; `--json` has all."""


def _oddities(series: Iterable[SeriesSummary]) -> Iterable[RenderableType]:
    """What is odd about series: key and sentence, the sentence's further lines below its first."""
    from rich.table import Table
    from rich.text import Text

    grid = Table.grid(padding=(0, 1))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    series = tuple(series)
    told = [oddity for one in series for oddity in one.oddities]
    common = [oddity for oddity in dict.fromkeys(told) if told.count(oddity) >= _SAID_ONCE]
    for oddity in common:
        count = sum(oddity in one.oddities for one in series)
        whose = "all" if count == len(series) else f"{count} of them"
        grid.add_row(Text.assemble("  ", (whose, "yellow"), ":"), Text(oddity))
    for one in (replace(one, oddities=tuple(o for o in one.oddities if o not in common)) for one in series):
        for oddity in one.oddities[:_ODDITIES]:
            grid.add_row(Text.assemble("  ", (one.key, "yellow"), ":"), Text(oddity))
        if len(one.oddities) > _ODDITIES:
            grid.add_row(Text(f"  {one.key}:"), Text(f"… and {len(one.oddities) - _ODDITIES} more (--json)"))
    return [grid] if grid.row_count else []


def _verdict(inspection: Inspection) -> str:
    from rich.markup import escape

    chosen = inspection.chosen
    if inspection.problem:
        return f"[red]Not usable as it is:[/red] {escape(inspection.problem)}"
    if chosen is None:
        return "[red]Not usable as it is:[/red] no series would be used."
    why = f": it is {chosen.why}" if chosen.why else ""
    aside = "" if chosen.segmentable else " [yellow]It needs labels made elsewhere[/yellow] (segmentation.labels)."
    return f"[green]Series {escape(chosen.key)} would be used[/green]{escape(why)}.{aside}"
