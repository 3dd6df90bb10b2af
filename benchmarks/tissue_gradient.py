"""Times a whole reverse gradient of the sheared cube against its solve, in one process, warm.

    .venv/bin/python benchmarks/tissue_gradient.py [--cells 16 32] [--write]

J = Σ u_z² over all nodes, with respect to every float array of the problem: two moduli per element, densities, node
positions, the prescribed motion. All motion is prescribed, so scaling both moduli together changes nothing: that sum
over the gradient is the check, over the sum of sizes.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine_line import machine_line

RESULTS = Path(__file__).with_name("results") / "tissue_gradient.md"


def timed(function: Callable[[], Any]) -> tuple[Any, float, float]:
    """What it gives the second time, when nothing is compiled; seconds by the clock, seconds of CPU."""
    function()
    clock, busy = time.perf_counter(), time.process_time()
    found = function()
    return found, time.perf_counter() - clock, time.process_time() - busy


def row(cells: int) -> str:
    """Solve and differentiate twice; the second time counts."""
    import jax

    jax.config.update("jax_enable_x64", True)
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "engine"))
    import bodies
    import jax.numpy as jnp
    import numpy as np

    from preop.engine.tissue.derivatives.first import gradient
    from preop.engine.tissue.materials import NeoHookean
    from preop.engine.tissue.model import Model
    from preop.engine.tissue.prescribed import Prescribed
    from preop.engine.tissue.static import solve
    from preop.engine.tissue.supports import Fixed

    model = Model.from_mesh(bodies.box((cells, cells, cells)), {"body": NeoHookean.from_young(1e4, 0.45)})
    problem = model.problem(supports=[Fixed("z0")], prescribed=[Prescribed("z1", (0.3, 0.0, 0.2))])
    solution, clock, busy = timed(lambda: solve(problem).require_converged())
    slope, through, spent = timed(lambda: gradient(lambda u, p: jnp.sum(u[:, 2] ** 2), problem, solution.final))
    given, found = (p.model.blocks[0].material for p in (problem, slope))
    parts = [np.asarray(getattr(given, n)) * np.asarray(getattr(found, n)) for n in ("shear_modulus", "lame")]
    check = abs(sum(part.sum() for part in parts)) / sum(np.abs(part).sum() for part in parts)
    elements = solution.statistics.elements
    return (
        f"| {cells} | {elements:,} | {clock:.1f} / {busy:.1f} | {through:.1f} / {spent:.1f} | {spent / busy:.2f} | "
        f"{check:.0e} |"
    )


def main() -> None:
    """Print the table; `--write` keeps it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, nargs="+", default=[16, 32])
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    lines = [
        "# A whole gradient against its solve",
        "",
        f"`benchmarks/tissue_gradient.py`. {machine_line()} Seconds by the clock / of CPU; the ratio is of CPU.",
        "",
        "| cells | T4 | solve s | gradient s | gradient / solve | scaling both moduli |",
        "|---|---|---|---|---|---|",
        *(row(cells) for cells in arguments.cells),
        "",
    ]
    print("\n".join(lines))
    if arguments.write:
        RESULTS.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
