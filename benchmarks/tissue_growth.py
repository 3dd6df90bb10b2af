"""How the linear solver's iterations, time and memory grow with the mesh; one process per case.

    .venv/bin/python benchmarks/tissue_growth.py [--element T4] [--cells 9 17 32 55] [--write]

Each cube is solved as in `tissue.py` (30 % shear, 20 % stretch), and its tangent at rest under its own weight to 1e-8:
one linear solve, whose iterations compare between sizes. 55 cells are 998,250 tetrahedra.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

from machine_line import machine_line

RESULTS = Path(__file__).with_name("results") / "tissue_growth.md"
LINEAR_TOLERANCE = 1e-8


def case(cells: int, element: str, *, linear_only: bool) -> dict:
    """One size."""
    import jax

    jax.config.update("jax_enable_x64", True)
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "engine"))
    import bodies

    from preop.engine.tissue.host_system import HostSystem
    from preop.engine.tissue.loads import Gravity
    from preop.engine.tissue.materials import NeoHookean
    from preop.engine.tissue.model import Model
    from preop.engine.tissue.prescribed import Prescribed
    from preop.engine.tissue.static import solve
    from preop.engine.tissue.supports import Fixed
    from preop.engine.tissue.system import Timer

    mesh = bodies.box((cells, cells, cells))
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(1e4, 0.45)}, element=element)
    weight = model.problem(loads=[Gravity((0.0, 0.0, -9.81))], supports=[Fixed("z0")])
    timer, start, busy = Timer(), time.perf_counter(), time.process_time()
    system = HostSystem(weight, timer)
    rest = system.zeros()
    tangent = system.linearize(rest, 1.0)
    outcome = tangent.solve(system.external(rest, 1.0) * system.free, LINEAR_TOLERANCE)
    hierarchy = system.solver.hierarchy  # pyright: ignore[reportAttributeAccessIssue]
    found = {
        "elements": len(mesh.tetrahedra),
        "unknowns": int(system.free.sum()),
        "linear_its": outcome.iterations,
        "converged": bool(outcome.converged),
        "linear_s": time.perf_counter() - start,
        "linear_cpu_s": time.process_time() - busy,
        "levels": hierarchy.sizes if hierarchy else [],
        "complexity": hierarchy.complexity if hierarchy else 1.0,
        "parts_s": dict(timer.seconds),
    }
    del system, tangent, outcome, hierarchy
    if not linear_only:
        problem = model.problem(supports=[Fixed("z0")], prescribed=[Prescribed("z1", (0.3, 0.0, 0.2))])
        start, busy = time.perf_counter(), time.process_time()
        statistics = solve(problem).require_converged().statistics
        found.update(
            newton=statistics.newton_iterations,
            its=statistics.linear_iterations,
            solve_s=time.perf_counter() - start,
            solve_cpu_s=time.process_time() - busy,
            energy_J=statistics.steps[-1].energy,
        )
    found["peak_MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found


HEADER = (
    "| element | tetrahedra | unknowns | levels | complexity | iterations to 1e-8 | s (CPU s) "
    "| whole solve: Newton | CG | s (CPU s) | energy J | peak MiB |",
    "|" + "---|" * 12,
)


def line(element: str, row: dict) -> str:
    """One row of the table."""
    whole = (
        f"{row['newton']} | {row['its']} | {row['solve_s']:.1f} ({row['solve_cpu_s']:.1f}) | {row['energy_J']:.6f}"
        if "its" in row
        else "– | – | – | –"
    )
    sizes = ", ".join(str(size) for size in row["levels"])
    linear = f"{row['linear_its']} | {row['linear_s']:.1f} ({row['linear_cpu_s']:.1f})"
    return (
        f"| {element} | {row['elements']} | {row['unknowns']} | {sizes} | {row['complexity']:.2f} | {linear} "
        f"| {whole} | {row['peak_MiB']:.0f} |"
    )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs="+", default=[9, 17, 32, 55], help="of T4")
    parser.add_argument("--cells-T10", type=int, nargs="*", default=[9, 17, 24], dest="quadratic", help="of T10")
    parser.add_argument("--linear-only", action="store_true", help="leave the whole solve out")
    parser.add_argument("--write", action="store_true", help=f"keep the table in results/{RESULTS.name}")
    parser.add_argument("--one", nargs=2, metavar=("ELEMENT", "CELLS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(json.dumps(case(int(options.one[1]), options.one[0], linear_only=options.linear_only)))
        return
    lines = [f"float64; {machine_line()}", "", *HEADER]
    print("\n".join(lines))
    for element, sizes in (("T4", options.cells), ("T10", options.quadratic)):
        for cells in sizes:
            call = [sys.executable, __file__, "--one", element, str(cells)]
            call += ["--linear-only"] if options.linear_only else []
            environment = {"OPENBLAS_NUM_THREADS": "1", **os.environ}
            done = subprocess.run(call, capture_output=True, encoding="utf-8", check=True, env=environment)
            lines.append(line(element, json.loads(done.stdout.splitlines()[-1])))
            print(lines[-1], flush=True)
    if options.write:
        RESULTS.write_text("# Growth with the mesh\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
