"""The load-free shape of scanned bodies: CPU seconds of every way to search for it, in one run.

    .venv/bin/python benchmarks/load_free.py [--edge 2.5] [--rounds 3] [--write]

Each case is searched by what scenes call ("auto": cheap rounds of the fixed point, then Newton's method on X where they
come closer too slowly), by Newton's method alone, and by the plain fixed point, one whole exact solve per round. The
first two load the shape again from rest, which their seconds hold; the plain rounds end within the accuracy themselves.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from machine_line import machine_line

RESULTS = Path(__file__).with_name("results") / "load_free.md"
PRESSURE = 93.3
"""mmHg, the mean pressure of 120/80."""
HEADER = (
    "| body | elements | moved mm | auto s (method, rounds, miss mm) | Newton s (iterations) | plain rounds s (rounds) "
    "| auto / plain |\n|---|---|---|---|---|---|---|"
)


def walls(edge: float) -> list[tuple[str, Any, float]]:
    """(name, problem, accuracy in m): the phantom's aneurysm, and a straight stiff tube."""
    import numpy as np
    from bodies import box

    from preop.engine.tissue.loads import Pressure
    from preop.engine.tissue.materials import NeoHookean
    from preop.engine.tissue.model import Model
    from preop.engine.tissue.supports import Fixed
    from preop.imaging.phantom import PhantomParameters, make_phantom
    from preop.meshing.wall import vessel_wall
    from preop.scenes.procedures.vessel_wall import FREE_TOLERANCE_MM, MMHG, VesselWallOptions, _problem

    options = VesselWallOptions(edge_length_mm=edge)
    labels = make_phantom(PhantomParameters(shape=(128, 128, 128), phase="arterial", noise_hu=0.0)).labels
    mesh = vessel_wall(labels, thickness_mm=options.wall_thickness_mm, layers=options.layers, edge_length_mm=edge)
    accuracy = 1e-3 * FREE_TOLERANCE_MM

    def quarter(unit: Any) -> Any:
        radius, turn = 12.0 + 1.9 * unit[:, 0], 0.5 * np.pi * unit[:, 1]
        return np.stack([radius * np.cos(turn), radius * np.sin(turn), 80.0 * unit[:, 2]], axis=1)

    model = Model.from_mesh(box((2, 24, 80), place=quarter), {"body": NeoHookean.from_young(2e6, 0.45)})
    held = [Fixed("y0", "y"), Fixed("y1", "x"), Fixed("z0"), Fixed("z1")]
    tube = model.problem(loads=[Pressure("x0", PRESSURE * MMHG)], supports=held)
    return [("aneurysm", _problem(options, mesh, "T4", PRESSURE), accuracy), ("tube, 2 MPa", tube, accuracy)]


def organs() -> list[tuple[str, Any, float]]:
    """A liver on its bed, and beams that hang by 48 and 91 mm of 160."""
    from test_unloaded import bar, liver

    return [
        ("liver on a bed", liver(8000.0, cells=10), 1e-4),
        ("beam, 60 kPa", bar(60e3), 1e-4),
        ("beam, 30 kPa", bar(30e3), 1e-4),
    ]


def plain_rounds(problem: Any, accuracy: float) -> str:
    """The rounds that it takes, one whole solve each; why there is no answer."""
    import numpy as np

    from preop.engine.tissue.anderson import Anderson
    from preop.engine.tissue.static import solve
    from preop.engine.tissue.unloaded import moved_to

    scanned = np.asarray(problem.model.points)
    shape, state, mixing = scanned, None, Anderson(depth=4)
    for rounds in range(1, 16):
        solution = solve(moved_to(problem, shape), tolerance=1e-6, start=state)
        if not solution.converged:
            return f"{solution.result.name} in round {rounds}"
        state = solution.final
        miss = shape + np.asarray(state.displacement) - scanned
        if np.linalg.norm(miss, axis=1).max() <= accuracy:
            return str(rounds)
        shape = mixing.next(shape, -miss)
    return "not settled after 15"


def searched(problem: Any, accuracy: float, method: str) -> Any:
    """An `Unloaded`, as scenes ask for it."""
    from preop.engine.tissue.unloaded import unloaded_shape

    return unloaded_shape(problem, method=method, tolerance=1e-3, accuracy=accuracy)


def taken(job: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds and what came out."""
    start = time.process_time()
    found = job()
    return time.process_time() - start, found


def row(name: str, problem: Any, accuracy: float, rounds: int) -> str:
    """One line of the table: the fastest of rounds that take turns; the first one compiles and does not count."""
    import numpy as np

    jobs = [
        lambda: searched(problem, accuracy, "auto"),
        lambda: searched(problem, accuracy, "newton"),
        lambda: plain_rounds(problem, accuracy),
    ]
    told = [[taken(job) for job in jobs] for _ in range(rounds + 1)][1:]
    seconds = [min(turn[k][0] for turn in told) for k in range(3)]
    auto, newton, plain = (told[-1][k][1] for k in range(3))
    elements = sum(len(block.nodes) for block in problem.model.blocks)
    return (
        f"| {name} | {elements} | {1e3 * np.linalg.norm(auto.offset, axis=1).max():.2f} "
        f"| {seconds[0]:.2f} ({auto.method}, {auto.iterations}, {1e3 * auto.miss:.4f}) "
        f"| {seconds[1]:.2f} ({newton.iterations}) | {seconds[2]:.2f} ({plain}) | {seconds[0] / seconds[2]:.2f} |"
    )


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edge", type=float, default=2.5, help="mm, of the aneurysm's wall")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"keep the table in results/{RESULTS.name}")
    options = parser.parse_args()

    import jax

    jax.config.update("jax_enable_x64", True)
    sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "engine"))
    lines = [f"CPU seconds, fastest of {options.rounds}; {machine_line()}", "", HEADER]
    print("\n".join(lines))
    for name, problem, accuracy in [*organs(), *walls(options.edge)]:
        lines.append(row(name, problem, accuracy, options.rounds))
        print(lines[-1], flush=True)
    if options.write:
        RESULTS.write_text("# The search for a load-free shape\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
