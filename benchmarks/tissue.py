"""Times the tissue solver on the sheared and stretched cube; one process per case, so that compiling and memory count.

python benchmarks/tissue.py [--cells 8 16 32] [--element T4] [--linear-solver host]
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from pathlib import Path

REFERENCE = {8: 358.272089, 16: 347.539963, 32: 343.483933}
"""Strain energy of the 1 m cube on Kuhn meshes of T4 [J]."""
TOP_REACTION = (884.769, -2.235, 2063.666)
"""N, 32 cells."""


def case(cells: int, element: str, linear_solver: str) -> dict:
    """Solve twice in this process: cold, then warm."""
    import jax

    jax.config.update("jax_enable_x64", True)
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "engine"))
    import bodies

    from preop.engine.tissue import fields
    from preop.engine.tissue.materials import NeoHookean
    from preop.engine.tissue.model import Model
    from preop.engine.tissue.prescribed import Prescribed
    from preop.engine.tissue.static import solve
    from preop.engine.tissue.supports import Fixed

    mesh = bodies.box((cells, cells, cells))

    def once():
        start = time.perf_counter()
        model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(1e4, 0.45)}, element=element)
        problem = model.problem(supports=[Fixed("z0")], prescribed=[Prescribed("z1", (0.3, 0.0, 0.2))])
        solution = solve(problem, linear_solver=linear_solver).require_converged()
        return time.perf_counter() - start, model, problem, solution

    (cold, *_, first), (warm, model, problem, solution) = once(), once()
    statistics = solution.statistics
    return {
        "cells": cells,
        "unknowns": int(3 * len(model.points)),
        "elements": statistics.elements,
        "cold_s": cold,
        "warm_s": warm,
        "compile_s": first.statistics.seconds.get("compile", 0.0),
        "newton": statistics.newton_iterations,
        "linear": statistics.linear_iterations,
        "parts_s": {name: round(seconds, 3) for name, seconds in statistics.seconds.items()},
        "energy_J": fields.strain_energy(model, solution.final),
        "top_N": [float(f) for f in fields.reaction(problem, solution.final, "z1")],
        "peak_MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--element", default="T4")
    parser.add_argument("--linear-solver", default="host")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(case(options.one, options.element, options.linear_solver)))
        return
    print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, {options.element}")
    print(
        f"{'cells':>5} {'unknowns':>9} {'cold s':>7} {'warm s':>7} {'Newton':>6} "
        f"{'CG':>5} {'energy J':>12} {'off':>9} {'MiB':>6}"
    )
    one_thread = {"OPENBLAS_NUM_THREADS": "1", **os.environ}
    for cells in options.cells:
        call = [sys.executable, __file__, "--one", str(cells), "--element", options.element]
        call += ["--linear-solver", options.linear_solver]
        row = json.loads(subprocess.run(call, capture_output=True, encoding="utf-8", check=True, env=one_thread).stdout)
        known = options.element == "T4" and cells in REFERENCE
        off = f"{row['energy_J'] - REFERENCE[cells]:+.1e}" if known else "-"
        print(
            f"{cells:5d} {row['unknowns']:9d} {row['cold_s']:7.2f} {row['warm_s']:7.2f} {row['newton']:6d} "
            f"{row['linear']:5d} {row['energy_J']:12.6f} {off:>9} {row['peak_MiB']:6.0f}"
        )
        print(f"      warm parts [s] {row['parts_s']}; top reaction [N] {[round(f, 3) for f in row['top_N']]}")


if __name__ == "__main__":
    main()
