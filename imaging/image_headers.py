"""What the header of a volume file says about its voxels: how many bytes, how packed, and in which files.

ITK reads the voxels; this is read beside it because ITK's NIfTI reader fills what a truncated file lacks with zeros and
turns values that are no numbers into zeros, both without a word, and because a header may keep its voxels in files of
other names (NIfTI and Analyze pairs, detached NRRD, MetaImage), which provenance and archives need to know.
"""

from __future__ import annotations

import re
import struct
import zlib
from dataclasses import dataclass
from math import prod

from .archive import Source
from .errors import ScanError
from .nifti_placement import Placement, nifti_placement

HEADER_BYTES = 1 << 16
"""Text headers with the names of a thousand slices are still shorter than this."""


@dataclass(frozen=True)
class VoxelStorage:
    """Where and how a volume file keeps its voxels.

    Attributes:
        files: names of the files with voxels, relative to the header; empty where they follow the header.
        offset: bytes before the voxels in the file (or in each of several); None where they are counted from the end.
        compressed_file: the offset counts unpacked bytes of a file that is compressed as a whole (.nii.gz).
        packing: "", "gzip", "bzip2", "zlib", or "text" where the number of bytes says nothing.
        size: bytes of all voxels, unpacked; None if the header does not tell.
        is_nifti_2: ITK does not read that.
        is_placed: whether the header says how the volume lies in the patient.
        placement: where a NIfTI header puts it; None for other formats, whose reader is to be trusted.
        real: numpy type of real numbers stored in a NIfTI or Analyze file, which may not be finite; "" for others.
    """

    files: tuple[str, ...] = ()
    offset: int | None = 0
    compressed_file: bool = False
    packing: str = ""
    size: int | None = None
    real: str = ""
    is_nifti_2: bool = False
    is_placed: bool = True
    placement: Placement | None = None


def voxel_storage(source: Source) -> VoxelStorage:
    """Read what the header of a NIfTI, Analyze, NRRD or MetaImage file says about its voxels.

    What is no such header gives a storage of unknown size: the reader will say what is wrong with it.

    Raises:
        ScanError: the file cannot be read, or is compressed and broken within its header.
    """
    start = source.read(HEADER_BYTES)
    name = source.name.rsplit("/", 1)[-1]
    packed = start[:2] == b"\x1f\x8b"
    if packed:
        start = _unpacked_start(start, source.name)
    if start[:4] == b"NRRD":
        return _nrrd(start)
    if name.lower().endswith((".mha", ".mhd")):
        return _meta_image(start)
    return _nifti(start, name, packed)


def _unpacked_start(start: bytes, name: str) -> bytes:
    try:
        return zlib.decompressobj(wbits=31).decompress(start, HEADER_BYTES)
    except zlib.error as error:
        raise ScanError(
            f"is compressed and damaged ({error})", where=name, advice="Copy or download it again"
        ) from error


_NIFTI_REAL = {16: "f4", 64: "f8"}
_COUNT_LIMIT = 1 << 20
"""Voxels along one axis; a header with more is no header."""


def _nifti(start: bytes, name: str, packed: bool) -> VoxelStorage:
    """NIfTI-1, NIfTI-2 and Analyze 7.5 (nifti1.h, nifti2.h): the first four bytes are the header's size."""
    for order in "<>":
        if len(start) >= 348 and struct.unpack_from(f"{order}i", start)[0] == 348:
            dim = struct.unpack_from(f"{order}8h", start, 40)
            datatype, bits = struct.unpack_from(f"{order}2h", start, 70)
            offset, magic = struct.unpack_from(f"{order}f", start, 108)[0], start[344:347]
        elif len(start) >= 540 and struct.unpack_from(f"{order}i", start)[0] == 540:
            dim = struct.unpack_from(f"{order}8q", start, 16)
            datatype, bits = struct.unpack_from(f"{order}2h", start, 12)
            offset, magic = struct.unpack_from(f"{order}q", start, 168)[0], start[4:7]
        else:
            continue
        counts = dim[1 : 1 + dim[0]] if 0 < dim[0] < 8 else ()
        known = bool(counts) and bits > 0 and all(0 < count < _COUNT_LIMIT for count in counts)
        size = prod(counts) * bits // 8 if known else None
        attached = magic in (b"n+1", b"n+2")
        real = f"{order}{_NIFTI_REAL[datatype]}" if datatype in _NIFTI_REAL else ""
        offset = int(offset) if 0 <= offset < 1 << 40 else 0
        is_2 = magic[1:] in (b"+2", b"i2")
        # Analyze has neither qform nor sform, but other things in their place.
        placement = nifti_placement(start, order) if magic in (b"n+1", b"ni1") else None
        placed = is_2 or placement is not None
        if attached:
            return VoxelStorage((), max(offset, 348), packed, "", size, real, is_2, placed, placement)
        return VoxelStorage((_image_of_header(name),), offset, False, "", size, real, is_2, placed, placement)
    return VoxelStorage()


def _image_of_header(name: str) -> str:
    """The voxels of `a.hdr` are in `a.img`, in the same case; or packed in `a.img.gz`, which the reader looks for."""
    stem = name[: -len(".gz")] if name.lower().endswith(".gz") else name
    suffix = ".IMG" if stem.endswith(".HDR") else ".img"
    return stem[:-4] + suffix


_NRRD_BYTES = {"char": 1, "short": 2, "int": 4, "long long": 8, "longlong": 8, "float": 4, "double": 8}
"""C's names of types without signedness; `int16_t` and the like tell their bits."""


def _nrrd_bytes(kind: str) -> int:
    """Bytes of a value; 0 if the type is none that is known."""
    fixed = re.fullmatch(r"u?int(8|16|32|64)(_t)?", kind)
    if fixed:
        return int(fixed[1]) // 8
    words = kind.removeprefix("unsigned ").removeprefix("signed ").removesuffix(" int")
    return _NRRD_BYTES.get(words, 0) or _NRRD_BYTES.get(words.removeprefix("u"), 0)


def _nrrd(start: bytes) -> VoxelStorage:
    """The text before the first empty line (format definition of Teem, http://teem.sourceforge.net/nrrd/format.html)."""
    end = re.search(rb"\r?\n\r?\n", start)
    lines = start[: end.start() if end else len(start)].decode("latin-1").splitlines()
    fields = {}
    for line in lines[1:]:
        key, colon, value = line.partition(":")
        if colon and not value.startswith("=") and not line.startswith("#"):
            fields[key.strip().lower().replace(" ", "")] = value.strip()
    width = _nrrd_bytes(fields.get("type", "").lower())
    sizes = [int(word) for word in fields.get("sizes", "").split() if word.isdigit()]
    size = prod(sizes) * width if sizes and width else None
    packing = {"raw": "", "gz": "gzip", "gzip": "gzip", "bz2": "bzip2", "bzip2": "bzip2"}.get(
        fields.get("encoding", "raw").lower(), "text"
    )
    files = _listed(fields.get("datafile", ""), lines)
    skip, line_skip = _whole(fields.get("byteskip")), _whole(fields.get("lineskip"))
    # Skipped bytes of packed voxels are counted once they are unpacked.
    offset = (0 if files or not end else end.end()) + (0 if packing else skip)
    offset = None if skip < 0 or line_skip else offset
    return VoxelStorage(files, offset, False, packing, size, is_placed=_is_anatomical(fields))


def _is_anatomical(fields: dict[str, str]) -> bool:
    """Whether an NRRD header names directions in a space of the body; others have axes of no meaning."""
    space = fields.get("space", "").lower()
    anatomical = re.fullmatch(r"(right|left|r|l)-?(anterior|posterior|a|p)-?(superior|inferior|s|i)(-?t(ime)?)?", space)
    return bool(anatomical) and bool(fields.get("spacedirections"))


_META_BYTES = {
    "CHAR": 1, "UCHAR": 1, "SHORT": 2, "USHORT": 2, "INT": 4, "UINT": 4, "LONG": 4, "ULONG": 4, "LONG_LONG": 8,
    "ULONG_LONG": 8, "FLOAT": 4, "DOUBLE": 8,
}  # fmt: skip


def _meta_image(start: bytes) -> VoxelStorage:
    """Lines of `Key = Value`, of which ElementDataFile is the last (MetaIO's documentation)."""
    end = re.search(rb"^\s*ElementDataFile\s*=\s*([^\r\n]*)\r?\n?", start, re.MULTILINE)
    if end is None:
        return VoxelStorage()
    fields = {}
    for line in start[: end.start()].decode("latin-1").splitlines():
        key, _, value = line.partition("=")
        fields[key.strip().lower()] = value.strip()
    target = end.group(1).decode("utf-8", "replace").strip()
    width = _META_BYTES.get(fields.get("elementtype", "").removeprefix("MET_"), 0)
    sizes = [int(word) for word in fields.get("dimsize", "").split() if word.isdigit()]
    channels = _whole(fields.get("elementnumberofchannels")) or 1
    size = prod(sizes) * width * channels if sizes and width else None
    packing = "zlib" if fields.get("compresseddata", "").lower() in ("true", "1") else ""
    if fields.get("binarydata", "true").lower() in ("false", "0"):
        packing = "text"
    skip = _whole(fields.get("headersize"))
    # Three names of one matrix; without it the axes are those of the file, not of the patient.
    placed = any(fields.get(key) for key in ("transformmatrix", "orientation", "rotation"))
    if target.upper() == "LOCAL":
        return VoxelStorage((), end.end(), False, packing, size, is_placed=placed)
    files = _listed(target, start[end.end() :].decode("utf-8", "replace").splitlines(), at=0)
    return VoxelStorage(files, None if skip < 0 else skip, False, packing, size, is_placed=placed)


def _whole(text: str | None) -> int:
    """A whole number, 0 where there is none: what is wrong with a header is for its reader to say."""
    return int(text) if text and text.lstrip("-").isdigit() else 0


def _listed(target: str, lines: list[str], at: int | None = None) -> tuple[str, ...]:
    """Files that a header names: one, LIST and a name on each line after it, or a pattern with first, last, step."""
    if not target:
        return ()
    if target.upper().split()[0] == "LIST":
        if at is None:
            at = next(i for i, line in enumerate(lines) if re.match(r"data ?file\s*:\s*LIST", line, re.IGNORECASE)) + 1
        return tuple(line.strip() for line in lines[at:] if line.strip())
    pattern = re.fullmatch(r"(\S*%0?\d*d\S*)\s+(-?\d+)\s+(-?\d+)(?:\s+(-?\d+))?(?:\s+\d+)?", target)
    if not pattern:
        return (target,)
    first, last, step = int(pattern[2]), int(pattern[3]), int(pattern[4] or 1) or 1
    return tuple(pattern[1] % number for number in range(first, last + (1 if step > 0 else -1), step))
