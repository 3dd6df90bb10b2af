"""The machine a table was made on, and whether it had other work."""

from __future__ import annotations

import os

from preop.scenes.machine import machine_facts


def machine_line() -> str:
    """Processor, cores and memory in words, and the load of the last minute before the measurement."""
    facts, load = machine_facts(), os.getloadavg()[0]
    beside = f", beside other jobs (load {load:.1f})" if load > 1.0 else ""
    return f"{facts['processor']}, {facts['cores']} cores, {facts['memory_gib']} GiB, {facts['platform']}{beside}."
