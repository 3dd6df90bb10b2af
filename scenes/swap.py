"""Putting a finished folder in the place of an older one such that no moment has neither."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path

from .leftovers import hold, in_use

_OLD = ".replaced"
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def swap(new: Path, target: Path) -> None:
    """Put `new` where the folder `target` is and delete what was there.

    Where the system can, both change names in one step; elsewhere the old folder steps aside, and comes back if
    the new one cannot take its place (or at the next `restore`, should the machine stop in between).
    """
    if exchange(new, target):
        shutil.rmtree(new, ignore_errors=True)
        return
    aside = target.with_name(f".{target.name}{_OLD}")
    with hold(target):
        os.rename(target, aside)
        try:
            os.rename(new, target)
        except BaseException:
            os.rename(aside, target)
            raise
        shutil.rmtree(aside, ignore_errors=True)


def restore(target: Path) -> None:
    """Bring back an older folder that a killed `swap` had moved aside; delete it where the new one is in place."""
    aside = target.with_name(f".{target.name}{_OLD}")
    with suppress(OSError):
        if not aside.is_dir() or in_use(aside):
            return
        if os.path.lexists(target):
            shutil.rmtree(aside, ignore_errors=True)
        else:
            os.rename(aside, target)


def exchange(one: Path, other: Path) -> bool:
    """Swap the names of two folders in one step; False where the system or the file system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    return renameat2(_AT_FDCWD, os.fsencode(one), _AT_FDCWD, os.fsencode(other), _RENAME_EXCHANGE) == 0
