"""Peak memory of a stretch of work, children included."""

from __future__ import annotations

import contextlib
import resource
from pathlib import Path

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


class PeakMemory:
    """Context manager; `mib` is the peak resident size in MiB while it was open.

    On Linux the kernel's high-water mark is reset on entry, so each stage has its own
    peak; elsewhere it is the process's peak so far. The largest child that ended
    meanwhile is added, as it lived beside this process.
    """

    mib: float = 0.0

    def __enter__(self) -> PeakMemory:
        with contextlib.suppress(OSError):
            _CLEAR.write_text("5", encoding="utf-8")
        self._child_before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        return self

    def __exit__(self, *exc: object) -> None:
        child = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        self.mib = (_high_water_kib() + (child if child > self._child_before else 0)) / 1024


def _high_water_kib() -> int:
    try:
        for line in _STATUS.read_text(encoding="utf-8").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
    except OSError:
        pass
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
