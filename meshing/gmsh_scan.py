"""What meshio does not look at in a Gmsh file: sections that do not end, node tags, groups of elements by dimension.

Of two nodes with one tag meshio takes the last, and node 0 of an element for the last one; it stops where an entity of
version 4 is in no group or in several. The format: Gmsh's manual, "MSH file format".
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import MeshError
from .file_mesh import damaged

Groups = list[frozenset[int]]


def sections_of(path: Path) -> dict[str, bytes]:
    """Name → what stands between $name and $Endname.

    Raises:
        MeshError: one does not end, nodes or elements are missing, or the mesh is partitioned.
    """
    data = path.read_bytes()
    found: dict[str, bytes] = {}
    heading = re.compile(rb"^[ \t]*\$(\w+)[ \t]*\r?\n", re.MULTILINE)
    at = 0
    while match := heading.search(data, at):
        name = match[1].decode("ascii", "replace")
        end = re.compile(rb"\$End" + re.escape(match[1]) + rb"\b").search(data, match.end())
        if end is None:
            raise damaged(f"${name} has no $End{name}, so it was cut off", path)
        found[name] = data[match.end() : end.start()]
        at = end.end()
    for needed in ("MeshFormat", "Nodes", "Elements"):
        if needed not in found:
            raise damaged(f"it has no section ${needed}", path)
    if "PartitionedEntities" in found:
        raise MeshError("a partitioned mesh is not read", where=str(path), advice="Save it as one partition")
    return found


class Numbers:
    """The numbers of a section one after the other, ASCII or binary."""

    def __init__(self, section: bytes, binary: bool) -> None:
        self.bytes = section
        self.values = None if binary else np.array(section.split(), np.float64)
        self.at = 0

    def take(self, kind: str, count: int) -> NDArray:
        """The next `count` numbers; raises ValueError where there are fewer."""
        size = np.dtype(kind).itemsize if self.values is None else 1
        end = self.at + size * count
        if count < 0 or end > len(self.bytes if self.values is None else self.values):
            raise ValueError("a section ends before its last number")
        start, self.at = self.at, end
        if self.values is None:
            return np.frombuffer(self.bytes, kind, count, start)
        return self.values[start:end].astype(kind)


def check_version_2(sections: dict[str, bytes], path: Path) -> tuple[Groups, list[int]]:
    """Checks the tags of an ASCII file's nodes; returns each element's physical group, if any, and number of nodes.

    Raises:
        MeshError: a tag is below 1 or there twice, or an element names a node that is not there.
    """
    words = sections["Nodes"].split()
    tags = np.array(words[1::4], np.float64).astype(np.int64)
    if len(words) != 1 + 4 * int(words[0]):
        raise ValueError(f"there are not {int(words[0])} nodes")
    _check_tags(tags, path)
    known = set(tags.tolist())
    lines = [line for line in sections["Elements"].split(b"\n") if line.strip()]
    if len(lines) != 1 + int(lines[0]):
        raise ValueError(f"there are not {int(lines[0])} elements")
    groups: Groups = []
    counts: list[int] = []
    for line in lines[1:]:
        number, _, count, *rest = map(int, line.split())
        for node in rest[count:]:
            if node not in known:
                raise damaged(f"element {number} names node {node}, which is not there", path)
        groups.append(frozenset({abs(rest[0])} - {0} if count else ()))
        counts.append(len(rest) - count)
    return groups, counts


def check_version_4(sections: dict[str, bytes], binary: bool, path: Path) -> dict[tuple[int, int], frozenset[int]]:
    """Checks the tags of the nodes of version 4.1; returns (dimension, entity) → physical groups.

    Raises:
        MeshError: a tag is below 1 or there twice, or nodes have parameters.
    """
    _check_tags(np.concatenate([np.empty(0, np.int64), *_node_tags(Numbers(sections["Nodes"], binary), path)]), path)
    numbers = Numbers(sections.get("Entities", b""), binary)
    groups: dict[tuple[int, int], frozenset[int]] = {}
    for dimension, count in enumerate(numbers.take("<u8", 4) if "Entities" in sections else ()):
        for _ in range(int(count)):
            entity = int(numbers.take("<i4", 1)[0])
            numbers.take("<f8", 6 if dimension else 3)
            physical = numbers.take("<i4", int(numbers.take("<u8", 1)[0]))
            groups[dimension, entity] = frozenset(np.abs(physical).tolist())
            if dimension:
                numbers.take("<i4", int(numbers.take("<u8", 1)[0]))
    return groups


def _node_tags(numbers: Numbers, path: Path) -> Iterator[NDArray[np.int64]]:
    for _ in range(int(numbers.take("<u8", 4)[0])):
        parametric = numbers.take("<i4", 3)[2]
        count = int(numbers.take("<u8", 1)[0])
        if parametric:
            raise MeshError("nodes with parameters are not read", where=str(path),
                            advice="Save it without (Mesh.SaveParametric = 0)")  # fmt: skip
        yield numbers.take("<u8", count).astype(np.int64)
        numbers.take("<f8", 3 * count)


def _check_tags(tags: NDArray[np.int64], path: Path) -> None:
    distinct, count = np.unique(tags, return_counts=True)
    if (count > 1).any():
        raise damaged(f"there are two nodes {distinct[count > 1][0]}", path)
    if tags.size and distinct[0] < 1:
        raise MeshError(f"there is a node {distinct[0]}, and Gmsh counts from 1", where=str(path),
                        advice="Renumber the nodes of the file")  # fmt: skip
