"""The sheared and stretched cube in preop, dolfinx and scikit-fem, side by side in one run.

    benchmarks/peers/install.sh   # once, as root: dolfinx from Debian, scikit-fem in its own environment
    .venv/bin/python benchmarks/tissue_peers.py [--cells 16 32] [--repeat 3] [--write]

Every round runs every solver once, one after the other, so that a busy machine is busy for all; the fastest round of
each counts. Each solver runs twice in its process and the second time counts. dolfinx runs as its users write it (each
linear system to 1e-6) and with the forcing terms of our own Newton's method, on one process and on two.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from machine_line import machine_line

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "tissue_peers.md"
FENICS = ["/usr/bin/python3", str(HERE / "peers" / "dolfinx_cube.py")]
SCIKIT = [str(HERE / "peers" / ".venv" / "bin" / "python"), str(HERE / "peers" / "scikit_fem_cube.py")]
TWO = ["mpirun", "--allow-run-as-root", "--oversubscribe", "-n", "2"]
LIMIT = 900
BASE = ("dolfinx CG+ICC", "dolfinx CG+ICC, 2 processes")
"""What ratios are taken to: the faster of the two."""


def solvers(cells: int, chosen: list[str]) -> dict[str, list[str]]:
    """Command lines by name."""
    preop = [sys.executable, str(HERE / "tissue.py"), "--one", str(cells)]
    size = ["--cells", str(cells)]
    icc, inexact, gamg = ["--solver", "icc"], ["--forcing", "inexact"], ["--solver", "gamg"]
    every = {
        "preop": preop,
        "preop, 1 thread": preop,
        "dolfinx CG+ICC": [*FENICS, *size, *icc],
        "dolfinx CG+ICC, 2 processes": [*TWO, *FENICS, *size, *icc],
        "dolfinx CG+ICC, inexact": [*FENICS, *size, *icc, *inexact],
        "dolfinx CG+ICC, inexact, 2 processes": [*TWO, *FENICS, *size, *icc, *inexact],
        "dolfinx CG+GAMG, 2 processes": [*TWO, *FENICS, *size, *gamg],
        "scikit-fem, PyAMG": [*SCIKIT, *size],
    }
    return {name: call for name, call in every.items() if not chosen or any(part in name for part in chosen)}


def run(name: str, call: list[str]) -> dict | None:
    """One process; None where it is not installed or fails."""
    if shutil.which(call[0]) is None:
        return None
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    if name.endswith("1 thread"):
        environment.update(PREOP_THREADS="1", XLA_FLAGS="--xla_cpu_multi_thread_eigen=false")
    try:
        done = subprocess.run(
            call, capture_output=True, encoding="utf-8", check=False, env=environment, timeout=LIMIT, cwd="/tmp"
        )
    except subprocess.TimeoutExpired:
        return None
    found = [line for line in done.stdout.splitlines() if line.startswith("{")]
    return json.loads(found[-1]) if done.returncode == 0 and found else None


def table(cells: int, rounds: dict[str, list[dict]]) -> list[str]:
    """One row per solver; ratios to the faster dolfinx with ICC."""
    best = {name: min(rows, key=lambda row: row["warm_s"]) for name, rows in rounds.items() if rows}
    base = [best[name] for name in BASE if name in best]
    wall = min((row["warm_s"] for row in base), default=float("nan"))
    busy = min((min(row["cpu_s"] for row in rounds[name]) for name in BASE if rounds.get(name)), default=float("nan"))
    lines = [
        f"{cells} cells an edge, {3 * (cells + 1) ** 3} unknowns, {6 * cells**3} T4",
        "",
        "| solver | warm s | of dolfinx | CPU s | of dolfinx | cold s | Newton | linear | energy J "
        "| top reaction N | peak MiB |",
        "|" + "---|" * 11,
    ]
    for name, row in best.items():
        spent = min(one["cpu_s"] for one in rounds[name])
        top = ", ".join(f"{force:.3f}" for force in row["top_N"])
        lines.append(
            f"| {name} | {row['warm_s']:.2f} | {row['warm_s'] / wall:.2f} | {spent:.2f} | {spent / busy:.2f} "
            f"| {max(one['cold_s'] for one in rounds[name]):.2f} | {row['newton']} | {row['linear']} "
            f"| {row['energy_J']:.6f} | {top} | {row['peak_MiB']:.0f} |"
        )
    missing = [name for name, rows in rounds.items() if not rows]
    return [*lines, *([f"\nNot run: {', '.join(missing)}."] if missing else []), ""]


def main() -> None:
    """Print a table per size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs="+", default=[16, 32])
    parser.add_argument("--repeat", type=int, default=3, help="rounds")
    parser.add_argument("--only", nargs="+", default=[], help="only solvers whose name holds one of these")
    parser.add_argument("--write", action="store_true", help=f"keep the tables in results/{RESULTS.name}")
    options = parser.parse_args()
    lines = [f"Fastest of {options.repeat} rounds; {machine_line()}", ""]
    print(lines[0])
    for cells in options.cells:
        calls = solvers(cells, options.only)
        rounds: dict[str, list[dict]] = {name: [] for name in calls}
        for _ in range(options.repeat):
            for name, call in calls.items():
                row = run(name, call)
                rounds[name] += [row] if row else []
                print(
                    f"{cells} {name}: " + (f"{row['warm_s']:.2f} s, CPU {row['cpu_s']:.2f} s" if row else "–"),
                    flush=True,
                )
        lines += table(cells, rounds)
        print("\n".join(lines[-len(calls) - 6 :]))
    if options.write:
        RESULTS.write_text("# The sheared and stretched cube, beside others\n\n" + "\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
