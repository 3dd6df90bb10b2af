"""What is wrong with a surface, in words, and what can be put right."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import MeshError
from .connectivity import without_unused
from .crossings import crossing_faces
from .mesh import SurfaceMesh
from .smoothing import component_volumes, components


@dataclass(frozen=True)
class SurfaceReport:
    """The state of a triangle surface.

    Attributes:
        triangles: number of faces.
        open_edges: edges of one face only.
        non_manifold_edges: edges of more than two faces.
        inconsistent_edges: edges that both their faces run along in the same direction.
        degenerate: faces without area or with a repeated corner.
        components: connected pieces.
        inverted: closed pieces that are inside out and no cavity.
        self_intersections: pairs of faces that cross, −1 where not looked for.
        volume_mm3: enclosed; meaningless unless closed.
    """

    triangles: int
    open_edges: int
    non_manifold_edges: int
    inconsistent_edges: int
    degenerate: int
    components: int
    inverted: int
    self_intersections: int
    volume_mm3: float

    @property
    def closed(self) -> bool:
        """True for a watertight, consistently oriented manifold."""
        return not (self.open_edges or self.non_manifold_edges or self.inconsistent_edges or self.degenerate)

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong, in words."""
        found = (
            (self.open_edges, "open edges"),
            (self.non_manifold_edges, "edges with more than two faces"),
            (self.inconsistent_edges, "edges between faces of opposite orientation"),
            (self.degenerate, "faces without area"),
            (self.inverted, "pieces turned inside out"),
            (max(self.self_intersections, 0), "pairs of faces that cross"),
        )
        return tuple(f"{number} {words}" for number, words in found if number)


def check_surface(surface: SurfaceMesh, *, self_intersections: bool = False) -> SurfaceReport:
    """Look for everything that would spoil a simulation.

    Args:
        surface: any triangles.
        self_intersections: also look for crossing faces (seconds for 100k faces).
    """
    points, triangles = surface.points, surface.triangles
    start, stop = triangles.ravel().astype(np.int64), np.roll(triangles, -1, axis=1).ravel().astype(np.int64)
    count = len(points)
    _, uses = np.unique(np.minimum(start, stop) * count + np.maximum(start, stop), return_counts=True)
    _, same_way = np.unique(start * count + stop, return_counts=True)
    repeated = (triangles == np.roll(triangles, 1, axis=1)).any(axis=1)
    number, component = components(triangles, count) if len(triangles) else (0, np.empty(0, dtype=np.int32))
    present = np.unique(component[triangles.ravel()]) if len(triangles) else np.empty(0)
    inverted = 0
    if len(triangles) and (uses == 2).all() and (same_way == 1).all():
        inverted = _inverted(points, triangles, component, number)
    return SurfaceReport(
        len(triangles), int((uses == 1).sum()), int((uses > 2).sum()), int((same_way > 1).sum()),
        int((repeated | (surface.areas <= 1e-12 * max(float(surface.areas.mean()), 1e-300))).sum()),
        len(present), inverted, len(crossing_faces(points, triangles)) if self_intersections else -1, surface.volume,
    )  # fmt: skip


def repaired(surface: SurfaceMesh) -> SurfaceMesh:
    """Orient the faces alike and outward, drop degenerate and repeated ones, and close small flat holes.

    Raises:
        MeshError: it still is not closed; the message says what is wrong.
    """
    import trimesh

    mesh = trimesh.Trimesh(surface.points, surface.triangles, process=True)
    mesh.update_faces(mesh.nondegenerate_faces() & mesh.unique_faces())
    mesh.fill_holes()
    mesh.fix_normals()
    points, triangles = without_unused(np.asarray(mesh.vertices), np.asarray(mesh.faces, dtype=np.int32))
    fixed = SurfaceMesh(points, triangles, None, surface.name)
    report = check_surface(fixed)
    if not report.closed:
        raise MeshError(f"the surface cannot be repaired: {', '.join(report.faults)}", where=surface.name,
                        advice="Repair it in a mesh editor, or make it anew from labels")  # fmt: skip
    return fixed


def require_closed(surface: SurfaceMesh) -> SurfaceReport:
    """Raise MeshError unless the surface is closed, manifold and oriented outward."""
    report = check_surface(surface)
    if not report.closed or report.inverted:
        raise MeshError(f"the surface is not closed: {', '.join(report.faults)}", where=surface.name,
                        advice="Try check.repaired, or make it anew from labels")  # fmt: skip
    return report


def _inverted(points: NDArray, triangles: NDArray, component: NDArray, number: int) -> int:
    """Negative pieces that lie in no positive one's bounding box: a cavity lies in one."""
    volumes = component_volumes(points, triangles, component, number)
    low, high = np.full((number, 3), np.inf), np.full((number, 3), -np.inf)
    np.minimum.at(low, component, points)
    np.maximum.at(high, component, points)
    solids = np.flatnonzero(volumes > 0)
    return sum(
        not any((low[s] <= low[p]).all() and (high[s] >= high[p]).all() for s in solids)
        for p in np.flatnonzero(volumes < 0)
    )
