"""A scan's series as tables that keep to one line per series, however narrow the terminal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from ..imaging.inspect import SeriesSummary

_TITLES = {"mark": " ", "key": "series", "what": "what", "voxels": "voxels", "spacing": "spacing mm", "plane": "plane",
           "stored": "stored as"}  # fmt: skip
_DISPENSABLE = ("stored", "plane")
"""Columns that a narrow terminal does without, the first one first."""
_GAP = 2
_SHORTEST = 12
"""Characters that are left of a description at least."""


@dataclass(frozen=True)
class _Row:
    """The words of a series' line; `aside` is what the header hints about it."""

    mark: str
    key: str
    name: str
    aside: str
    voxels: str
    spacing: str
    plane: str
    stored: str

    @property
    def what(self) -> str:
        return f"{self.name}, {self.aside}" if self.aside else self.name


def series_tables(studies: Sequence[Sequence[SeriesSummary]], width: int) -> list[Table]:
    """A table per study of usable series, one line each, the columns of all of them below each other.

    Where not all fits into `width` characters, how the voxels are stored is left out, then the plane (one that is not
    axial is named beside the description then), and at last descriptions are cut short.
    """
    columns = list(_TITLES)
    rows = [[_row(one) for one in study] for study in studies]
    for word in _DISPENSABLE:
        if _total(columns, rows) > width:
            columns.remove(word)
    if "plane" not in columns:
        rows = [[_row(one, brief=True) for one in study] for study in studies]
    widths = _widths(columns, rows)
    excess = max(_total(columns, rows) - width, 0)
    widths["what"] = max(widths["what"] - excess, min(widths["what"], _SHORTEST))
    return [_table(study, columns, widths) for study in rows]


def _widths(columns: list[str], studies: list[list[_Row]]) -> dict[str, int]:
    from rich.cells import cell_len

    return {
        word: max(cell_len(text) for text in [_TITLES[word], *(getattr(row, word) for rows in studies for row in rows)])
        for word in columns
    }


def _total(columns: list[str], studies: list[list[_Row]]) -> int:
    return sum(_widths(columns, studies).values()) + _GAP * (len(columns) - 1)


def _table(rows: list[_Row], columns: list[str], widths: dict[str, int]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, _GAP, 0, 0))
    for word in columns:
        table.add_column(_TITLES[word], width=widths[word], no_wrap=True, overflow="ellipsis")
    for row in rows:
        cells = {word: Text(getattr(row, word)) for word in columns}
        cells["mark"].stylize("green")
        cells["what"] = _what(row, widths["what"])
        table.add_row(*cells.values())
    return table


def _what(row: _Row, width: int) -> Text:
    """The description, cut short if need be, and beside it what the header hints."""
    from rich.cells import cell_len
    from rich.text import Text

    name = Text(row.name)
    beside = f", {row.aside}" if row.aside else ""
    name.truncate(max(width - cell_len(beside), min(_SHORTEST, width)), overflow="ellipsis")
    return name.append(beside, "cyan")


def _row(one: SeriesSummary, *, brief: bool = False) -> _Row:
    from ..imaging.inspect import short_syntax

    plane = one.orientation if one.orientation != "unknown" else ""
    phase = re.split("[,:]", one.phase)[0] if brief else one.phase
    asides = (plane if brief and plane != "axial" else "", phase)
    return _Row(
        mark="▶" if one.chosen else "",
        key=one.key,
        name=series_name(one),
        aside=", ".join(filter(None, asides)),
        voxels="×".join(map(str, one.size)) if all(one.size[:2]) else "",
        spacing=_spacing(one),
        plane=plane,
        stored=short_syntax(one.transfer_syntax) if all(one.size[:2]) else "",
    )


def series_name(one: SeriesSummary) -> str:
    """Modality and description (without one the kind of object) on one line; the modality is not said twice."""
    name = " ".join(one.description.split()) or one.kind
    told = name.upper().startswith(one.modality[:2] if one.modality.startswith("RT") else one.modality)
    return name if told or (name == one.kind and one.modality in name) else f"{one.modality} {name}"


def _spacing(one: SeriesSummary) -> str:
    if not one.spacing_mm:
        return ""
    # A single slice has no distance to the next.
    shown = one.spacing_mm if one.slices > 1 else one.spacing_mm[:2]
    text = "×".join(f"{x:.3g}" for x in shown)
    thick = one.thickness_mm or 0.0
    return f"{text} ({thick:g} thick)" if thick and abs(thick - one.spacing_mm[2]) > 0.05 else text
