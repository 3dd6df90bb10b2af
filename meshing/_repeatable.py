"""Make fTetWild repeatable: it draws its seeds from the machine's entropy and offers no option for that.

fTetWild shuffles triangles by a generator that `std::random_device` seeds, so it never meshes the same
surface twice alike, not even with one thread. In the child process that runs it, the extension's one pointer to
`std::random_device` is led to the C library's `rand`, which `srand` seeds. Nothing else of the process changes.
"""

from __future__ import annotations

import ctypes
import mmap
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

_DRAW = b"_ZNSt13random_device9_M_getvalEv"
"""std::random_device::_M_getval(), which `operator()` of libstdc++ calls."""
_DYNAMIC, _LOAD = 2, 1
_DT = {"jump_size": 2, "symbols": 6, "strings": 5, "rela": 7, "rela_size": 8, "jumps": 23}


def seed_entropy(extension: str, seed: int) -> bool:
    """Lead an extension's `std::random_device` to `rand` after `srand(seed)`.

    Args:
        extension: path of a loaded ELF shared object.
        seed: non-negative.

    Returns:
        Whether it was done. False where the system is not 64-bit Linux or the extension draws nothing.
    """
    if not sys.platform.startswith("linux") or struct.calcsize("P") != 8:
        return False
    image = Path(extension).resolve()
    try:
        slots = list(_slots(image.read_bytes(), _DRAW))
        base = _loaded_at(image)
    except (OSError, ValueError, IndexError, struct.error, UnicodeDecodeError):
        return False
    if base is None or not slots:
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    libc.srand(ctypes.c_uint(seed & 0xFFFFFFFF))
    draw = ctypes.cast(libc.rand, ctypes.c_void_p).value
    assert draw is not None
    return all(_write_pointer(libc, base + slot, draw) for slot in slots)


def _slots(image: bytes, symbol: bytes) -> Iterator[int]:
    """Offsets of the pointers that the loader fills with a symbol's address (ELF-64, relocations with addend)."""
    if image[:6] != b"\x7fELF\x02\x01":
        raise ValueError("not a little-endian ELF-64 file")
    (headers,) = struct.unpack_from("<Q", image, 32)
    size, count = struct.unpack_from("<HH", image, 54)
    segments = [struct.unpack_from("<IIQQQQ", image, headers + i * size) for i in range(count)]
    loads = [(where, offset, length) for kind, _, offset, where, _, length in segments if kind == _LOAD]

    def at(address: int) -> int:
        return next(address - where + offset for where, offset, length in loads if where <= address < where + length)

    start, length = next((offset, length) for kind, _, offset, _, _, length in segments if kind == _DYNAMIC)
    entries = dict(struct.iter_unpack("<qQ", image[start : start + length - length % 16]))
    symbols, strings = at(entries[_DT["symbols"]]), at(entries[_DT["strings"]])
    for table, bytes_ in (("rela", "rela_size"), ("jumps", "jump_size")):
        if _DT[table] not in entries:
            continue
        first, total = at(entries[_DT[table]]), entries[_DT[bytes_]]
        for slot, info, _ in struct.iter_unpack("<QQq", image[first : first + total]):
            (name,) = struct.unpack_from("<I", image, symbols + 24 * (info >> 32))
            if info >> 32 and image.startswith(symbol + b"\0", strings + name):
                yield slot


def _loaded_at(image: Path) -> int | None:
    """Address at which this process has the file's beginning."""
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        span, _, offset, _, _, *path = line.split(maxsplit=5)
        if path and path[0] == str(image) and int(offset, 16) == 0:
            return int(span.split("-")[0], 16)
    return None


def _write_pointer(libc: ctypes.CDLL, address: int, value: int) -> bool:
    """The loader has made its table read-only: open the page, and leave it open in this short-lived process."""
    page = address - address % mmap.PAGESIZE
    span = address + 8 - page
    if libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(span), mmap.PROT_READ | mmap.PROT_WRITE) != 0:
        return False
    ctypes.c_uint64.from_address(address).value = value
    return True
