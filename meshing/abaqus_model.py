"""The nodes, elements and sets of an Abaqus input file by their ids, in the part or the assembly they belong to."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import MeshError
from .abaqus_cards import Card
from .abaqus_elements import ElementType, element_type
from .file_mesh import damaged


@dataclass
class NamedSet:
    """A set's name as the file first writes it, and what it names: (line, id or name of a set, scope it is in)."""

    name: str
    entries: list[tuple[int, str | int, Scope]] = field(default_factory=list)
    internal: bool = False
    of_block: bool = True


@dataclass
class Scope:
    """Where ids count: a part, the assembly, or a file without them. Ids → rows; sets by name in upper case."""

    name: str
    nodes: dict[int, int] = field(default_factory=dict)
    elements: dict[int, int] = field(default_factory=dict)
    sets: dict[str, dict[str, NamedSet]] = field(default_factory=lambda: {"NSET": {}, "ELSET": {}})

    def ids(self, kind: str) -> dict[int, int]:
        return self.nodes if kind == "NSET" else self.elements


class AbaqusModel:
    """Takes the cards of a file one after the other.

    Attributes:
        points: (x, y, z) of each node.
        types: of each element, as the file has it and what that is.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.points: list[list[float]] = []
        self.types: list[tuple[str, ElementType]] = []
        self._named_nodes: list[tuple[list[str], Scope, int]] = []
        self._outside, self._assembly = Scope(""), Scope("")
        self._parts: dict[str, Scope] = {}
        self._instances: dict[str, tuple[Card, Scope]] = {}
        self._scopes = [self._outside]

    def add(self, card: Card) -> None:
        """Raises MeshError where the card is damaged or has what is not read."""
        name = card.options.get("NAME", "")
        if card.keyword == "PART":
            self._scopes.append(self._parts.setdefault(name.upper(), Scope(name)))
        elif card.keyword == "ASSEMBLY":
            self._scopes.append(self._assembly)
        elif card.keyword == "INSTANCE":
            part = self._parts.setdefault(card.options.get("PART", "").upper(), Scope(name))
            self._instances[name.upper()] = (card, part)
            self._scopes.append(part)
        elif card.keyword in ("END PART", "END ASSEMBLY", "END INSTANCE"):
            self._scopes.pop()
        elif card.keyword == "NODE":
            self._add_nodes(card, self._scopes[-1])
        elif card.keyword == "ELEMENT":
            self._add_elements(card, self._scopes[-1])
        elif card.keyword in ("NSET", "ELSET"):
            self._add_set(card, self._scopes[-1])

    def placed(self) -> NDArray[np.float64]:
        """(n, 3) points, those of the part where its instance is.

        Raises:
            MeshError: several parts or instances hold elements, or one is rotated.
        """
        parts = [scope.name for scope in self._parts.values() if scope.elements]
        instances = [(card, scope) for card, scope in self._instances.values() if scope.elements]
        for kind, names in (("parts", parts), ("instances", [card.options.get("NAME", "") for card, _ in instances])):
            if len(names) > 1:
                raise self._not_read(f"the file has {len(names)} {kind} with elements ({', '.join(names)})")
        points = np.array(self.points, np.float64)
        for card, scope in instances:
            try:
                rows = [[float(word) for word in words if word] for _, words in card.data]
            except ValueError as error:
                raise self._damaged(f"the place of an instance is no number ({error})", card.line) from error
            if len(rows) > 1 and rows[1][6:] != [0.0]:
                raise self._not_read(f"instance {card.options.get('NAME', '')!r} is rotated")
            if rows:
                points[list(scope.nodes.values())] += rows[0][:3]
        return points

    def elements(self) -> list[list[int]]:
        """Rows of the nodes of each element. Raises MeshError where there is no such node."""
        return [
            [self._row("NSET", word, scope, line, f"element {words[0]}") for word in words[1:]]
            for words, scope, line in self._named_nodes
        ]

    def sets(self, kind: str) -> dict[str, set[int]]:
        """Name → rows of the sets of nodes ("NSET") or elements ("ELSET"), those that *ELSET makes first."""
        found: dict[str, set[int]] = {}
        scopes = (self._outside, self._assembly, *self._parts.values())
        every = [(scope, key, one) for scope in scopes for key, one in scope.sets[kind].items() if not one.internal]
        for scope, key, one in sorted(every, key=lambda each: each[2].of_block):
            rows = self._resolved(kind, scope, key, ())
            other = found.get(one.name, rows)
            found[one.name if other == rows else f"{scope.name}.{one.name}"] = rows
        return found

    def _add_nodes(self, card: Card, scope: Scope) -> None:
        for line, words in card.data:
            while words and not words[-1]:
                words.pop()
            number, *place = words or [""]
            node = self._number(number, line)
            if len(place) < 3:
                raise MeshError(f"node {node} has {len(place)} of 3 coordinates", where=f"{self.path}, line {line}",
                                advice="Export a solid mesh, and again if the file was cut off")  # fmt: skip
            if node in scope.nodes:
                raise self._damaged(f"there are two nodes {node}", line)
            scope.nodes[node] = len(self.points)
            try:
                self.points.append([float(word.upper().replace("D", "E") or 0) for word in place[:3]])
            except ValueError as error:
                raise self._damaged(f"node {node} is at {', '.join(place)}", line) from error
            self._note("NSET", card, scope, line, node)

    def _add_elements(self, card: Card, scope: Scope) -> None:
        name = card.options.get("TYPE", "").upper()
        if not name:
            raise self._damaged("*ELEMENT has no TYPE", card.line)
        what = element_type(name)
        words: list[str] = []
        for line, more in card.data:
            words += [word for word in more if word]
            if more[-1] or (what.nodes and len(words) > what.nodes):
                self._add_element(words, name, what, scope, line)
                self._note("ELSET", card, scope, line, int(words[0]))
                words = []
        if words:
            raise self._damaged(f"element {words[0]} of type {name} ends before its last node", card.data[-1][0])

    def _add_element(self, words: list[str], name: str, what: ElementType, scope: Scope, line: int) -> None:
        number = self._number(words[0], line)
        if what.nodes not in (None, len(words) - 1):
            text = f"element {number} of type {name} has {len(words) - 1} nodes in place of {what.nodes}"
            raise self._damaged(text, line)
        if number in scope.elements:
            raise self._damaged(f"there are two elements {number}", line)
        scope.elements[number] = len(self.types)
        self._named_nodes.append((words, scope, line))
        self.types.append((name, what))

    def _add_set(self, card: Card, scope: Scope) -> None:
        inside = card.options.get("INSTANCE")
        within = self._instance(inside, card.line) if inside else scope
        self._named(card.keyword, card, scope).of_block = False
        for line, words in card.data:
            words = [word for word in words if word]
            if "GENERATE" in card.options:
                first, last, step = ([self._number(word, line) for word in words] + [1])[:3] if words[1:] else (0, 0, 0)
                if step < 1 or (last - first) % step:
                    raise self._damaged(f"{', '.join(words)} generates no ids", line)
                words = range(first, last + 1, step)
            for word in words:
                self._note(card.keyword, card, scope, line, word, within)

    def _named(self, kind: str, card: Card, scope: Scope) -> NamedSet:
        name = card.options.get(kind, "")
        if not name:
            raise self._damaged(f"*{card.keyword} names no set", card.line)
        found = scope.sets[kind].setdefault(name.upper(), NamedSet(name))
        found.internal |= "INTERNAL" in card.options
        return found

    def _note(
        self, kind: str, card: Card, scope: Scope, line: int, word: str | int, within: Scope | None = None
    ) -> None:
        """Put an id or a set into the set of that kind that the card names, if it names one."""
        if kind in card.options:
            self._named(kind, card, scope).entries.append((line, word, within or scope))

    def _resolved(self, kind: str, scope: Scope, key: str, above: tuple[tuple[int, str], ...]) -> set[int]:
        above = (*above, (id(scope), key))
        rows: set[int] = set()
        for line, word, within in scope.sets[kind][key].entries:
            text = str(word).rpartition(".")[2].upper()
            there = self._instance(str(word).rpartition(".")[0], line) if "." in str(word) else within
            if (id(there), text) in above:
                raise self._damaged(f"set {scope.sets[kind][key].name!r} is a set of itself", line)
            if not text.isdigit() and text in there.sets[kind]:
                rows |= self._resolved(kind, there, text, above)
            else:
                rows.add(self._row(kind, text, there, line, f"set {scope.sets[kind][key].name!r}"))
        return rows

    def _row(self, kind: str, word: str, scope: Scope, line: int, by: str) -> int:
        """Row of the node or element that `by` names, as 7 or as instance.7."""
        inside, _, last = word.rpartition(".")
        ids = (self._instance(inside, line) if inside else scope).ids(kind)
        row = ids.get(int(last)) if last.isdigit() else None
        if row is None:
            thing = "node" if kind == "NSET" else "element"
            raise self._damaged(f"{by} names {thing if last.isdigit() else 'set'} {word}, which is not there", line)
        return row

    def _instance(self, name: str, line: int) -> Scope:
        if name.upper() not in self._instances:
            raise self._damaged(f"there is no instance {name!r}", line)
        return self._instances[name.upper()][1]

    def _number(self, word: str, line: int) -> int:
        if not word.isdigit() or int(word) < 1:
            raise self._damaged(f"{word!r} is no id", line)
        return int(word)

    def _damaged(self, what: str, line: int) -> MeshError:
        return damaged(f"line {line}: {what}", self.path)

    def _not_read(self, what: str) -> MeshError:
        return MeshError(f"{what}, which is not read", where=str(self.path),
                         advice="Export one part with one instance, or the mesh flat")  # fmt: skip
