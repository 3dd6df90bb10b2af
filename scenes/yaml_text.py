"""YAML as people mean it: 1e6 is a number, and a key that stands twice is a mistake."""

from __future__ import annotations

import re
from collections.abc import Hashable, Iterator, Mapping
from itertools import islice
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without two surprises of YAML 1.1."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """A mapping whose keys are each given once; PyYAML keeps the last and says nothing.

        Raises:
            yaml.constructor.ConstructorError: a key stands twice.
        """
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            # A merge key (<<) brings in what may be overridden.
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, Hashable) and key in seen:
                raise yaml.constructor.ConstructorError(
                    "while reading a mapping", node.start_mark, f"the key {key} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


# YAML 1.1 wants a dot and a signed exponent: 1e6, 2.5e3 and 1E-3 would be text.
_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)[eE][-+]?[0-9]+$"), list("-+.0123456789")
)


def read_yaml(text: str) -> Any:
    """The data in a YAML text.

    Raises:
        yaml.YAMLError: not YAML, or a key stands twice in one mapping.
    """
    return yaml.load(text, Loader=_Loader)


def key_lines(text: str) -> dict[str, int]:
    """Dotted key, as `--set` takes it → its line, counted from 1; of a YAML text that `read_yaml` has read."""
    root = yaml.compose(text, Loader=_Loader)
    return dict(islice(_lines(root, "", ()), _MOST_KEYS)) if root is not None else {}


_MOST_KEYS = 10_000
"""Aliases of aliases can make millions of keys out of a few lines."""


def _lines(node: yaml.Node, prefix: str, above: tuple[yaml.Node, ...]) -> Iterator[tuple[str, int]]:
    if node in above:
        return
    entries: list[tuple[str, yaml.Node, yaml.Node]] = []
    if isinstance(node, yaml.MappingNode):
        entries = [(key.value, key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]
    elif isinstance(node, yaml.SequenceNode):
        entries = [(str(number), value, value) for number, value in enumerate(node.value)]
    for name, named, value in entries:
        key = f"{prefix}.{name}" if prefix else name
        yield key, named.start_mark.line + 1
        yield from _lines(value, key, (*above, node))


def place_of(source: str, lines: Mapping[str, int], key: str) -> str:
    """A source, with the line of a key or of what it stands under; a line 0 is that of no file."""
    while key and key not in lines:
        key = key.rpartition(".")[0]
    line = lines.get(key, 0)
    return f"{source}, line {line}" if line else source
