"""Where the real scans are, for tests that use them. They are not part of the repository."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_DEFAULT = Path(__file__).resolve().parents[1].parent / "shared" / "data"


def shared(name: str) -> Path:
    """The path of one data set, or a visible skip where it is absent."""
    path = Path(os.environ.get("PREOP_SHARED_DATA", _DEFAULT)) / name
    if not path.exists():
        pytest.skip(f"real data not here: {name} (set PREOP_SHARED_DATA to its folder)")
    return path
