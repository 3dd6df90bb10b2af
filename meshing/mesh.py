"""`SurfaceMesh`, `TetMesh`, `HexMesh` and `Embedding`: plain arrays that the engine may import. numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import MeshError

OUTWARD = np.array([[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]])
"""Corners of the facet opposite each corner of a positive tetrahedron, normal outward."""
HEXAHEDRON_FACES = np.array([[0, 3, 2, 1], [4, 5, 6, 7], [0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7]])
"""Corners of each face of a positive hexahedron, counter-clockwise seen from outside."""


@dataclass(frozen=True, eq=False)
class SurfaceMesh:
    """A triangulated surface.

    Attributes:
        points: (V, 3) float64, LPS mm.
        triangles: (F, 3) int32, counter-clockwise seen from outside (normals point outward).
        regions: (F, 2) int32, label id inside and outside each face; 0 is the outside.
        name: the segment or group it bounds.
        fields: point or cell data by name, (V, ...) or (F, ...).
    """

    points: NDArray[np.float64]
    triangles: NDArray[np.int32]
    regions: NDArray[np.int32] | None = None
    name: str = ""
    fields: Mapping[str, NDArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "points", _real(self.points, "points", self.name or "surface"))
        object.__setattr__(self, "triangles", _whole(self.triangles, "triangles", self.name or "surface"))
        _check_connectivity(self.points, self.triangles, 3, self.name or "surface")

    @property
    def volume(self) -> float:
        """Enclosed volume in mm³ by the divergence theorem; positive when normals point outward."""
        a, b, c = (self.points[self.triangles[:, i]] for i in range(3))
        return float(np.einsum("ij,ij->", a, np.cross(b, c)) / 6.0)

    @property
    def areas(self) -> NDArray[np.float64]:
        """(F,) mm²."""
        a, b, c = (self.points[self.triangles[:, i]] for i in range(3))
        return np.linalg.norm(np.cross(b - a, c - a), axis=1) / 2.0


@dataclass(frozen=True, eq=False)
class TetMesh:
    """A conforming tetrahedral mesh with regions.

    Attributes:
        points: (N, 3) float64, LPS mm.
        tetrahedra: (E, 4) int32, every one of positive volume (b−a, c−a, d−a right-handed).
        region: (E,) int32 label id.
        region_names: label id → segment name.
        facet_sets: name → (F, 3) int32 triangles of nodes, normals outward.
        node_sets: name → (n,) int32 node indices.

    Raises:
        MeshError: a node index out of range, or a tetrahedron of zero or negative volume.
    """

    points: NDArray[np.float64]
    tetrahedra: NDArray[np.int32]
    region: NDArray[np.int32]
    region_names: Mapping[int, str] = field(default_factory=dict)
    facet_sets: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)
    node_sets: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _settle(self, "tetrahedra", 4)
        bad = np.logical_not(self.volumes > 0)
        advice = "Remesh, or swap two nodes where the volume is negative"
        _refuse(self, bad, "tetrahedra have no positive volume", advice)

    @property
    def cells(self) -> NDArray[np.int32]:
        """The tetrahedra."""
        return self.tetrahedra

    @property
    def volumes(self) -> NDArray[np.float64]:
        """(E,) signed volumes in mm³."""
        return signed_volumes(self.points, self.tetrahedra)


@dataclass(frozen=True, eq=False)
class HexMesh:
    """A conforming mesh of hexahedra with regions.

    Attributes:
        points: (N, 3) float64, LPS mm.
        hexahedra: (E, 8) int32: the lower square counter-clockwise seen from above, then the upper, as in VTK and Gmsh.
        region: (E,) int32 label id.
        region_names: label id → segment name.
        facet_sets: name → (F, 4) int32 quadrangles of nodes, normals outward.
        node_sets: name → (n,) int32 node indices.

    Raises:
        MeshError: a node index out of range, or a hexahedron that is turned inside out at one of its 2 × 2 × 2 Gauss
            points.
    """

    points: NDArray[np.float64]
    hexahedra: NDArray[np.int32]
    region: NDArray[np.int32]
    region_names: Mapping[int, str] = field(default_factory=dict)
    facet_sets: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)
    node_sets: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _settle(self, "hexahedra", 8)
        bad = np.logical_not((hexahedron_jacobians(self.points[self.hexahedra]) > 0).all(axis=1))
        advice = "Number the lower face counter-clockwise seen from the upper one, or remesh"
        _refuse(self, bad, "hexahedra are turned inside out", advice)

    @property
    def cells(self) -> NDArray[np.int32]:
        """The hexahedra."""
        return self.hexahedra

    @property
    def volumes(self) -> NDArray[np.float64]:
        """(E,) volumes in mm³."""
        return hexahedron_jacobians(self.points[self.hexahedra]).sum(axis=1)


def hexahedron_jacobians(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """(E, 8) det ∂X/∂ξ of trilinear hexahedra (E, 8, 3) at their 2 × 2 × 2 Gauss points; their sum is the volume."""
    square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    sign = np.concatenate([np.insert(square, 2, side, axis=1) for side in (-1, 1)]).astype(float)
    factor = 1 + sign[:, None] * sign / np.sqrt(3.0)  # (points, corners, 3)
    others = [factor[..., [1, 2]], factor[..., [0, 2]], factor[..., [0, 1]]]
    gradient = sign * np.stack([pair.prod(axis=2) for pair in others], axis=2) / 8
    return np.linalg.det(np.einsum("qad,eai->eqid", gradient, corners))


def signed_volumes(points: NDArray[np.float64], tetrahedra: NDArray[np.integer]) -> NDArray[np.float64]:
    """(E,) volumes of tetrahedra (E, 4) over points (N, 3), in the points' unit cubed; negative where turned round."""
    return corner_volumes(points[tetrahedra])


def corner_volumes(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """(E,) signed volumes of tetrahedra given by their corners (E, 4, 3)."""
    a, b, c, d = (corners[:, i] for i in range(4))
    return np.einsum("ij,ij->i", b - a, np.cross(c - a, d - a)) / 6.0


@dataclass(frozen=True, eq=False)
class Embedding:
    """Visual vertices carried by tetrahedra: x = Σ weights · nodes of the carrier.

    Attributes:
        carrier: (V,) int32 tetrahedron that carries each vertex.
        weights: (V, 4) float64 barycentric coordinates; rows sum to 1, and may be
            slightly negative for a vertex just outside the tetrahedra.
        distance: (V,) float64 mm from the vertex to its carrier (0 inside).
    """

    carrier: NDArray[np.int32]
    weights: NDArray[np.float64]
    distance: NDArray[np.float64]

    def apply(self, tetrahedra: NDArray[np.int32], nodal: NDArray) -> NDArray:
        """Interpolate a nodal field (N, ...) to the visual vertices (V, ...)."""
        corners = nodal[tetrahedra[self.carrier]]
        return np.einsum("vc,vc...->v...", self.weights, corners)


def _real(values: object, what: str, where: str) -> NDArray[np.float64]:
    """The values as floats; complex numbers and words are refused."""
    found = np.asarray(values)
    if found.dtype.kind not in "fiub":
        raise MeshError(f"{what} are of type {found.dtype}, not real numbers", where=where)
    return np.ascontiguousarray(found, dtype=np.float64)


def _whole(values: object, what: str, where: str) -> NDArray[np.int32]:
    """The values as whole numbers; fractions are refused, not cut off."""
    found = np.asarray(values)
    if found.dtype.kind not in "iub" and not (found.dtype.kind == "f" and (found == np.round(found)).all()):
        raise MeshError(f"{what} are not whole numbers", where=where, advice="Give node indices from 0")
    return np.ascontiguousarray(found, dtype=np.int32)


def _settle(mesh: TetMesh | HexMesh, cells: str, corners: int) -> None:
    """Points, cells and region labels as arrays of their kind that fit each other.

    Raises:
        MeshError: they are no numbers of that kind, or do not fit.
    """
    where = "tetrahedral mesh" if corners == 4 else "hexahedral mesh"
    object.__setattr__(mesh, "points", _real(mesh.points, "points", where))
    object.__setattr__(mesh, cells, _whole(getattr(mesh, cells), cells, where))
    object.__setattr__(mesh, "region", _whole(mesh.region, "region labels", where))
    _check_connectivity(mesh.points, mesh.cells, corners, where)
    if mesh.region.shape != (len(mesh.cells),):
        raise MeshError(f"{len(mesh.cells)} {cells} but {mesh.region.shape} region labels")


def _refuse(mesh: TetMesh | HexMesh, bad: NDArray, what: str, advice: str) -> None:
    """Names how many cells are bad, the first and its place."""
    if bad.any():
        first = int(np.argmax(bad))
        at = np.round(mesh.points[mesh.cells[first]].mean(axis=0), 2)
        raise MeshError(f"{bad.sum()} {what}, the first is element {first} at {at} mm", advice=advice)


def _check_connectivity(points: NDArray, cells: NDArray, corners: int, where: str) -> None:
    if points.ndim != 2 or points.shape[1] != 3:
        raise MeshError(f"points must be (N, 3), not {points.shape}", where=where)
    if cells.ndim != 2 or cells.shape[1] != corners:
        raise MeshError(f"cells must be (n, {corners}), not {cells.shape}", where=where)
    if not np.isfinite(points).all():
        bad = int(np.flatnonzero(~np.isfinite(points).all(axis=1))[0])
        raise MeshError(f"point {bad} is not finite", where=where, advice="Look for NaN in the input")
    if cells.size and (cells.min() < 0 or cells.max() >= len(points)):
        raise MeshError(f"a cell names node {int(cells.max())} of {len(points)}", where=where)
