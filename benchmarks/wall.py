"""The vessel wall: how surely it meshes, and how far its numbers depend on the mesh.

    .venv/bin/python benchmarks/wall.py [--edges 3.5 2.5 1.8] [--element T4] [--write]

Stress and displacement of the phantom's aneurysm (true labels, scan taken as free of load) at several edge lengths; the
thinnest branch is the same in all, so that the anatomy is. One thread: set OPENBLAS_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from machine_line import machine_line

from preop.imaging.phantom import PhantomParameters, make_phantom
from preop.imaging.progress import silent
from preop.imaging.volume import LabelMap

RESULTS = Path(__file__).with_name("results") / "wall.md"
HEADER = (
    "| labels | element | edge mm | elements | mesh s | solve s | wall stress median / p99 / peak kPa "
    "| with bending p99 | displacement largest / mean mm |\n|---|---|---|---|---|---|---|---|---|"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--edges", type=float, nargs="+", default=[3.5, 2.5, 1.8])
    parser.add_argument("--element", choices=("T4", "T10"), default="T4")
    parser.add_argument("--size", type=int, nargs="+", default=[128, 256], help="voxels of the phantom along each axis")
    parser.add_argument("--write", action="store_true", help=f"also write {RESULTS.name}")
    arguments = parser.parse_args()

    import jax

    jax.config.update("jax_enable_x64", True)
    lines = [machine_line(), "", HEADER]
    print("\n".join(lines))
    for size in arguments.size:
        labels = make_phantom(PhantomParameters(shape=(size,) * 3, phase="arterial", noise_hu=0.0)).labels
        for line in rows(labels, f"phantom {size}³", arguments.edges, arguments.element):
            print(line, flush=True)
            lines.append(line)
    if arguments.write:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text("\n".join(["# The vessel wall by edge length", "", *lines, ""]), encoding="utf-8")


def rows(labels: LabelMap, name: str, edges: list[float], element: Literal["T4", "T10"]) -> Iterator[str]:
    """One line of the table per edge length."""
    from preop.meshing.wall import vessel_wall
    from preop.scenes.procedures.solving import element_fields
    from preop.scenes.procedures.vessel_wall import VesselWallOptions, pressurised
    from preop.scenes.procedures.wall_measures import wall_numbers
    from preop.scenes.procedures.wall_stress import wall_fields
    from preop.scenes.schema import Patient, SolverOptions

    for edge in edges:
        options = VesselWallOptions(edge_length_mm=edge, scan_pressure_mmHg=0.0)
        start = time.perf_counter()
        mesh = vessel_wall(labels, thickness_mm=options.wall_thickness_mm, layers=options.layers, edge_length_mm=edge,
                           least_radius_mm=max(edges))  # fmt: skip
        meshed = time.perf_counter() - start
        patient = Patient()
        solver = SolverOptions(element=element, load_steps=2)
        wall = pressurised(options, mesh, patient, solver, silent)
        solved = time.perf_counter() - start - meshed
        model = wall.problem.model
        read = wall_fields(mesh, model, element_fields(model, wall.solution))
        found = {n.key: n.value for n in wall_numbers(mesh, wall, read, options, labels, patient.systolic_mmHg)}
        stress = " / ".join(f"{found[f'wall_stress_{key}_kPa']:.1f}" for key in ("median", "p99", "peak"))
        moved = " / ".join(f"{found[f'wall_displacement_{key}_mm']:.2f}" for key in ("max", "mean"))
        bending = f"{found['wall_stress_bending_p99_kPa']:.1f}"
        yield (f"| {name} | {element} | {edge:g} | {len(mesh.tetrahedra)} | {meshed:.1f} | {solved:.0f} "
               f"| {stress} | {bending} | {moved} |")  # fmt: skip


if __name__ == "__main__":
    main()
