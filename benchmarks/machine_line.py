"""The machine a table was made on, and whether it had other work."""

from __future__ import annotations

import os

from preop.scenes.machine import machine_facts


def machine_line() -> str:
    """Processor, cores and memory in words, and the load of the last minute before the measurement."""
    facts, memory = machine_facts(), os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    beside = f", beside other jobs (load {load:.1f})" if load > 1.0 else ""
    return f"{facts['processor']}, {cores} cores, {memory:.0f} GiB, {facts['platform']}{beside}."
