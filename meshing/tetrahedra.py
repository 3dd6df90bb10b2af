"""Label maps to conforming tetrahedra of several regions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import MeshError
from ..imaging.progress import Progress, part, silent
from ..imaging.volume import LabelMap
from .classify import facet_neighbours, largest_pieces, region_of_tetrahedra, tidy_regions
from .fitting import fit_volumes
from .inclusions import Inclusion, inclusions
from .interfaces import Interfaces, smooth_interfaces
from .mesh import TetMesh, signed_volumes
from .pieces import label_pieces
from .regions import lattice_of, region_map
from .sets import with_region_sets
from .sizing import fine_at
from .targets import volume_targets
from .tetwild import fill

TETRAHEDRA_PER_CUBE = 20.0
"""Tetrahedra per cube of the edge length: 6√2 for regular ones, more beside interfaces. Measured on two livers with
tumours and vessels at 20 to 100 thousand elements: 19 to 22; from 12 the first mesh had half as many too many."""
LATTICE_PER_EDGE = 0.4
"""Lattice spacing over edge length: interfaces are seen finer than the elements."""
EPSILON_PER_EDGE = 0.1


def tetrahedralize(
    labels: LabelMap,
    regions: Mapping[str, Sequence[str]] | Sequence[str],
    *,
    target_tetrahedra: int | None = None,
    edge_length_mm: float | None = None,
    epsilon_mm: float | None = None,
    tolerance: float = 0.2,
    timeout: float = 1200.0,
    threads: int = 0,
    memory_limit_bytes: int = 0,
    seed: int = 0,
    progress: Progress = silent,
) -> TetMesh:
    """Conforming tetrahedra of one or several regions that share their interfaces' nodes.

    Args:
        labels: the label map.
        regions: segment names, or region name → segments. A part named beside its whole
            (liver, liver_tumor) is a region of its own inside it.
        target_tetrahedra: wanted number, met within `tolerance`; or
        edge_length_mm: wanted edge length. Exactly one of the two.
        epsilon_mm: how far the mesh's interfaces may lie from the smoothed labels'; None: a tenth of the edge.
        tolerance: relative, for `target_tetrahedra`.
        timeout: seconds for all of it.
        threads: of fTetWild; 0 for all.
        memory_limit_bytes: of fTetWild's process; 0 for none.
        seed: of fTetWild's shuffles; the same labels and seed give the same mesh (on 64-bit Linux).
        progress: told of the steps and of the seconds elapsed.

    Returns:
        TetMesh with the facet sets of `sets.with_region_sets`. See `fidelity` for the regions' volumes.

    Raises:
        SegmentationError: a region has no voxel.
        MeshError: the arguments contradict each other, a region is too small for the
            edge length, or fTetWild fails, takes too long or too much memory.
    """
    if (target_tetrahedra is None) == (edge_length_mm is None):
        raise MeshError("give either a number of tetrahedra or an edge length", where="tetrahedralize")
    deadline = time.monotonic() + timeout

    def attempt(edge: float, inner: Progress) -> TetMesh:
        left = max(deadline - time.monotonic(), 1.0)
        return _mesh_once(
            labels, regions, edge, epsilon_mm,
            lambda p, t, **k: fill(
                p, t, timeout=left, threads=threads, memory_limit_bytes=memory_limit_bytes, seed=seed,
                progress=inner, **k
            ), inner,
        )  # fmt: skip

    if edge_length_mm is not None:
        if not edge_length_mm > 0:
            raise MeshError(f"an edge length of {edge_length_mm} mm is not positive", where="tetrahedralize")
        return attempt(edge_length_mm, progress)
    assert target_tetrahedra is not None
    if target_tetrahedra < 20:
        raise MeshError(f"{target_tetrahedra} tetrahedra are too few for a shape", where="tetrahedralize")
    return _to_count(labels, regions, target_tetrahedra, tolerance, attempt, progress)


def _to_count(labels, regions, target: int, tolerance: float, attempt: Callable, progress: Progress) -> TetMesh:
    """Correct the edge length by the count it gave: n ∝ h⁻³, or the slope of the last two tries."""
    volume = float((region_map(labels, regions)[0] > 0).sum() * labels.grid.voxel_volume)
    edge = (TETRAHEDRA_PER_CUBE * volume / target) ** (1 / 3)
    tries: list[tuple[float, int, TetMesh]] = []
    for number in range(5):
        mesh = attempt(edge, _of_try(number + 1, part(progress, number / 5, (number + 1) / 5)))
        count = len(mesh.tetrahedra)
        if abs(count / target - 1) <= tolerance:
            return mesh
        tries.append((edge, count, mesh))
        slope = 3.0
        if len(tries) > 1:
            (h0, n0, _), (h1, n1, _) = tries[-2:]
            slope = float(np.clip(np.log(n0 / n1) / np.log(h1 / h0), 1.5, 4.0)) if h0 != h1 and n0 != n1 else 3.0
        edge *= float(np.clip(count / target, 1 / 30, 30)) ** (1 / slope)
    closest = min(tries, key=lambda t: abs(np.log(t[1] / target)))
    raise MeshError(
        f"{target} tetrahedra were asked for, and the closest of {len(tries)} tries gave {closest[1]}",
        advice=f"Give edge_length_mm (about {closest[0]:.2g} mm) or another number",
    )


def _of_try(number: int, progress: Progress) -> Progress:
    """Say which try it is from the second on, whose seconds count from 0 again."""

    def say(fraction: float | None, message: str) -> None:
        progress(fraction, f"try {number}, {message}")

    return say if number > 1 else progress


def _mesh_once(labels, regions, edge: float, epsilon_mm: float | None, filler: Callable, progress: Progress) -> TetMesh:
    progress(0.0, f"surfaces between the parts, edge length {edge:.3g} mm")
    mapped, names = region_map(labels, regions)
    known = label_pieces(mapped, labels.grid)
    largest = max(names, key=lambda i: known.volume[known.region == i].sum())
    small, around = inclusions(mapped, known, edge, [i for i in names if i != largest])
    lattice = lattice_of(around, names, labels.grid, LATTICE_PER_EDGE * edge)
    shown = {piece.region for piece in small} | set(np.unique(lattice.labels).tolist())
    missing = [name for i, name in names.items() if i not in shown]
    if missing:
        raise MeshError(
            f"an edge length of {edge:.3g} mm is too coarse for {', '.join(missing)}", advice="Ask for more tetrahedra"
        )
    surface = smooth_interfaces(lattice)
    epsilon = EPSILON_PER_EDGE * edge if epsilon_mm is None else epsilon_mm
    soup, triangles = _soup(surface, small)
    points, tetrahedra = filler(
        soup, triangles, edge_length_mm=edge, epsilon_mm=epsilon, keep_outside=True, sizing=fine_at(small, edge)
    )
    progress(0.95, "which part each one belongs to")
    mesh = assemble(points, tetrahedra, surface, names, small=small, resolution_mm=edge / 12, epsilon_mm=epsilon)
    return fit_volumes(mesh, volume_targets(mesh, mapped, known, lattice, small), limit_mm=0.5 * epsilon)


def _soup(surface: Interfaces, small: Sequence[Inclusion]) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
    """The interfaces and the small pieces' surfaces as one set of triangles."""
    points, triangles, count = [surface.points], [surface.triangles], len(surface.points)
    for piece in small:
        points.append(piece.points)
        triangles.append(piece.triangles + np.int32(count))
        count += len(piece.points)
    return np.concatenate(points), np.concatenate(triangles)


def assemble(
    points: NDArray[np.float64], tetrahedra: NDArray[np.int32], surface: Interfaces, names: Mapping[int, str],
    *, small: Sequence[Inclusion] = (), resolution_mm: float, epsilon_mm: float,
) -> TetMesh:  # fmt: skip
    """Regions, the pieces that count, no unused node, and the facet sets.

    Raises:
        MeshError: a region without an element: it lies whole within `epsilon_mm` of its interfaces.
    """
    cell = min([resolution_mm, *(piece.edge_mm / 3 for piece in small)])
    region = region_of_tetrahedra(points, tetrahedra, surface.closed(), resolution_mm=cell, small=small)
    neighbours = facet_neighbours(tetrahedra)
    region = tidy_regions(region, neighbours)
    lost = sorted(set(names) - set(np.unique(region).tolist()))
    if lost:
        told = ", ".join(names[i] for i in lost)
        raise MeshError(
            f"a mesh free to stray by {epsilon_mm:.3g} mm shows nothing of {told}",
            advice="Ask for more tetrahedra, or for a smaller epsilon_mm",
        )
    kept = largest_pieces(region, neighbours, signed_volumes(points, tetrahedra), share=1e-3)
    if not kept.any():
        raise MeshError("no tetrahedron lies inside the regions", advice="The edge length is too coarse")
    used, renumbered = np.unique(tetrahedra[kept], return_inverse=True)
    mesh = TetMesh(points[used], renumbered.reshape(-1, 4).astype(np.int32), region[kept], dict(names))
    return with_region_sets(mesh)
