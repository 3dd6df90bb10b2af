"""The keyword lines of an Abaqus input file, and the data lines under those that make its mesh."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from ..imaging.errors import MeshError
from .file_mesh import damaged

_WITH_DATA = {"NODE", "ELEMENT", "NSET", "ELSET", "INSTANCE"}
_OPENED = {"PART", "ASSEMBLY", "INSTANCE", "STEP"}
_NOT_READ = {
    "INCLUDE", "NGEN", "NFILL", "NCOPY", "NMAP", "ELGEN", "ELCOPY", "SYSTEM", "IMPORT", "ELEMENT GENERATION",
}  # fmt: skip
_OPTIONS_NOT_READ = {
    "NODE": {"INPUT", "SYSTEM"},
    "ELEMENT": {"INPUT", "OFFSET", "FILE"},
    "NSET": {"INPUT", "ELSET"},
    "ELSET": {"INPUT"},
    "PART": {"INPUT"},
    "INSTANCE": {"LIBRARY", "INPUT"},
}


class Card(NamedTuple):
    """A keyword in upper case, its options (name in upper case → value, "" of a flag), its line, its data lines."""

    keyword: str
    options: dict[str, str]
    line: int
    data: list[tuple[int, list[str]]]


def read_cards(path: Path) -> Iterator[Card]:
    """Keywords in the order of the file, whatever their case; comments and blank lines are skipped.

    Raises:
        MeshError: the file ends within a line or a block, or has a keyword that changes the mesh and is not read.
    """
    lines = _text(path).split("\n")
    card: Card | None = None
    opened: list[Card] = []
    numbered = iter(enumerate(lines, 1))
    for number, line in numbered:
        line = line.strip()
        if not line or line.startswith("**"):
            continue
        # Whoever ends a file by hand may leave out the last line's end, but then nothing tells it from one cut off.
        if number == len(lines) and (line.startswith("*") or card) and not line.upper().startswith("*END"):
            raise MeshError("the file is damaged: it ends within its last line", where=f"{path}, line {number}",
                            advice="Export the mesh again, or end that line if it is whole")  # fmt: skip
        if not line.startswith("*"):
            if card:
                card.data.append((number, [word.strip() for word in line.split(",")]))
            continue
        if card:
            yield card
        while line.endswith(","):
            line += next(numbered, (0, ""))[1].strip() or " "
        found = _card(line, number)
        _refuse(found, path)
        _follow(found, opened, path)
        card = found if found.keyword in _WITH_DATA else None
        if card is None:
            yield found
    if card:
        yield card
    if opened:
        last = opened[-1]
        raise damaged(f"*{last.keyword} of line {last.line} has no *END {last.keyword}, so it was cut off", path)


def _text(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _card(line: str, number: int) -> Card:
    head, *words = line[1:].split(",")
    pairs = (word.partition("=") for word in words if word.strip())
    options = {name.strip().upper(): value.strip().strip('"') for name, _, value in pairs}
    return Card(" ".join(head.split()).upper(), options, number, [])


def _refuse(card: Card, path: Path) -> None:
    asked = sorted(_OPTIONS_NOT_READ.get(card.keyword, set()) & card.options.keys())
    if card.keyword in _NOT_READ or (asked and card.options.get("SYSTEM", "").upper() != "R"):
        option = f", {asked[0]}" if asked else ""
        raise MeshError(f"*{card.keyword}{option} is not read", where=f"{path}, line {card.line}",
                        advice="Export the mesh flat: all nodes, elements and sets in one file")  # fmt: skip


def _follow(card: Card, opened: list[Card], path: Path) -> None:
    """Keep `opened` the blocks that are open at this card."""
    if card.keyword in _OPENED:
        opened.append(card)
    elif card.keyword.startswith("END ") and card.keyword[4:] in _OPENED:
        if not opened or opened[-1].keyword != card.keyword[4:]:
            raise damaged(f"*{card.keyword} of line {card.line} ends nothing", path)
        opened.pop()
