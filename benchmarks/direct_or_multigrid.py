"""From how many unknowns on multigrid is faster than a factorisation: whole solves by both, CPU seconds.

    .venv/bin/python benchmarks/direct_or_multigrid.py [--element T4] [--cells 3 5 7 9 12] [--rounds 5] [--write]

A cube and a bar eight times as long as thick, sheared by 10 %; of each the fastest of several rounds that take turns.
A long bar has thin factors, so it stays with the factorisation for longer.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from machine_line import machine_line

RESULTS = Path(__file__).with_name("results") / "direct_or_multigrid.md"


def fastest(shape: tuple[int, int, int], element: str, rounds: int) -> tuple[int, dict[str, float]]:
    """Unknowns, and CPU seconds by method."""
    import bodies

    from preop.engine.tissue.materials import NeoHookean
    from preop.engine.tissue.model import Model
    from preop.engine.tissue.prescribed import Prescribed
    from preop.engine.tissue.static import solve
    from preop.engine.tissue.supports import Fixed

    x, y, z = (100.0 * cells / shape[0] for cells in shape)
    mesh = bodies.box(shape, size=(x, y, z))
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(1e4, 0.45)}, element=element)
    height = 0.1 * shape[2] / shape[0]
    problem = model.problem(supports=[Fixed("z0")], prescribed=[Prescribed("z1", (0.1 * height, 0.0, 0.0))])
    taken: dict[str, list[float]] = {"direct": [], "multigrid": []}
    unknowns = solve(problem, linear_solver="direct").statistics.unknowns
    for _ in range(rounds + 1):  # the first one compiles
        for method, seconds in taken.items():
            start = time.process_time()
            solve(problem, linear_solver=method).require_converged()
            seconds.append(time.process_time() - start)
    return unknowns, {method: min(seconds[1:]) for method, seconds in taken.items()}


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--element", default="T4")
    parser.add_argument("--cells", type=int, nargs="+", default=[3, 5, 7, 9, 12])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--write", action="store_true", help=f"keep the table in results/{RESULTS.name}")
    options = parser.parse_args()

    import jax

    jax.config.update("jax_enable_x64", True)
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "engine"))
    lines = [
        f"{options.element}, fastest of {options.rounds} rounds, CPU seconds of a whole solve; {machine_line()}",
        "",
        "| body | unknowns | direct | multigrid | direct / multigrid |",
        "|" + "---|" * 5,
    ]
    print("\n".join(lines))
    for name, long in (("cube", 1), ("bar 1 : 1 : 8", 8)):
        for cells in options.cells:
            wide = cells if long == 1 else max(1, cells // 2)
            unknowns, spent = fastest((wide, wide, wide * long), options.element, options.rounds)
            lines.append(
                f"| {name} | {unknowns} | {spent['direct']:.3f} | {spent['multigrid']:.3f} "
                f"| {spent['direct'] / spent['multigrid']:.2f} |"
            )
            print(lines[-1], flush=True)
    if options.write:
        RESULTS.write_text("# Factorisation or multigrid\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
