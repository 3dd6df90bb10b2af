"""The words and figures of the report: how a number is written, and what a key of result.json is called."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .render_style import title_of

DIGITS = 3
"""Significant digits of a computed number: more than its model can answer for would only look exact."""
INPUT_DIGITS = 6
"""Of a number that was put in: shown as it was given."""
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_NARROW_SPACE = "\u202f"


def figure(value: Any, digits: int = DIGITS, *, padded: bool = True) -> str:
    """A number as people read it: three significant digits, no exponent between 0.001 and a million.

    Args:
        digits: significant digits; integers, as they count things, keep all of theirs.
        padded: keep zeros at the end, as they tell how exact it is (23.0).
    """
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return _typeset(f"{value:,}")
    if not isinstance(value, float):
        return str(value)
    if value == 0:
        return "0"
    if not 1e-3 <= abs(value) < 1e6:
        mantissa, exponent = f"{value:.{digits - 1}e}".split("e")
        mantissa = mantissa if padded or "." not in mantissa else mantissa.rstrip("0").rstrip(".")
        return f"{_typeset(mantissa)}·10{str(int(exponent)).translate(_SUPERSCRIPT)}"
    rounded = float(f"{value:.{digits}g}")
    if abs(rounded) >= 1000 or not padded:
        return _typeset(f"{rounded:,.10g}")
    return _typeset(f"{rounded:#.{digits}g}".rstrip("."))


def _typeset(digits: str) -> str:
    return digits.replace(",", _NARROW_SPACE).replace("-", "−")


def percentage(value: float) -> str:
    """Three significant digits, but no more than two behind the point."""
    text = figure(float(value))
    if 0 < abs(value) < 1:
        text = _typeset(f"{value:.2f}")
    return "0.00" if text == "−0.00" else text


def number_text(value: Any, unit: str = "") -> str:
    """A result as it is written wherever it stands; "%" and "Dice" have digits of their own."""
    if unit == "%":
        return percentage(value)
    return f"{value:.3f}" if unit == "Dice" else figure(value)


def number_html(value: Any, unit: str = "", *, given: bool = False) -> Any:
    """A number in a `<data>` element that carries its full value; anything else as text.

    Args:
        unit: "%" and "Dice" have digits of their own.
        given: it was put in, so it is not rounded like a result.
    """
    from markupsafe import Markup, escape

    if value is None or isinstance(value, bool) or not isinstance(value, int | float):
        return escape(british(figure(value)))
    text = figure(value, INPUT_DIGITS, padded=False) if given else number_text(value, unit)
    return Markup('<data value="{}">{}</data>').format(repr(value), text)


def british(text: Any) -> str:
    """Text of label maps and of older results may have American spelling; people read one."""
    return re.sub(r"(?<=[Tt]um)or(?=s?\b)", "our", str(text))


def words_of(name: str) -> str:
    """A segment's or key's name for people: `liver_tumor` → `Liver tumour`, `lung_left` → `Left lung`."""
    return title_of(name)


def unit_of(unit: str) -> str:
    """The unit as the report writes it."""
    return {"ml": "mL"}.get(unit, unit)


def capitalised(text: str) -> str:
    """With a capital letter first, the others as they are."""
    return text[:1].upper() + text[1:]


_UNITS = {"_mm3": "mm³", "_mm": "mm", "_deg": "°", "_ml": "mL", "_mib": "MiB", "_seconds": "s"}
_WORDS = {
    "radius_ratio_min": "radius ratio, smallest",
    "radius_ratio_p01": "radius ratio, 1st percentile",
    "radius_ratio_mean": "radius ratio, mean",
    "dihedral_min_deg": "dihedral angle, smallest",
    "dihedral_p01_deg": "smallest dihedral angle, 1st percentile",
    "dihedral_min_mean_deg": "smallest dihedral angle, mean",
    "dihedral_max_deg": "dihedral angle, largest",
    "edge_min_mm": "edge, shortest",
    "edge_mean_mm": "edge, mean",
    "edge_max_mm": "edge, longest",
    "volume_min_mm3": "volume of the smallest tetrahedron",
    "volume_mm3": "volume in all",
    "poor": "poor tetrahedra",
    "linear_solver": "kind of linear solver",
    "tolerance": "tolerance of the residual, relative",
    "stability": "balance of the last state",
    "newton_iterations": "Newton iterations",
    "cg_iterations": "conjugate-gradient iterations",
    "cutbacks": "load steps cut in half",
    "seconds/setup": "setting up, s",
    "seconds/compile": "compiling, s",
    "seconds/residual": "forces, s",
    "seconds/assembly": "matrix, s",
    "seconds/preconditioner": "preconditioner, s",
    "seconds/krylov": "linear solver, s",
    "seconds/stability": "check of the balance, s",
    "seconds/total": "in all, s",
}
_VALUES = {
    "HostSystem": "assembled matrix, multigrid (CPU)",
    "DeviceSystem": "matrix-free, on the accelerator",
}
STEP_COLUMNS = {
    "load": "Load",
    "result": "Result",
    "newton_iterations": "Newton iterations",
    "cg_iterations": "Conjugate-gradient iterations",
    "residual": "Residual, relative",
    "line_search_steps": "Line-search steps",
    "energy_J": "Energy [J]",
    "min_jacobian": "Smallest det F",
}
"""Keys of a load step in result.json → headings."""


def row(key: str, value: Any) -> dict[str, Any]:
    """A key of result.json as a table row: its words, its value, its unit."""
    name, unit = _WORDS.get(key, ""), ""
    for ending, symbol in _UNITS.items():
        if key.endswith(ending):
            name, unit = name or key[: -len(ending)], symbol
            break
    shown = _VALUES.get(value, value) if isinstance(value, str) else value
    return {"name": (name or key).replace("_", " ").replace("/", " "), "value": shown, "unit": unit}


def flat(data: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    """(path, value) of every leaf; a dict of counts and edges is a leaf."""
    found: list[tuple[str, Any]] = []
    for key, value in data.items():
        if isinstance(value, Mapping) and not {"counts", "edges"} <= set(value):
            found += flat(value, f"{prefix}{key}/")
        else:
            found.append((f"{prefix}{key}", value))
    return found
