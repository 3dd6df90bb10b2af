"""What is wrong with a list of a scene, such as a point of two numbers, in a newcomer's words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_DIRECTION = "a direction x, y, z, LPS: to the left, the back and the head"
_PLACE = "x, y, z in LPS mm"
VECTORS = {
    "point": _PLACE,
    "renal_mm": _PLACE,
    "box": _PLACE,
    "box_mm": _PLACE,
    "path_mm": "x, y, z in mm, LPS, from where the tool took hold",
    "towards": _DIRECTION,
    "facing": _DIRECTION,
    "gravity": "x, y, z in m/s², LPS; [0, 9.81, 0] pulls to the back",
}
"""Keys of a scene that hold three numbers, or a list of such threes, and what the numbers mean."""
_OF_SEVERAL = {"box": "two corners", "box_mm": "two corners", "path_mm": "a list of corners"}


def list_problem(first: Mapping[str, Any], problems: Sequence[Mapping[str, Any]]) -> str:
    """Pydantic's first problem in words where it is a list that is none, or of the wrong length; else empty."""
    loc, given = first["loc"], first["input"]
    key = next((str(one) for one in reversed(loc) if str(one) in VECTORS), "")
    if first["type"] in ("tuple_type", "list_type"):
        return f"needs {_list_words(key, bool(loc) and isinstance(loc[-1], int))}, not {short(given)}"
    count = _count(first, problems)
    if not count:
        return ""
    if key in _OF_SEVERAL and str(loc[-1 if first["type"] == "too_long" else -2]) == key:
        return f"needs {_list_words(key, inside=False)}, not {short(given)}"
    words = {2: "two", 3: "three"}.get(count, str(count))
    kind = "numbers" if all(isinstance(one, int | float) for one in given) else "entries"
    meaning = f" ({VECTORS[key]})" if key and kind == "numbers" else ""
    return f"needs {words} {kind}{meaning}, not {short(given)}"


def _list_words(key: str, inside: bool) -> str:
    """What is to stand at a key, or at an entry of the list there."""
    if not key:
        return "a list, such as [a, b]"
    if key in _OF_SEVERAL and not inside:
        return f"{_OF_SEVERAL[key]}, each of three numbers ({VECTORS[key]})"
    return f"three numbers ({VECTORS[key]})"


def _count(first: Mapping[str, Any], problems: Sequence[Mapping[str, Any]]) -> int:
    """The length that a list of fixed length should have and has not; 0 for other faults."""
    loc = first["loc"]
    if first["type"] == "too_long" and isinstance(first["input"], list | tuple):
        return first["ctx"]["max_length"]
    if first["type"] == "missing" and loc and isinstance(loc[-1], int):
        beside = [one["loc"][-1] for one in problems if one["type"] == "missing" and one["loc"][:-1] == loc[:-1]]
        return max(beside) + 1
    return 0


def short(value: Any) -> str:
    """A value as a line of text can show it."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "…"
