"""Where `gradient` was first; see `derivatives`."""

from __future__ import annotations

from .derivatives.first import gradient

__all__ = ["gradient"]
