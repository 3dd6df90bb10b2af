"""The files inside what a person gives: a folder, a zip (hospitals hand out zips), a tar or one file.

Nothing is unpacked beside the input. Members of a zip are read in place; a zip inside the zip is read from memory, one
level deep; a compressed tar is unpacked once into an unnamed temporary file, because going back in a compressed stream
would start it over for every slice.
"""

from __future__ import annotations

import gzip
import io
import os
import shutil
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, cast

from .errors import ScanError

MAX_NESTED_BYTES = 4 << 30
"""A zip inside a zip is held in memory; above this it must be unpacked by hand."""

_JUNK = ("__MACOSX/", ".DS_Store", "Thumbs.db", "desktop.ini")


@dataclass(frozen=True)
class Source:
    """One readable file.

    Attributes:
        name: how to tell a person where it is, relative to what was given.
        size: bytes when unpacked.
        opener: opens it for reading as binary.
        path: its place on disk, None inside an archive.
    """

    name: str
    size: int
    opener: Callable[[], IO[bytes]]
    path: Path | None = None

    def open(self) -> IO[bytes]:
        """A binary stream from the start; failures are ScanErrors that name the file."""
        try:
            return self.opener()
        except (OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile, tarfile.TarError) as error:
            raise ScanError(f"cannot be read ({_reason(error)})", where=self.name, advice=_advice(error)) from error

    def read(self, limit: int = -1) -> bytes:
        """Its first `limit` bytes, or all of them."""
        with self.open() as stream:
            try:
                return stream.read(limit)
            except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, tarfile.TarError, zlib.error) as error:
                raise ScanError(
                    f"cannot be read to its end ({_reason(error)})", where=self.name, advice=_advice(error)
                ) from error


@contextmanager
def open_sources(path: str | os.PathLike[str]) -> Iterator[list[Source]]:
    """Every file in a folder (recursively), a zip, a tar, or the one file given.

    Raises:
        ScanError: nothing there, no permission, a broken or encrypted archive, a member that points outside of it.
    """
    path = Path(path)
    with ExitStack() as stack:
        try:
            yield _sources(path, stack)
        except PermissionError as error:
            where = str(error.filename or path)
            raise ScanError(
                "permission denied", where=where, advice="Ask its owner, or copy what you may read"
            ) from error


def _sources(path: Path, stack: ExitStack) -> list[Source]:
    if not path.exists():
        raise ScanError("there is nothing at this path", where=str(path), advice="Check the spelling")
    if path.is_dir():
        return _folder(path)
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
        return _zip(path, str(path), stack, nested=False)
    if start[257:262] == b"ustar" or path.name.lower().endswith((".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")):
        return _tar(path, stack)
    return [Source(path.name, path.stat().st_size, lambda: path.open("rb"), path)]


def _folder(folder: Path) -> list[Source]:
    def refuse(error: OSError) -> None:
        raise error

    found: list[Source] = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders.sort()
        for name in sorted(files):
            file = Path(parent) / name
            if _is_junk(name) or not file.is_file():
                continue
            found.append(Source(str(file.relative_to(folder)), file.stat().st_size, _opener(file), file))
    return found


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
        _refuse_outside(member.filename, where)
        if member.flag_bits & 1:
            advice = "Unpack it with its password and give the folder"
            raise ScanError(f"the zip is encrypted (member {member.filename})", where=where, advice=advice)
        source = Source(member.filename, member.file_size, lambda m=member: archive.open(m))
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
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, PermissionError):
            raise
        raise ScanError(
            f"is a broken tar file ({error})", where=str(path), advice="Copy or download it again"
        ) from error
    found: list[Source] = []
    for member in members:
        _refuse_outside(member.name, str(path))
        if member.isfile() and not _is_junk(member.name):
            opener = cast(Callable[[], IO[bytes]], lambda m=member: archive.extractfile(m))
            found.append(Source(member.name, member.size, opener))
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


def _refuse_outside(name: str, where: str) -> None:
    """Nothing is unpacked by name, but such an archive was made to do harm: read none of it."""
    parts = PurePosixPath(name.replace("\\", "/"))
    if parts.is_absolute() or ".." in parts.parts or ":" in (parts.parts[:1] or ("",))[0]:
        raise ScanError(
            f"a member points outside of the archive ({name})", where=where, advice="Do not trust this file"
        )


def _is_junk(name: str) -> bool:
    return name.startswith(_JUNK[0]) or name.rsplit("/", 1)[-1] in _JUNK[1:]


def _reason(error: BaseException) -> str:
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _advice(error: BaseException) -> str:
    if isinstance(error, PermissionError):
        return "Ask its owner, or copy what you may read"
    return "Copy or export it again"
