"""The files inside what a person gives: a folder, a zip (hospitals hand out zips), a tar or one file.

Links in a folder are followed, each folder once. Zips and tars in it are opened only if nothing else in it is a scan:
they are often what its files were unpacked from.

Nothing is unpacked beside the input. Members of a zip are read in place; a zip inside the zip is read from memory, one
level deep; a compressed tar is unpacked once into an unnamed temporary file, because going back in a compressed stream
would start it over for every slice.
"""

from __future__ import annotations

import gzip
import io
import os
import re
import shutil
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO, cast

from .errors import ScanError

MAX_NESTED_BYTES = 4 << 30
"""A zip inside a zip is held in memory; above this it must be unpacked by hand."""

try:
    from lzma import LZMAError as _LzmaError
except ImportError:  # Python can be built without it.
    _LzmaError = zlib.error

READ_ERRORS = (
    OSError, EOFError, RuntimeError, ValueError, zipfile.BadZipFile, tarfile.TarError, zlib.error, _LzmaError,
    struct.error,
)  # fmt: skip
"""What reading a damaged file or a damaged member of an archive raises, whatever it is packed with. NotImplementedError
(an encoding that is not known) is a RuntimeError."""

_ARCHIVES = (".zip", ".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")

_JUNK = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class Source:
    """One readable file.

    Attributes:
        name: how to tell a person where it is, relative to what was given.
        size: bytes when unpacked.
        opener: opens it for reading as binary.
        path: its place on disk, None inside an archive.
        archive: the archive on disk that holds it, None for a file of its own.
    """

    name: str
    size: int
    opener: Callable[[], IO[bytes]]
    path: Path | None = None
    archive: Path | None = None

    def open(self) -> IO[bytes]:
        """A binary stream from the start; failures are ScanErrors that name the file."""
        try:
            return self.opener()
        except READ_ERRORS as error:
            raise ScanError(f"cannot be read ({_reason(error)})", where=self.name, advice=_advice(error)) from error

    def read(self, limit: int = -1) -> bytes:
        """Its first `limit` bytes, or all of them."""
        with self.open() as stream:
            try:
                return stream.read(limit)
            except READ_ERRORS as error:
                raise ScanError(
                    f"cannot be read to its end ({_reason(error)})", where=self.name, advice=_advice(error)
                ) from error


@contextmanager
def open_sources(
    path: str | os.PathLike[str], is_scan: Callable[[Source], bool] | None = None
) -> Iterator[list[Source]]:
    """Every file in a folder (recursively), a zip, a tar, or the one file given.

    Args:
        path: where to look.
        is_scan: tells which files are wanted: archives in a folder are opened where it holds none of these. Without it
            they are files like others.

    Raises:
        ScanError: nothing there, no permission, a broken or encrypted archive, a member that points outside of it.
    """
    path = Path(path)
    with ExitStack() as stack:
        try:
            yield _sources(path, stack, is_scan)
        except PermissionError as error:
            where = str(error.filename or path)
            raise ScanError(
                "permission denied", where=where, advice="Ask its owner, or copy what you may read"
            ) from error


def _sources(path: Path, stack: ExitStack, is_scan: Callable[[Source], bool] | None) -> list[Source]:
    if not path.exists():
        raise ScanError("there is nothing at this path", where=str(path), advice="Check the spelling")
    if path.is_dir():
        return _folder_or_archives(path, stack, is_scan)
    if path.name.upper() == "DICOMDIR":
        # The index of a medium stands for what it lists, which lies in the folder beside it.
        return _folder(path.parent)
    if not path.is_file():
        raise ScanError("is neither a file nor a folder", where=str(path))
    try:
        with path.open("rb") as stream:
            start = stream.read(512)
    except PermissionError:
        raise
    except OSError as error:
        # Devices and the files of /proc, which begin nowhere.
        raise ScanError(f"cannot be read ({_reason(error)})", where=str(path), advice="Give a copy of it") from error
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        return [replace(one, archive=path) for one in _zip(path, str(path), stack, nested=False)]
    if start[257:262] == b"ustar" or path.name.lower().endswith(_ARCHIVES[1:]):
        return [replace(one, archive=path) for one in _tar(path, stack)]
    return [Source(path.name, path.stat().st_size, lambda: path.open("rb"), path)]


def _folder(folder: Path) -> list[Source]:
    def refuse(error: OSError) -> None:
        raise error

    found: list[Source] = []
    seen: set[tuple[int, int]] = set()
    for parent, folders, files in os.walk(folder, onerror=refuse, followlinks=True):
        # A link may lead back to where it lies.
        status = os.stat(parent)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()
        for name in sorted(files):
            file = Path(parent) / name
            if _is_junk(name) or not file.is_file():
                continue
            found.append(Source(str(file.relative_to(folder)), file.stat().st_size, _opener(file), file))
    return found


def _folder_or_archives(folder: Path, stack: ExitStack, is_scan: Callable[[Source], bool] | None) -> list[Source]:
    """The files of a folder; where none is a scan, also those inside the archives among them."""
    files = _folder(folder)
    packed = [one for one in files if one.path is not None and one.name.lower().endswith(_ARCHIVES)]
    if not packed or is_scan is None or any(is_scan(one) for one in files if one not in packed):
        return files
    found: list[Source] = []
    refused: list[tuple[Source, ScanError]] = []
    for one in packed:
        assert one.path is not None
        try:
            inside = _sources(one.path, stack, None)
        except ScanError as error:
            refused.append((one, error))
            continue
        found += [replace(member, name=f"{one.name}/{member.name}") for member in inside if member.path is None]
    if refused and not found:
        raise refused[0][1]
    # Nothing can be unpacked from the others: as empty files they are told among the damaged ones.
    loose = [one for one in files if one not in packed]
    return [*loose, *found, *(replace(one, size=0) for one, _ in refused)]


def _opener(file: Path) -> Callable[[], IO[bytes]]:
    return lambda: file.open("rb")


def _zip(file: Path | IO[bytes], where: str, stack: ExitStack, *, nested: bool) -> list[Source]:
    try:
        archive = stack.enter_context(zipfile.ZipFile(file))
    except zipfile.BadZipFile as error:
        raise ScanError(f"is a broken zip file ({error})", where=where, advice="Copy or download it again") from error
    found: list[Source] = []
    for member in archive.infolist():
        if member.is_dir() or _is_junk(member.filename):
            continue
        name = _checked(member.filename, where)
        if member.flag_bits & 1:
            advice = "Unpack it with its password and give the folder"
            raise ScanError(f"the zip is encrypted (member {member.filename})", where=where, advice=advice)
        source = Source(name, member.file_size, lambda m=member: archive.open(m))
        if not nested and member.filename.lower().endswith(".zip"):
            found += _nested(source, stack)
        else:
            found.append(source)
    return found


def _nested(source: Source, stack: ExitStack) -> list[Source]:
    if source.size > MAX_NESTED_BYTES:
        raise ScanError(
            "the zip inside the zip is too large to be read in memory", where=source.name, advice="Unpack it"
        )
    inner = _zip(io.BytesIO(source.read()), source.name, stack, nested=True)
    return [Source(f"{source.name}/{one.name}", one.size, one.opener) for one in inner]


def _tar(path: Path, stack: ExitStack) -> list[Source]:
    try:
        plain = stack.enter_context(tempfile.TemporaryFile(prefix="preop-"))  # noqa: SIM115
        with _decompressed(path) as packed:
            shutil.copyfileobj(packed, plain, 1 << 20)
        plain.seek(0)
        archive = stack.enter_context(tarfile.open(fileobj=plain, mode="r:"))  # noqa: SIM115
        members = archive.getmembers()
    except READ_ERRORS as error:
        if isinstance(error, PermissionError):
            raise
        raise ScanError(
            f"is a broken tar file ({error})", where=str(path), advice="Copy or download it again"
        ) from error
    found: list[Source] = []
    for member in members:
        name = _checked(member.name, str(path))
        if member.isfile() and not _is_junk(member.name):
            opener = cast(Callable[[], IO[bytes]], lambda m=member: archive.extractfile(m))
            found.append(Source(name, member.size, opener))
    return found


def _decompressed(path: Path) -> IO[bytes]:
    import bz2
    import lzma

    with path.open("rb") as stream:
        magic = stream.read(6)
    if magic[:2] == b"\x1f\x8b":
        return cast(IO[bytes], gzip.open(path))
    if magic[:3] == b"BZh":
        return cast(IO[bytes], bz2.open(path))
    return cast(IO[bytes], lzma.open(path)) if magic[:6] == b"\xfd7zXZ\x00" else path.open("rb")


def _checked(name: str, where: str) -> str:
    """A member's name, without leading slashes.

    Nothing is unpacked by name, so that a slash in front or a colon (a time in a series' name) does no harm. One that
    climbs out or names a drive was made to: read none of it.
    """
    parts = PurePosixPath(name.replace("\\", "/"))
    if ".." in parts.parts or re.match(r"/*[A-Za-z]:/", str(parts)):
        raise ScanError(
            f"a member points outside of the archive ({name})", where=where, advice="Do not trust this file"
        )
    return name.lstrip("/")


def _is_junk(name: str) -> bool:
    return name.startswith(_JUNK[0]) or name.rsplit("/", 1)[-1] in _JUNK[1:]


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _advice(error: BaseException) -> str:
    if isinstance(error, PermissionError):
        return "Ask its owner, or copy what you may read"
    return "Copy or export it again"
