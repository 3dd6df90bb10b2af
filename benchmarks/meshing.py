"""Time, memory and fidelity of meshing on the phantom or on a label map, as a table with the machine.

    .venv/bin/python benchmarks/meshing.py [--labels PATH] [--counts 20000 60000] [--size 128] [--skip-wall] [--write]

Surfaces, tetrahedra by count, embedding, and the aortic wall. Every row runs in a process
of its own, so that its peak memory (the mesher's child included) is its own.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import time
from collections.abc import Callable
from pathlib import Path

from machine_line import machine_line

from preop.imaging.volume import LabelMap

RESULTS = Path(__file__).parent / "results"
REGIONS = ("liver", "liver_tumor", "liver_vessels")
Row = tuple[str, str, float, float]


def main() -> None:
    """Print the table, and keep it with --write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, help="a label map or a folder of masks; the phantom without it")
    parser.add_argument("--counts", type=int, nargs="+", default=[20_000, 60_000])
    parser.add_argument("--size", type=int, default=128, help="of the phantom, voxels along each axis")
    parser.add_argument("--skip-wall", action="store_true")
    parser.add_argument("--write", action="store_true", help="keep the table in benchmarks/results/")
    arguments = parser.parse_args()
    source = (arguments.labels, arguments.size)
    jobs: list[tuple[Callable, tuple]] = [(_surfaces, (None,)), (_surfaces, (3.0,))]
    jobs += [(_tetrahedra, (count,)) for count in arguments.counts]
    jobs += [] if arguments.skip_wall else [(_wall, ())]
    rows = [_apart(job, source, values) for job, values in jobs]
    text = _table(rows, str(arguments.labels.name) if arguments.labels else f"phantom {arguments.size}³")
    print(text)
    if arguments.write:
        (RESULTS / "meshing.md").write_text(text + "\n", encoding="utf-8")


def _labels(source: tuple[Path | None, int]) -> LabelMap:
    path, size = source
    if path is not None:
        from preop.imaging.labelfile import read_labels

        return read_labels(path)
    from preop.imaging.phantom import PhantomParameters, make_phantom

    return make_phantom(PhantomParameters(shape=(size, size, size))).labels


def _surfaces(labels: LabelMap, edge: float | None) -> tuple[str, str]:
    from preop.meshing.surface import surfaces_from_labels

    names = [n for n in ("liver", "liver_tumor", "liver_vessels", "aorta") if labels.mask(n).any()]
    made = surfaces_from_labels(labels, names, edge_length_mm=edge)
    voxel = labels.grid.voxel_volume
    worst = max(abs(s.volume / (labels.mask(n).sum() * voxel) - 1) for n, s in made.items())
    faces = sum(len(s.triangles) for s in made.values())
    return f"{len(made)} surfaces, edge {edge or 'as voxels'}", f"{faces} triangles, volume within {worst:.1e}"


def _tetrahedra(labels: LabelMap, count: int) -> tuple[str, str]:
    from preop.meshing.embedding import embed
    from preop.meshing.fidelity import fidelity
    from preop.meshing.quality import quality
    from preop.meshing.surface import surface_from_mask
    from preop.meshing.tetrahedra import tetrahedralize

    regions = [n for n in REGIONS if labels.mask(n).any()]
    mesh = tetrahedralize(labels, regions, target_tetrahedra=count)
    table = quality(mesh).summary()
    surface = surface_from_mask(labels.mask("liver"), labels.grid, edge_length_mm=2.0)
    start = time.perf_counter()
    embedding = embed(surface.points, mesh)
    took = time.perf_counter() - start
    errors = ", ".join(
        f"{f.name} {f.relative_error:+.1%} ({f.pieces - len(f.lost)} of {f.pieces} pieces)"
        for f in fidelity(mesh, labels, regions)
    )
    return f"tetrahedra, {count} asked", (
        f"{len(mesh.tetrahedra)} made; {errors}; dihedral ≥ {table['dihedral_min_deg']:.1f}°, "
        f"mean radius ratio {table['radius_ratio_mean']:.2f}; {len(surface.points)} vertices embedded in {took:.1f} s, "
        f"at most {embedding.distance.max():.2f} mm outside"
    )


def _wall(labels: LabelMap) -> tuple[str, str]:
    from preop.meshing.quality import quality
    from preop.meshing.wall import vessel_wall

    mesh = vessel_wall(labels)
    table = quality(mesh).summary()
    return "aortic wall", f"{len(mesh.tetrahedra)} tetrahedra, {len(mesh.node_sets)} ends, " + (
        f"dihedral ≥ {table['dihedral_min_deg']:.1f}°"
    )


def _apart(job: Callable, source: tuple[Path | None, int], values: tuple) -> Row:
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_timed, (job, source, values))


def _timed(job: Callable, source: tuple[Path | None, int], values: tuple) -> Row:
    labels = _labels(source)
    start = time.perf_counter()
    what, result = job(labels, *values)
    peak = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return what, result, time.perf_counter() - start, peak / 1024


def _table(rows: list[Row], patient: str) -> str:
    lines = [
        f"# Meshing of {patient}",
        "",
        machine_line(),
        "",
        "| what | result | s | peak MiB |",
        "|---|---|---:|---:|",
    ]
    return "\n".join([*lines, *(f"| {what} | {result} | {s:.1f} | {peak:.0f} |" for what, result, s, peak in rows)])


if __name__ == "__main__":
    main()
