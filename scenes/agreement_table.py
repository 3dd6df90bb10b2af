"""`Agreement`s on the terminal: a table of what both sides have, and below it, once, what is to be said of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from ..imaging.compare import most_miss
from .plain_words import name_words

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..imaging.compare import Agreement

_LEGEND = "HD95: 95 % Hausdorff distance; mean: of the surfaces; diff.: labels minus truth"


def print_agreement(
    agreements: Sequence[Agreement], *, only_in_labels: Sequence[str] = (), console: Console | None = None
) -> None:
    """Print the agreement of two segmentations, a row per segment of the truth.

    Args:
        agreements: from `compare_labels`.
        only_in_labels: segments that the truth lacks, to be named below.
        console: where to.
    """
    from rich.console import Console

    console = console or Console()
    known = [one for one in agreements if one.truth_volume_ml]
    if known:
        console.print(agreement_table(known))
        console.print()
        console.print(_LEGEND, style="dim", highlight=False)
    for line in remarks(agreements, only_in_labels):
        console.print(line, markup=False, highlight=False)


def agreement_table(agreements: Iterable[Agreement]) -> Table:
    """Dice, surface distances and volumes per segment; a dash where a number does not exist."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("segment", no_wrap=True)
    for title in ("Dice", "HD95 mm", "mean mm", "volume mL", "truth mL", "diff. %"):
        table.add_column(title, justify="right", no_wrap=True)
    for one in agreements:
        # Of a segment that the labels lack a volume of 0 and -100 % would say nothing more.
        there = bool(one.volume_ml)
        table.add_row(
            Text(name_words(one.name)),
            _number(one.dice, 3),
            _number(one.hausdorff_95_mm, 2),
            _number(one.mean_surface_distance_mm, 2),
            _number(one.volume_ml, 1) if there else "–",
            _number(one.truth_volume_ml, 1),
            _number(one.difference_percent, 1, sign=True) if there else "–",
        )
    return table


def remarks(agreements: Sequence[Agreement], only_in_labels: Sequence[str] = ()) -> list[str]:
    """What was done to the labels, once; and the segments that one side lacks."""
    common = [one for one in agreements if one.common]
    lines = [note[:1].upper() + note[1:] + "." for note in dict.fromkeys(one.note for one in common if one.note)]
    missed = [one.name for one in agreements if one.truth_volume_ml and not one.volume_ml]
    if missed:
        lines.append(f"In the truth, but not in the labels (Dice 0): {_listed(missed)}.")
    alone = [one.name for one in agreements if one.volume_ml and not one.truth_volume_ml]
    if alone or only_in_labels:
        lines.append(f"In the labels, but not in the truth (not compared): {_listed([*alone, *only_in_labels])}.")
    empty = [one.name for one in agreements if not one.volume_ml and not one.truth_volume_ml]
    if empty:
        lines.append(f"Empty on both sides: {_listed(empty)}.")
    if most_miss(agreements):
        lines.append("Most segments of the labels do not meet their counterpart: are both of the same scan?")
    return lines


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(name_words, dict.fromkeys(names)))


def _number(value: float, digits: int, *, sign: bool = False) -> str:
    return f"{value:{'+' if sign else ''}.{digits}f}" if math.isfinite(value) else "–"
