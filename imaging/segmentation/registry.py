"""The segmenters by name; none is imported before it is asked for.

Three ways in:

* a module of this package is one line in `_BUILTIN`;
* a program registers a class it has at hand::

      @register("mine")
      class Mine(Segmenter): ...

* an installed package offers one as an entry point, found without importing it::

      [project.entry-points."preop.segmenters"]
      totalsegmentator = "preop_totalsegmentator:TotalSegmentator"
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TypeVar

from ..errors import SegmentationError
from .base import Segmenter

S = TypeVar("S", bound=Segmenter)
ENTRY_POINT_GROUP = "preop.segmenters"

_BUILTIN = {
    "classical": "preop.imaging.segmentation.classical:ClassicalSegmenter",
    "labels": "preop.imaging.segmentation.labels:LabelFileSegmenter",
}
_REGISTERED: dict[str, type[Segmenter]] = {}


def register(name: str) -> Callable[[type[S]], type[S]]:
    """Make a class available under a name in this process.

    Raises:
        SegmentationError: the name is taken by another class, or the class is not a Segmenter.
    """

    def keep(cls: type[S]) -> type[S]:
        if not issubclass(cls, Segmenter):
            raise SegmentationError(f"{cls.__name__} is not a Segmenter", where=f"segmenter {name}")
        if name in _offers() and _REGISTERED.get(name) is not cls:
            raise SegmentationError(
                "the name is taken", where=f"segmenter {name}", advice="Register it under another name"
            )
        cls.name = name
        _REGISTERED[name] = cls
        return cls

    return keep


def segmenters() -> tuple[str, ...]:
    """Names of all segmenters that can be asked for, built-in ones first. Imports none of them."""
    return tuple(dict.fromkeys((*_BUILTIN, *_REGISTERED, *_installed())))


def segmenter(name: str = "classical") -> Segmenter:
    """A segmenter by name.

    Raises:
        SegmentationError: no segmenter has this name, or its package cannot be imported.
    """
    if name not in _offers():
        raise SegmentationError(
            "no segmenter has this name", where=f"segmenter {name}", advice=f"There are {', '.join(segmenters())}"
        )
    if name in _REGISTERED:
        return _REGISTERED[name]()
    if name in _BUILTIN:
        module, _, attribute = _BUILTIN[name].partition(":")
        return getattr(import_module(module), attribute)()
    try:
        found = _installed()[name].load()
    except Exception as error:  # a plug-in may fail in any way; its name and reason must reach the person
        raise SegmentationError(
            f"it cannot be loaded ({type(error).__name__}: {error})",
            where=f"segmenter {name}",
            advice="Reinstall the package that offers it",
        ) from error
    if not (isinstance(found, type) and issubclass(found, Segmenter)):
        raise SegmentationError("its entry point is not a Segmenter class", where=f"segmenter {name}")
    found.name = name
    return found()


def _offers() -> set[str]:
    return {*_BUILTIN, *_REGISTERED, *_installed()}


def _installed() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
