"""A result folder appears whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..imaging.errors import PreopError

MARK = "result.json"
"""A folder that holds this file is a result of preop and may be replaced when asked."""


def require_free(target: Path, *, overwrite: bool) -> None:
    """Raise PreopError now, before hours of work, if the target cannot be written at the end."""
    if target.is_file():
        raise PreopError("is a file, not a folder", where=str(target), advice="Give another --out")
    if target.is_dir() and any(target.iterdir()):
        if not overwrite:
            raise PreopError(
                "already holds files",
                where=str(target),
                advice="Give another --out, or --overwrite to replace a result",
            )
        if not (target / MARK).is_file():
            raise PreopError(
                "holds files that preop did not write",
                where=str(target),
                advice="Give another --out; it is not touched",
            )
    parent = _existing_parent(target)
    if not os.access(parent, os.W_OK | os.X_OK):
        raise PreopError("no permission to write there", where=str(parent), advice="Give another --out")


@contextmanager
def atomic_folder(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a folder beside the target; rename it into place on success, delete it on any failure.

    Raises:
        PreopError: the target holds something, is not writable, or the disk is full.
    """
    target = target.absolute()
    require_free(target, overwrite=overwrite)
    made: list[Path] = []
    work: Path | None = None
    try:
        made = _make_parents(target.parent)
        work = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".partial", dir=target.parent))
        yield work
        _replace(work, target)
        work, made = None, []
    except OSError as error:
        raise disk_error(error, target) from error
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
        for folder in reversed(made):
            # Only what this call made, and only while it is empty.
            try:
                folder.rmdir()
            except OSError:
                break


def disk_error(error: OSError, target: Path) -> PreopError:
    """The one line for a write that failed."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PreopError("the disk is full", where=str(target), advice="Free some space or give another --out")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return PreopError("no permission to write there", where=str(target), advice="Give another --out")
    where = error.filename or target
    return PreopError(
        f"the file system says: {error.strerror or error}", where=str(where), advice="Nothing was written"
    )


def _replace(work: Path, target: Path) -> None:
    work.chmod(0o755)
    if not target.exists():
        work.rename(target)
        return
    if not any(target.iterdir()):
        target.rmdir()
        work.rename(target)
        return
    # The old result steps aside first, so that a kill at any moment leaves one whole result.
    aside = work.with_name(work.name + ".old")
    target.rename(aside)
    work.rename(target)
    shutil.rmtree(aside, ignore_errors=True)


def _existing_parent(path: Path) -> Path:
    path = path.absolute()
    while not path.is_dir():
        path = path.parent
    return path


def _make_parents(folder: Path) -> list[Path]:
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for path in reversed(missing):
        path.mkdir()
    return list(reversed(missing))
