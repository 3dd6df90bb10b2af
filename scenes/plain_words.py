"""Places, directions, ways and names in a surgeon's words; numbers and keys stay in result.json.

Vectors are LPS: +x to the patient's left, +y to the back, +z to the head.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_SIDES = (("left", "right"), ("back", "forward"), ("up", "down"))
_TOWARDS = (
    ("towards the patient's left", "towards the patient's right"),
    ("towards the back", "towards the front"),
    ("up (towards the head)", "down (towards the feet)"),
)
_TILTED = (("to the left", "to the right"), ("to the back", "to the front"), ("to the head", "to the feet"))
_SPELLING = {"tumor": "tumour", "tumors": "tumours"}
_SMALLEST_TILT = 0.5
"""Degrees; less is the axis itself."""


def name_words(name: str) -> str:
    """A segment's or key's name as it is spoken: `liver_tumor` → `liver tumour`, `lung_left` → `left lung`.

    Names in files and scenes keep their American spelling; people read the report's British one everywhere.
    """
    stem, _, side = name.rpartition("_")
    name = f"{side}_{stem}" if stem and side in ("left", "right") else name
    return " ".join(_SPELLING.get(word, word) for word in name.split("_"))


def listed(names: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c` of words."""
    return f" {last} ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def side_words(axis: int, value: float, digits: int = 0) -> str:
    """One component of a place or a way: `12 mm left`."""
    return f"{abs(value):.{digits}f} mm {_SIDES[axis][value < 0]}"


def position_words(point: Sequence[float] | NDArray[np.float64]) -> str:
    """A place (3,) LPS mm in whole millimetres: `12 mm left, 30 mm back and 5 mm up from the scan's origin`."""
    return f"{listed([side_words(axis, float(value)) for axis, value in enumerate(point)])} from the scan's origin"


def part_words(point: Sequence[float], low: Sequence[float], high: Sequence[float]) -> str:
    """In which third of an organ's box, corners (3,) LPS mm, a point lies: `the right, front, lower part`."""
    words = []
    for axis, sides in enumerate((("right", "left"), ("front", "back"), ("lower", "upper"))):
        share = (point[axis] - low[axis]) / max(high[axis] - low[axis], 1e-9)
        words += [sides[0]] if share < 1 / 3 else [sides[1]] if share > 2 / 3 else []
    return f"the {', '.join(words)} part" if words else "the middle"


def way_words(step: Sequence[float]) -> str:
    """A straight path (3,) mm, its zeros left out: `12 mm forward and 5 mm up`."""
    parts = [f"{abs(value):g} mm {_SIDES[axis][value < 0]}" for axis, value in enumerate(step) if value]
    return listed(parts) if parts else "nowhere"


def path_words(corners: Sequence[Sequence[float]]) -> str:
    """The corners (n, 3) mm of a path, each counted from its start."""
    first, *others = (way_words(corner) for corner in corners)
    return first + "".join(f", then to {other} from the start" for other in others)


def direction_words(direction: Sequence[float]) -> str:
    """A direction (3,): its main axis, and by how many degrees it leans to others.

    (0, 0.4, 1) → `up (towards the head), leaning 22° to the back`.
    """
    main = max(range(3), key=lambda axis: abs(direction[axis]))
    lean = [
        f"{angle:.0f}° {_TILTED[axis][value < 0]}"
        for axis, value in enumerate(direction)
        if axis != main and (angle := math.degrees(math.atan2(abs(value), abs(direction[main])))) >= _SMALLEST_TILT
    ]
    words = _TOWARDS[main][direction[main] < 0]
    return f"{words}, leaning {listed(lean)}" if lean else words
