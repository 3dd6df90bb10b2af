"""`Inspection` as tables on the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from .series_table import series_tables

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..imaging.inspect import Inspection, SeriesSummary, StudySummary


def print_inspection(inspection: Inspection, *, identify: bool = False, console: Console | None = None) -> None:
    """Print studies and series, what is odd about them, and which one would be used."""
    from rich.console import Console
    from rich.markup import escape

    console = console or Console()
    tables = series_tables([study.series for study in inspection.studies], console.width)
    for study, table in zip(inspection.studies, tables, strict=True):
        console.print(f"[bold]{escape(_study_line(study, identify))}[/bold]", highlight=False)
        console.print(table)
        console.print(_remarks(study.series), highlight=False)
    if inspection.ignored_files:
        console.print(f"Other files (no scans, ignored): {inspection.ignored_files}")
    for note in inspection.notes:
        console.print(f"[yellow]Note:[/yellow] {escape(note)}", highlight=False)
    # In a log or a pipe one line, however long; on a terminal broken between words.
    console.print(_verdict(inspection), highlight=False, soft_wrap=not console.is_terminal)


def _study_line(study: StudySummary, identify: bool) -> str:
    who = study.patient
    if identify and (study.patient_name or study.patient_id):
        who = f"{study.patient}: {study.patient_name or 'no name'} (ID {study.patient_id or 'none'})"
    return ", ".join(filter(None, (who, study.date, study.description)))


def _remarks(series: Iterable[SeriesSummary]) -> Table:
    """Why a series cannot be used, and what is odd about it: its key and a sentence."""
    from rich.markup import escape
    from rich.table import Table

    remarks = Table.grid(padding=(0, 1))
    remarks.add_column(no_wrap=True)
    remarks.add_column(overflow="fold")
    for one in series:
        if not one.usable:
            remarks.add_row(f"[dim]  {escape(one.key)}:[/dim]", f"[dim]not usable, it is {escape(one.why)}[/dim]")
        for oddity in one.oddities:
            remarks.add_row(f"  [yellow]{escape(one.key)}[/yellow]:", escape(oddity))
    return remarks


def _verdict(inspection: Inspection) -> str:
    from rich.markup import escape

    chosen = inspection.chosen
    if inspection.problem:
        return f"[red]Not usable as it is:[/red] {escape(inspection.problem)}"
    if chosen is None:
        return "[red]Not usable as it is:[/red] no series would be used."
    why = f": it is {chosen.why}" if chosen.why else ""
    return f"[green]Series {escape(chosen.key)} would be used[/green]{escape(why)}."
