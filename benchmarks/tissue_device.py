"""The stretched cube on a device, beside the cores of its host, in one run.

    python benchmarks/tissue_device.py [--cells 16 32 55] [--write]

Float64 both times. Each path solves twice in a process of its own and the second time counts: nothing compiles in it.
Where JAX sees no accelerator the device path runs on the CPU, and says so.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from machine_line import machine_line

RESULTS = Path(__file__).with_name("results") / "tissue_device.md"
HEADER = (
    "| path | cells | tetrahedra | cold s | warm s | host / device | Newton | CG | energy J | parts s |",
    "|" + "---|" * 10,
)


def run(cells: int, path: str, element: str) -> dict:
    """One path in its own process; the host path does not open the accelerator."""
    call = [sys.executable, str(Path(__file__).with_name("tissue.py")), "--one", str(cells)]
    call += ["--linear-solver", path, "--element", element]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    if path == "host":
        environment["JAX_PLATFORMS"] = "cpu"
    done = subprocess.run(call, capture_output=True, encoding="utf-8", check=False, env=environment)
    if done.returncode:
        sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def line(path: str, cells: int, row: dict, ratio: float | None) -> str:
    """One row of the table."""
    parts = ", ".join(f"{name} {seconds:.2f}" for name, seconds in row["parts_s"].items())
    times = f"{row['cold_s']:.2f} | {row['warm_s']:.2f} | {'–' if ratio is None else f'{ratio:.1f}'}"
    counts = f"{row['newton']} | {row['linear']} | {row['energy_J']:.6f} | {parts}"
    return f"| {path} | {cells} | {row['elements']} | {times} | {counts} |"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs="+", default=[16, 32, 55])
    parser.add_argument("--element", default="T4")
    parser.add_argument("--write", action="store_true", help=f"keep the table in results/{RESULTS.name}")
    options = parser.parse_args()
    asked = "import jax; print(jax.devices()[0].device_kind)"
    device = subprocess.run([sys.executable, "-c", asked], capture_output=True, encoding="utf-8", check=True).stdout
    lines = [f"{options.element}, float64; device: {device.strip()}; host: {machine_line()}", "", *HEADER]
    print("\n".join(lines))
    for cells in options.cells:
        host = run(cells, "host", options.element)
        there = run(cells, "device", options.element)
        lines += [line("host", cells, host, None), line("device", cells, there, host["warm_s"] / there["warm_s"])]
        print("\n".join(lines[-2:]), flush=True)
    if options.write:
        RESULTS.write_text("# The stretched cube on a device\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
