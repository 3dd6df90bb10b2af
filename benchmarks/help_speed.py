"""How long `preop --help` takes beside Python's own start: `python benchmarks/help_speed.py [N]`."""

from __future__ import annotations

import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path

from preop.scenes.machine import machine_facts


def seconds(command: list[str], times: int) -> list[float]:
    """Wall time of each of several runs, after one that warms the disk."""
    taken = []
    for _ in range(times + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        taken.append(time.perf_counter() - start)
    return taken[1:]


def main() -> int:
    """Print the medians as a table."""
    times = int(sys.argv[1]) if len(sys.argv) > 1 else 15
    beside = Path(sys.executable).with_name("preop")
    preop = str(beside) if beside.exists() else shutil.which("preop")
    if preop is None:
        print("preop: the command is not installed. Run: make setup", file=sys.stderr)
        return 1
    commands = {
        "python -c pass": [sys.executable, "-c", "pass"],
        "preop --help": [preop, "--help"],
        "preop run --help": [preop, "run", "--help"],
    }
    machine = machine_facts()
    print(f"{machine['processor']}, {machine['cores']} cores, {machine['platform']}; {times} runs, warm disk\n")
    print(f"{'command':<20}{'median s':>10}{'slowest s':>11}")
    for name, command in commands.items():
        taken = seconds(command, times)
        print(f"{name:<20}{statistics.median(taken):>10.3f}{max(taken):>11.3f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
