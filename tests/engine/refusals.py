"""How bad input is to be refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from preop.imaging.errors import PreopError, SolverError


def refused(attempt: Callable[[], Any], words: str, kind: type[PreopError] = SolverError) -> None:
    """In one line that says so."""
    with pytest.raises(kind, match=words) as caught:
        attempt()
    assert "\n" not in caught.value.line()
