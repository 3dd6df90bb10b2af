"""The voxels of a volume file before they are decoded: which files hold them, and whether all of them are there."""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np
from numpy.typing import NDArray

from .archive import READ_ERRORS, Source
from .errors import ScanError
from .image_headers import VoxelStorage, voxel_storage

_CHUNK = 1 << 20


def data_sources(source: Source, storage: VoxelStorage, others: Iterable[Source]) -> list[Source]:
    """The files that hold the voxels of a volume, in order; none where they follow the header.

    Args:
        source: the file with the header.
        storage: what it says.
        others: the files of the same archive; not needed for a file on disk.

    Raises:
        ScanError: one is not there.
    """
    if not storage.files:
        return []
    if source.path is not None:
        folder = source.path.parent
        found = [_on_disk(folder / name) for name in storage.files]
    else:
        members = {other.name: other for other in others}
        folder = PurePosixPath(source.name).parent
        found = [members.get(str(folder / name)) or members.get(str(folder / f"{name}.gz")) for name in storage.files]
    missing = [name for name, one in zip(storage.files, found, strict=True) if one is None]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ScanError(
            f"has its voxels in {missing[0]}{more}, which is not there",
            where=source.name,
            advice="Keep the files of a volume together",
        )
    return [one for one in found if one is not None]


def _on_disk(file: Path) -> Source | None:
    for path in (file, file.with_name(f"{file.name}.gz")):
        if path.is_file():
            return Source(path.name, path.stat().st_size, lambda path=path: path.open("rb"), path)
    return None


def volume_file_parts(path: Path) -> tuple[Path, ...]:
    """A volume file on disk and every file that its header refers to, such as the .raw beside a .mhd.

    Raises:
        ScanError: unreadable, or a file that it refers to is not there.
    """
    source = Source(path.name, path.stat().st_size, lambda: path.open("rb"), path)
    parts = data_sources(source, voxel_storage(source), ())
    return (path, *(part.path for part in parts if part.path is not None))


def check_whole(source: Source, storage: VoxelStorage, data: list[Source]) -> NDArray[np.bool_] | None:
    """Make sure that every voxel is there, unpacking what is compressed, whose checksum is checked thereby.

    Returns:
        Flat, in the file's order: which voxels are no finite numbers, where the file keeps real numbers that ITK would
        change; None where all are finite or it would not.

    Raises:
        ScanError: the file ends before its voxels do, or its compressed stream is damaged.
    """
    size = storage.size
    if not size or storage.packing == "text":
        return None
    files = data or [source]
    if data and data[0].name.lower().endswith(".gz") and not storage.packing:
        storage = replace(storage, compressed_file=True)
    plain = not storage.packing and not storage.compressed_file
    if plain and not storage.real:
        _require(sum(max(file.size - (storage.offset or 0), 0) for file in files), size, source)
        return None
    return _unpacked_check(source, storage, files)


def _unpacked_check(source: Source, storage: VoxelStorage, files: list[Source]) -> NDArray[np.bool_] | None:
    assert storage.size
    finite = _FiniteCheck(storage)
    count = 0
    for file in files:
        try:
            with file.open() as stream:
                for chunk in _voxel_bytes(stream, storage):
                    finite.look_at(chunk)
                    count += len(chunk)
        except EOFError as error:
            raise _cut_off(file, count, storage.size) from error
        except READ_ERRORS as error:
            reason = " ".join(str(error).split())
            raise ScanError(
                f"holds damaged voxels ({reason})", where=file.name, advice="Copy or download it again"
            ) from error
    _require(count, storage.size, source)
    return finite.faults


def _require(count: int, size: int, source: Source) -> None:
    if count < size:
        raise _cut_off(source, count, size)


def _cut_off(source: Source, count: int, size: int) -> ScanError:
    percent = min(100 * count // size, 99)
    what = f"is truncated: it holds {percent} % of the voxels that its header announces"
    return ScanError(what, where=source.name, advice="Copy or download it again")


def _voxel_bytes(stream: IO[bytes], storage: VoxelStorage) -> Iterator[bytes]:
    """Unpacked voxels in chunks; EOFError where a compressed stream ends too early."""
    unpacked: IO[bytes] | gzip.GzipFile | bz2.BZ2File = stream
    if storage.compressed_file:
        unpacked = gzip.GzipFile(fileobj=stream)
    _skip(unpacked, storage.offset or 0)
    if storage.packing == "zlib":
        yield from _inflated(stream)
        return
    if storage.packing == "gzip":
        unpacked = gzip.GzipFile(fileobj=stream)
    elif storage.packing == "bzip2":
        unpacked = bz2.BZ2File(stream)
    while chunk := unpacked.read(_CHUNK):
        yield chunk


def _skip(stream: IO[bytes] | gzip.GzipFile, count: int) -> None:
    while count > 0:
        got = len(stream.read(min(count, _CHUNK)))
        if not got:
            return
        count -= got


def _inflated(stream: IO[bytes]) -> Iterator[bytes]:
    inflate = zlib.decompressobj()
    while not inflate.eof:
        packed = stream.read(_CHUNK)
        if not packed:
            raise EOFError
        yield inflate.decompress(packed)


class _FiniteCheck:
    """Finds values that are not finite in a stream of real numbers."""

    def __init__(self, storage: VoxelStorage) -> None:
        self._kind = np.dtype(storage.real) if storage.real else None
        self._count = (storage.size or 0) // self._kind.itemsize if self._kind else 0
        self._at, self._rest = 0, b""
        self.faults: NDArray[np.bool_] | None = None

    def look_at(self, chunk: bytes) -> None:
        if self._kind is None or self._at >= self._count:
            return
        chunk = self._rest + chunk
        whole = min(len(chunk) // self._kind.itemsize, self._count - self._at)
        bad = ~np.isfinite(np.frombuffer(chunk, self._kind, whole))
        if bad.any():
            if self.faults is None:
                self.faults = np.zeros(self._count, bool)
            self.faults[self._at : self._at + whole] = bad
        self._at, self._rest = self._at + whole, chunk[whole * self._kind.itemsize :]
