"""Times the tissue solver on the sheared and stretched cube; one process per case, so that compiling and memory count.

    .venv/bin/python benchmarks/tissue.py [--cells 8 16 32] [--element T4] [--linear-solver host] [--write]

"cold" is a first solve of a new process with nothing compiled, "kept" the same where a process with another mesh size
left its compiled programs (`keep_compiled`, as the command line does), "new size" the first of this size in a process
that has solved another. "products" is the warm time in units of one product with the assembled tangent, timed in the
same process: a figure that other machines can be compared by.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics as statistics_of
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from machine_line import machine_line

if TYPE_CHECKING:
    from preop.engine.tissue.problem import Problem
    from preop.engine.tissue.solution import Solution

RESULTS = Path(__file__).with_name("results") / "tissue.md"
PARTS = ("assembly", "preconditioner", "krylov", "residual", "stability")
REFERENCE = {8: 358.272089, 16: 347.539963, 32: 343.483933}
"""Strain energy of the 1 m cube on Kuhn meshes of T4 [J]."""
TOP_REACTION = (884.769, -2.235, 2063.666)
"""N, 32 cells."""


OTHER = 4
"""Cells of the other mesh size."""


def case(cells: int, element: str, linear_solver: str, before: bool, kept: str) -> dict:
    """Solve twice in this process, cold, then warm; `before` these another size, with programs kept in a folder."""
    import jax

    jax.config.update("jax_enable_x64", True)
    if kept:
        from preop.engine.compiled import keep_compiled

        keep_compiled(Path(kept))
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "engine"))
    import bodies

    from preop.engine.tissue import fields
    from preop.engine.tissue.materials import NeoHookean
    from preop.engine.tissue.model import Model
    from preop.engine.tissue.prescribed import Prescribed
    from preop.engine.tissue.static import solve
    from preop.engine.tissue.supports import Fixed

    meshes = {size: bodies.box((size, size, size)) for size in (cells, OTHER)}

    def once(size: int = cells):
        mesh = meshes[size]
        start, busy = time.perf_counter(), time.process_time()
        model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(1e4, 0.45)}, element=element)
        problem = model.problem(supports=[Fixed("z0")], prescribed=[Prescribed("z1", (0.3, 0.0, 0.2))])
        solution = solve(problem, linear_solver=linear_solver).require_converged()
        return time.perf_counter() - start, time.process_time() - busy, model, problem, solution

    if before:
        once(OTHER)
    (cold, *_), (warm, busy, model, problem, solution) = once(), once()
    statistics = solution.statistics
    return {
        "unknowns": int(3 * len(model.points)),
        "elements": statistics.elements,
        "cold_s": cold,
        "warm_s": warm,
        "cpu_s": busy,
        "newton": statistics.newton_iterations,
        "linear": statistics.linear_iterations,
        "parts_s": {name: statistics.seconds.get(name, 0.0) for name in PARTS},
        "product_s": product_seconds(problem, solution) if linear_solver == "host" else None,
        "energy_J": fields.strain_energy(model, solution.final),
        "top_N": [float(f) for f in fields.reaction(problem, solution.final, "z1")],
        "peak_MiB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def product_seconds(problem: Problem, solution: Solution) -> float:
    """Median time of a product with the assembled tangent."""
    from preop.engine.tissue.host_system import HostSystem
    from preop.engine.tissue.system import Timer

    moved = np.asarray(solution.final.displacement)
    tangent = HostSystem(problem, Timer()).linearize(moved, 1.0)
    taken = []
    for _ in range(50):
        start = time.perf_counter()
        tangent.product(moved)
        taken.append(time.perf_counter() - start)
    return statistics_of.median(taken)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, nargs="+", default=[8, 16, 32])
    parser.add_argument("--element", default="T4")
    parser.add_argument("--linear-solver", default="host")
    parser.add_argument("--write", action="store_true", help=f"keep the table in results/{RESULTS.name}")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--before", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--kept", default="", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(case(options.one, options.element, options.linear_solver, options.before, options.kept)))
        return
    lines = [f"{options.element}, {options.linear_solver}, float64; {machine_line()}", "", *HEADER]
    one_thread = {"OPENBLAS_NUM_THREADS": "1", **os.environ}
    print("\n".join(lines))

    def alone(cells: int, *more: str) -> dict:
        call = [sys.executable, __file__, "--one", str(cells), "--element", options.element]
        call += ["--linear-solver", options.linear_solver, *more]
        done = subprocess.run(call, capture_output=True, encoding="utf-8", check=True, env=one_thread)
        return json.loads(done.stdout)

    with tempfile.TemporaryDirectory() as kept:
        alone(OTHER, "--kept", kept)
        for cells in options.cells:
            row = alone(cells)
            row["kept_s"] = alone(cells, "--kept", kept)["cold_s"]
            row["new_size_s"] = alone(cells, "--before")["cold_s"]
            lines.append(line(cells, row, options.element))
            print(lines[-1], flush=True)
    if options.write:
        RESULTS.write_text("# The sheared and stretched cube\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


HEADER = (
    "| cells | unknowns | cold s | kept s | new size s | warm s | products | Newton | CG | energy J "
    "| off the reference | top reaction N | parts s: " + ", ".join(PARTS) + " | peak MiB |",
    "|" + "---|" * 14,
)


def line(cells: int, row: dict, element: str) -> str:
    """One row of the table."""
    known = element == "T4" and cells in REFERENCE
    off = f"{row['energy_J'] / REFERENCE[cells] - 1:+.0e}" if known else "–"
    products = f"{row['warm_s'] / row['product_s']:.0f}" if row["product_s"] else "–"
    parts = ", ".join(f"{row['parts_s'][name]:.2f}" for name in PARTS)
    top = ", ".join(f"{force:.3f}" for force in row["top_N"])
    seconds = " | ".join(f"{row[name]:.2f}" for name in ("cold_s", "kept_s", "new_size_s", "warm_s"))
    return (
        f"| {cells} | {row['unknowns']} | {seconds} | {products} | {row['newton']} | {row['linear']} "
        f"| {row['energy_J']:.6f} | {off} | {top} | {parts} | {row['peak_MiB']:.0f} |"
    )


if __name__ == "__main__":
    main()
