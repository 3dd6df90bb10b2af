"""Which kind of folder of preop's own a path is: a result of `preop run`, a phantom, or neither."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from ..imaging.errors import ScanError

Kind = Literal["result", "phantom", ""]


def folder_kind(path: Path) -> Kind:
    """Told by the `result.json` in it; empty where there is none that preop wrote."""
    try:
        data = json.loads((path / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return ""
    return kind_of(data)


def kind_of(data: Any) -> Kind:
    """The same by what a `result.json` holds."""
    if not isinstance(data, dict):
        return ""
    if isinstance(data.get("scene"), dict) and "numbers" in data:
        return "result"
    return "phantom" if "parameters" in data and "truth" in data else ""


def require_no_result(path: Path | None) -> None:
    """Raise ScanError where a result stands in a scan's place: its label map would be taken for the patient."""
    if path is not None and folder_kind(path) == "result":
        advice = "Give the scan it was computed from, or look at the result with: preop view PATH"
        raise ScanError("this is a result folder of preop run, and a scan is wanted", where=str(path), advice=advice)
