"""A result folder appears whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..imaging.errors import DiskError, PreopError
from ..imaging.permissions import umask
from .leftovers import hold, sweep
from .manifest import foreign_file, write_manifest
from .swap import restore, swap

MARK = "result.json"
"""The file with the numbers, in a result and in a phantom alike."""
_ANOTHER = "Give another --out"
_PREFIX_LENGTH = 60


def require_free(target: Path, *, overwrite: bool) -> None:
    """Raise PreopError now, before hours of work, if the target cannot be written at the end.

    Also brings back or clears away what a killed run left at this place.
    """
    try:
        target = _settled(target)
        parent = _existing_parent(target)
        restore(target)
        sweep(parent, f"{_prefix(target)}*.partial")
        if target.is_dir():
            _require_replaceable(target, overwrite=overwrite)
        # The only sure sign that a folder can be made there is a folder made there.
        os.rmdir(tempfile.mkdtemp(prefix=_prefix(target), suffix=".partial", dir=parent))
    except OSError as error:
        raise disk_error(error, target) from error


@contextmanager
def atomic_folder(target: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a folder beside the target; rename it into place on success, delete it on any failure.

    Do in the block what writes into the folder and nothing else: an OSError there is told as one of writing.

    Raises:
        PreopError: the target holds something, is not writable, or the disk is full.
    """
    require_free(target, overwrite=overwrite)
    made: list[Path] = []
    work: Path | None = None
    try:
        target = _settled(target)
        made = _make_parents(target.parent)
        work = Path(tempfile.mkdtemp(prefix=_prefix(target), suffix=".partial", dir=target.parent))
        with hold(work):
            yield work
            write_manifest(work)
            _put_in_place(work, target, overwrite=overwrite)
        work, made = None, []
    except OSError as error:
        raise disk_error(error, target, work) from error
    except PreopError as error:
        _name_target(error, target, work)
        raise
    finally:
        if work is not None:
            shutil.rmtree(work, ignore_errors=True)
        for folder in reversed(made):
            # Only what this call made, and only while it is empty.
            try:
                folder.rmdir()
            except OSError:
                break


def disk_error(error: OSError, target: Path, work: Path | None = None) -> PreopError:
    """The one line for a file that could not be written; `work` stands for the target meanwhile."""
    where = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else target
    if isinstance(error, DiskError) and error.where:
        where = Path(error.where)
    hidden = work is None and where.name.startswith(_prefix(target)) and where.name.endswith(".partial")
    if hidden and error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
        # The trial folder beside the target, of which nobody but this file has heard.
        where = target
    if where.is_relative_to(target) or (work is not None and where.is_relative_to(work)):
        where = target
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PreopError("the disk is full", where=str(where), advice=f"Free some space or {_ANOTHER[0].lower()}"
                          f"{_ANOTHER[1:]}")  # fmt: skip
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        place = where if where == target or work is not None else where.parent
        return PreopError("no permission to write there", where=str(place), advice=_ANOTHER)
    if isinstance(error, DiskError) and error.errno is None:
        # A library's words, in which the file system has no say.
        return PreopError(error.what, where=str(where), advice="Nothing was written")
    if hidden:
        said = f"no folder can be made there (the file system says: {error.strerror or error})"
        return PreopError(said, where=str(where), advice=_ANOTHER)
    return PreopError(
        f"the file system says: {error.strerror or error}", where=str(where), advice="Nothing was written"
    )


def _name_target(error: PreopError, target: Path, work: Path | None) -> None:
    """Where an error names the working folder, which is hidden and gone when it is read, let it name the target."""
    if work is None:
        return
    if Path(error.where).is_relative_to(work):
        error.where = str(target)
    error.where, error.what, error.advice = (
        text.replace(str(work), str(target)) for text in (error.where, error.what, error.advice)
    )
    error.args = (error.line(),)


def file_error(error: OSError) -> PreopError:
    """The one line for a file outside of the result that could not be read, or a temporary one not written."""
    where = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else ""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        place = where or tempfile.gettempdir()
        return PreopError("the disk is full", where=place, advice="Free some space, or set TMPDIR to a larger disk")
    if isinstance(error, PermissionError):
        return PreopError("permission denied", where=where, advice="Ask its owner, or copy what you may read")
    if isinstance(error, FileNotFoundError):
        return PreopError("is not there", where=where, advice="Check the path, and that the disk is still mounted")
    return PreopError(f"the file system says: {error.strerror or error}", where=where, advice="Check the disk")


def _require_replaceable(target: Path, *, overwrite: bool) -> None:
    where = str(target)
    if Path.cwd().is_relative_to(target):
        advice = "Give the name of a folder in it, or stand elsewhere"
        raise PreopError("is the folder you are in and cannot be replaced", where=where, advice=advice)
    if target.is_mount():
        raise PreopError("is a mount point and cannot be renamed", where=where, advice="Give a folder within it")
    if not any(target.iterdir()):
        return
    if not overwrite:
        advice = f"{_ANOTHER}, or --overwrite to replace a result"
        raise PreopError("already holds files", where=where, advice=advice)
    foreign = foreign_file(target)
    if foreign is not None:
        advice = f"{_ANOTHER}; it is not touched"
        raise PreopError(f"holds files that preop did not write, such as {foreign}", where=where, advice=advice)


def _put_in_place(work: Path, target: Path, *, overwrite: bool) -> None:
    work.chmod(0o777 & ~umask())
    try:
        if not os.path.lexists(target):
            work.rename(target)
            return
        # Hours may have passed since the first look.
        _require_replaceable(_settled(target), overwrite=overwrite)
    except PreopError as error:
        kept = _free_name(target)
        work.rename(kept)
        raise PreopError(
            f"something was put there meanwhile ({error.what})", where=str(target), advice=f"This result is in {kept}"
        ) from error
    swap(work, target)


def _settled(target: Path) -> Path:
    """Absolute and without links, so that renaming moves the folder itself.

    Raises:
        PreopError: something is there, or on the way there, that is no folder.
    """
    target = target.absolute()
    for path in (target, *target.parents):
        if not os.path.lexists(path):
            continue
        if not path.is_dir():
            raise PreopError(f"{_kind(path)}, not a folder", where=str(path), advice=_ANOTHER)
        break
    settled = Path(os.path.realpath(target))
    if settled == settled.parent:
        raise PreopError("cannot be replaced", where=str(settled), advice=_ANOTHER)
    return settled


def _kind(path: Path) -> str:
    if path.is_symlink() and not path.exists():
        return "is a link that leads nowhere"
    return "is a file" if path.is_file() else "is a device or the like"


def _prefix(target: Path) -> str:
    """Of the working folders beside a target; a name may fill what the file system allows."""
    return f".{target.name[:_PREFIX_LENGTH]}."


def _free_name(target: Path) -> Path:
    number = 2
    while os.path.lexists(target.with_name(f"{target.name}-{number}")):
        number += 1
    return target.with_name(f"{target.name}-{number}")


def _existing_parent(path: Path) -> Path:
    path = path.parent
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
