"""What this machine is: processor, memory, disk, display. Standard library only."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path

from .gl import display_answers

_GIB = 2**30


def machine_facts() -> dict[str, object]:
    """Platform, processor, cores that this process may use, memory and disk in GiB, display."""
    total, available = memory_gib()
    return {
        "platform": _platform(),
        "processor": processor_name(),
        "cores": usable_cores(),
        "memory_gib": total,
        "memory_available_gib": available,
        "disk_free_gib": round(shutil.disk_usage(Path.cwd()).free / _GIB, 1),
        "display": display(),
    }


def usable_cores() -> int:
    """Cores that this process may run on: fewer than the machine has in a container or a batch job."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def memory_gib() -> tuple[float | None, float | None]:
    """Total and available memory; a container's limit counts as its total. None where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return _posix_memory_gib(), None
    pairs = (line.split() for line in lines)
    kibibytes = {pair[0].rstrip(":"): int(pair[1]) for pair in pairs if len(pair) > 1}
    total, available = kibibytes.get("MemTotal", 0) / 2**20, kibibytes.get("MemAvailable", 0) / 2**20
    limit = _container_limit_gib()
    if limit is not None and limit < total:
        total, available = limit, min(available, limit)
    return round(total, 1), round(available, 1)


def graphics_card() -> bool:
    """Whether an NVIDIA driver runs here, whatever JAX makes of it."""
    return Path("/proc/driver/nvidia/version").exists() or shutil.which("nvidia-smi") is not None


def display() -> str:
    """The display that a window would open on, or "none"."""
    wayland, x11 = os.environ.get("WAYLAND_DISPLAY"), os.environ.get("DISPLAY")
    if x11:
        return x11 if display_answers() else f"none (DISPLAY={x11} does not answer)"
    return f"Wayland {wayland}" if wayland else "none"


def _posix_memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _container_limit_gib() -> float | None:
    for path in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        try:
            return int(Path(path).read_text(encoding="ascii")) / _GIB
        except (OSError, ValueError):
            # No such file, or the word "max" for no limit.
            continue
    return None


def _platform() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.system()
    return f"{name}, {platform.machine()}"


def processor_name() -> str:
    """The processor's model in words."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())
