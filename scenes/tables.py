"""`Inspection` and `Agreement` as tables on the terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

    from ..imaging.compare import Agreement
    from ..imaging.inspect import Inspection, SeriesSummary, StudySummary


def print_inspection(inspection: Inspection, *, identify: bool = False, console: Console | None = None) -> None:
    """Print studies and series, what is odd about them, and which one would be used."""
    from rich.console import Console
    from rich.markup import escape

    console = console or Console()
    for study in inspection.studies:
        console.print(f"[bold]{escape(_study_line(study, identify))}[/bold]")
        console.print(series_table(study.series))
        for series in study.series:
            if not series.usable:
                console.print(
                    f"  [dim]{escape(series.key)}: not usable, it is {escape(series.why)}[/dim]", highlight=False
                )
            for oddity in series.oddities:
                console.print(f"  [yellow]{escape(series.key)}[/yellow]: {escape(oddity)}", highlight=False)
    if inspection.ignored_files:
        console.print(f"Other files (no scans, ignored): {inspection.ignored_files}")
    for note in inspection.notes:
        console.print(f"[yellow]Note:[/yellow] {escape(note)}", highlight=False)
    console.print(_verdict(inspection), highlight=False)


def _study_line(study: StudySummary, identify: bool) -> str:
    who = study.patient
    if identify and (study.patient_name or study.patient_id):
        who = f"{study.patient}: {study.patient_name or 'no name'} (ID {study.patient_id or 'none'})"
    return ", ".join(filter(None, (who, study.date, study.description)))


def _verdict(inspection: Inspection) -> str:
    from rich.markup import escape

    chosen = inspection.chosen
    if inspection.problem:
        return f"[red]Not usable as it is:[/red] {escape(inspection.problem)}"
    if chosen is None:
        return "[red]No series would be used.[/red]"
    why = f" ({chosen.why})" if chosen.why else ""
    return f"[green]Series {escape(chosen.key)} would be used[/green]{escape(why)}."


def series_table(series: Iterable[SeriesSummary]) -> Table:
    """One row per series; the one that would be used is marked."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for title, fixed in (("", True), ("series", True), ("what", False), ("voxels", True), ("spacing mm", True)):
        table.add_column(title, no_wrap=fixed)
    table.add_column("plane")
    table.add_column("stored as")
    for one in series:
        mark = "[green]▶[/green]" if one.chosen else ("" if one.usable else "[dim]–[/dim]")
        phase = f" [cyan]{one.phase}[/cyan]" if one.phase else ""
        what = escape(f"{one.modality} {one.description or one.kind}".strip()) + phase
        syntax = _short_syntax(one.transfer_syntax)
        table.add_row(mark, escape(one.key), what, _size(one), _spacing(one), one.orientation, syntax)
    return table


def _size(one: SeriesSummary) -> str:
    return "×".join(map(str, one.size)) if all(one.size[:2]) else ""


def _spacing(one: SeriesSummary) -> str:
    if not one.spacing_mm:
        return ""
    text = "×".join(f"{x:.3g}" for x in one.spacing_mm)
    thick = one.thickness_mm or 0.0
    return f"{text} ({thick:g} thick)" if thick and abs(thick - one.spacing_mm[2]) > 0.05 else text


def _short_syntax(name: str) -> str:
    """DICOM's names of transfer syntaxes are sentences: their first words are enough."""
    if name.endswith("Endian"):
        return "uncompressed"
    return name.split(",")[0].split(" (")[0].replace(" Image Compression", "")


def print_agreement(agreements: list[Agreement], *, console: Console | None = None) -> None:
    """Print the agreement of two segmentations, a row per segment."""
    from rich.console import Console

    (console or Console()).print(agreement_table(agreements))


def agreement_table(agreements: list[Agreement]) -> RenderableType:
    """Dice, Jaccard, surface distances and volumes per segment; a dash where a number does not exist."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("segment")
    for title in ("Dice", "Jaccard", "HD95 mm", "mean mm", "volume mL", "truth mL", "difference %"):
        table.add_column(title, justify="right")
    table.add_column("")
    for one in agreements:
        table.add_row(
            one.name.replace("_", " "),
            _number(one.dice, 3),
            _number(one.jaccard, 3),
            _number(one.hausdorff_95_mm, 2),
            _number(one.mean_surface_distance_mm, 2),
            _number(one.volume_ml, 1),
            _number(one.truth_volume_ml, 1),
            _number(one.difference_percent, 1, sign=True),
            f"[yellow]{escape(one.note)}[/yellow]" if one.note else "",
        )
    return table


def _number(value: float, digits: int, *, sign: bool = False) -> str:
    return f"{value:{'+' if sign else ''}.{digits}f}" if math.isfinite(value) else "–"
