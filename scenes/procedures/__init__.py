"""Kinds of operation, registered by name. A new one is one file and one line here."""

from __future__ import annotations

import difflib
from importlib import import_module

from ...imaging.errors import SceneError
from .base import Outcome, Procedure

_REGISTRY = {
    "retraction": "retraction:Retraction",
    "vessel-wall": "vessel_wall:VesselWall",
}


def procedure(name: str, where: str = "procedure") -> Procedure:
    """The procedure of that name; `where` is who asks for it.

    Raises:
        SceneError: there is none.
    """
    if name not in _REGISTRY:
        close = difflib.get_close_matches(name, _REGISTRY, n=1)
        hint = f"Did you mean {close[0]}? " if close else ""
        raise SceneError(f"unknown procedure {name}", where=where, advice=f"{hint}There are {', '.join(_REGISTRY)}")
    module, _, cls = _REGISTRY[name].partition(":")
    return getattr(import_module(f".{module}", __name__), cls)()


__all__ = ["Outcome", "Procedure", "procedure"]
