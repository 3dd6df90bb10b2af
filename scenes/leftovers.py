"""Working folders that are known to be in use, so that those of killed runs can be told from them and removed.

A run holds an advisory lock on its working folder. The kernel lets go of it however the run ends, `kill -9`
and power loss included; a folder that nobody holds is left over.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on Windows: there nothing is swept
    fcntl = None

SCRATCH = "preop-command-"
"""Prefix of a command's folder in the system's temporary folder."""
_GRACE_SECONDS = 10.0
"""Younger folders are let be: theirs may be a run that has made its folder and not yet locked it."""


@contextmanager
def hold(folder: Path) -> Iterator[None]:
    """Mark a folder as in use for the length of the block; does nothing where the file system has no locks."""
    handle = _lock(folder)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def in_use(folder: Path) -> bool:
    """Whether a living process holds the folder; True where that cannot be known."""
    handle = _lock(folder)
    if handle is None:
        return True
    os.close(handle)
    return False


def sweep(parent: Path, pattern: str) -> None:
    """Remove this user's left-over folders that match a pattern; never raises."""
    if fcntl is None:
        return
    with suppress(OSError):
        for folder in parent.glob(pattern):
            with suppress(OSError):
                if _is_old(folder) and not in_use(folder):
                    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def temporary_files_together() -> Iterator[Path]:
    """One folder for every temporary file of this process; for a command, which owns its process.

    Deleted at the end; what an earlier command left behind because it was killed is deleted at the start.
    """
    parent = Path(tempfile.gettempdir())
    sweep(parent, f"{SCRATCH}*")
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=parent, ignore_cleanup_errors=True) as name:
        folder = Path(name)
        before, tempfile.tempdir = tempfile.tempdir, name
        try:
            with hold(folder):
                yield folder
        finally:
            tempfile.tempdir = before


def _is_old(folder: Path) -> bool:
    status = folder.lstat()
    mine = not hasattr(os, "getuid") or status.st_uid == os.getuid()
    return mine and folder.is_dir() and not folder.is_symlink() and time.time() - status.st_ctime > _GRACE_SECONDS


def _lock(folder: Path) -> int | None:
    """A handle that holds the folder's lock; None where it is taken or there are no locks."""
    if fcntl is None:
        return None
    try:
        handle = os.open(folder, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle
