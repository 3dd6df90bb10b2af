"""Linear tetrahedra against locking, side by side: which remedy is best for its unknowns?

    .venv/bin/python benchmarks/locking.py [--cells 4 8 16] [--poisson 0.4999] [--write]

The sheared and stretched cube of `benchmarks/tissue.py`, nearly incompressible. The truth is Richardson's extrapolation
of Taylor and Hood's tetrahedra. `T4F8` is defined here only: the F-bar patch of de Souza Neto et al. (2005), eight
linear tetrahedra that share one volume ratio.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np
from machine_line import machine_line
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "engine"))

from preop.engine.tissue.elements import ELEMENTS
from preop.engine.tissue.elements.base import Quadrature
from preop.engine.tissue.elements.mean_dilatation import MeanDilatation
from preop.engine.tissue.elements.tet10 import DEGREE_5, EDGES, Tet10

RESULTS = Path(__file__).with_name("results") / "locking.md"
CHILDREN = np.array([[0, 4, 6, 7], [4, 1, 5, 8], [6, 5, 2, 9], [7, 8, 9, 3],
                     [4, 9, 7, 6], [4, 9, 6, 5], [4, 9, 5, 8], [4, 9, 8, 7]])  # fmt: skip
"""Nodes of a T10 in its eight parts: four at the corners, four around the diagonal between opposite edges."""
FINEST = {"T4": 8, "T4P1": 16, "T4F8": 4, "T10P1": 8}
"""Cells a side that an element is tried with at most: the patch takes minutes with eight."""
CORNERS = np.vstack([np.zeros(3), np.eye(3)])
PLACES = np.vstack([CORNERS, CORNERS[EDGES].mean(axis=1)])


class Tet4Patch(MeanDilatation):
    """The ten nodes of a T10, displacement linear in each of eight parts, one J̄ for all of them."""

    name, nodes, order, chunk = "T4F8", 10, 1, 512
    quadrature = Quadrature(PLACES[CHILDREN].mean(axis=1), np.full(8, 1.0 / 48.0))
    load_quadrature = DEGREE_5
    facet = Tet10.facet
    edges, facet_edges = Tet10.edges, Tet10.facet_edges

    def _weights(self, points: NDArray) -> tuple[NDArray, NDArray, NDArray]:
        """The part each point is in, its barycentric coordinates there, and their slopes (parts, 4, 3)."""
        corners = PLACES[CHILDREN]
        slopes = np.linalg.inv(np.concatenate([np.ones((8, 4, 1)), corners], axis=2))  # (parts, 4, 4), rows 1, x, y, z
        all_weights = np.einsum("qi,pia->qpa", np.insert(points, 0, 1.0, axis=1), slopes)
        part = all_weights.min(axis=2).argmax(axis=1)
        return part, all_weights[np.arange(len(points)), part], np.transpose(slopes[:, 1:], (0, 2, 1))

    def shape(self, points: NDArray) -> NDArray:
        """Piecewise linear."""
        part, weights, _ = self._weights(points)
        result = np.zeros((len(points), 10))
        np.put_along_axis(result, CHILDREN[part], weights, axis=1)
        return result

    def gradient(self, points: NDArray) -> NDArray:
        """Constant in each part."""
        part, _, slopes = self._weights(points)
        result = np.zeros((len(points), 10, 3))
        for point, which in enumerate(part):
            result[point, CHILDREN[which]] = slopes[which]
        return result


def energy(cells: int, element: str, poisson: float) -> dict:
    """Strain energy and effort of one solve (after one that compiles)."""
    import bodies

    from preop.engine.tissue import fields
    from preop.engine.tissue.materials import NeoHookean
    from preop.engine.tissue.model import Model
    from preop.engine.tissue.prescribed import Prescribed
    from preop.engine.tissue.static import solve
    from preop.engine.tissue.supports import Fixed

    model = Model.from_mesh(
        bodies.box((cells, cells, cells)), {"body": NeoHookean.from_young(1e4, poisson)}, element=element
    )
    problem = model.problem(supports=[Fixed("z0")], prescribed=[Prescribed("z1", (0.3, 0.0, 0.2))])
    solve(problem, tolerance=0.5)
    start = time.perf_counter()
    solution = solve(problem)
    seconds = time.perf_counter() - start
    statistics = solution.statistics
    value = fields.strain_energy(model, solution.final) if solution.converged else float("nan")
    return {"unknowns": 3 * model.nodes + len(model.pressure_corners), "energy": value, "seconds": seconds,
            "newton": statistics.newton_iterations, "linear": statistics.linear_iterations}  # fmt: skip


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, nargs="+", default=[4, 8, 16])
    parser.add_argument("--poisson", type=float, default=0.4999)
    parser.add_argument("--write", action="store_true", help=f"keep the table in results/{RESULTS.name}")
    options = parser.parse_args()
    import jax

    jax.config.update("jax_enable_x64", True)
    ELEMENTS["T4F8"] = Tet4Patch()
    coarse, fine = (energy(n, "T10P1", options.poisson)["energy"] for n in (4, 8))
    truth = fine + (fine - coarse) / (2**2 - 1)  # a corner singularity: less than the full order four
    lines = [f"ν = {options.poisson}, energy {truth:.2f} J by extrapolation; {machine_line()}", "",
             "| element | cells | unknowns | energy J | off | Newton | linear | s |", "|" + "---|" * 8]  # fmt: skip
    print("\n".join(lines))
    for element in FINEST:
        for cells in options.cells:
            if cells > FINEST[element]:
                continue
            row = energy(cells, element, options.poisson)
            lines.append(
                f"| {element} | {cells} | {row['unknowns']} | {row['energy']:.2f} | {row['energy'] / truth - 1:+.2%} "
                f"| {row['newton']} | {row['linear']} | {row['seconds']:.2f} |"
            )
            print(lines[-1], flush=True)
    if options.write:
        RESULTS.write_text("# Tetrahedra against locking\n\n" + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
