"""Element quality of tetrahedra: radius ratio, dihedral angles, edges, volumes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .mesh import TetMesh, corner_volumes

RADIUS_RATIO_BINS = np.linspace(0.0, 1.0, 21)
DIHEDRAL_BINS = np.linspace(0.0, 180.0, 37)
POOR_RADIUS_RATIO = 0.1
POOR_DIHEDRAL_DEG = 5.0


@dataclass(frozen=True, eq=False)
class QualityTable:
    """Quality of every tetrahedron, and what a report shows of it.

    Attributes:
        radius_ratio: (E,) 3·inradius/circumradius in [0, 1]; 1 for the regular tetrahedron, 0 for a flat one.
        minimum_dihedral: (E,) deg; 70.53 for the regular tetrahedron.
        maximum_dihedral: (E,) deg.
        shortest_edge: (E,) mm.
        longest_edge: (E,) mm.
        volume: (E,) mm³.
        mean_edge_mm: over the mesh's distinct edges.
        centroid: (E,) mm of the elements, to point at the worst.
        region: (E,) region ids.
        region_names: id → name.
    """

    radius_ratio: NDArray[np.float64]
    minimum_dihedral: NDArray[np.float64]
    maximum_dihedral: NDArray[np.float64]
    shortest_edge: NDArray[np.float64]
    longest_edge: NDArray[np.float64]
    volume: NDArray[np.float64]
    mean_edge_mm: float
    centroid: NDArray[np.float64]
    region: NDArray[np.int32]
    region_names: Mapping[int, str]

    def histogram(self, measure: str = "radius_ratio") -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Counts (n,) and bin edges (n + 1,) of "radius_ratio", "minimum_dihedral" or "maximum_dihedral"."""
        bins = RADIUS_RATIO_BINS if measure == "radius_ratio" else DIHEDRAL_BINS
        counts, edges = np.histogram(getattr(self, measure), bins=bins)
        return counts, edges

    def worst(self, count: int = 10) -> list[dict[str, object]]:
        """The elements of smallest radius ratio: index, where (LPS mm), measures and region."""
        order = np.argsort(self.radius_ratio, kind="stable")[:count]
        return [
            {
                "element": int(e),
                "at_mm": [round(float(x), 2) for x in self.centroid[e]],
                "radius_ratio": float(self.radius_ratio[e]),
                "minimum_dihedral_deg": float(self.minimum_dihedral[e]),
                "region": self.region_names.get(int(self.region[e]), str(self.region[e])),
            }
            for e in order
        ]

    def below(self, *, radius_ratio: float = POOR_RADIUS_RATIO, dihedral_deg: float = POOR_DIHEDRAL_DEG) -> int:
        """Number of elements under either threshold."""
        return int(((self.radius_ratio < radius_ratio) | (self.minimum_dihedral < dihedral_deg)).sum())

    def summary(self) -> dict[str, float | int]:
        """The numbers of the report's quality table; lengths mm, angles deg, volumes mm³."""
        ratio, angle = self.radius_ratio, self.minimum_dihedral
        return {
            "tetrahedra": len(ratio),
            "radius_ratio_min": float(ratio.min()),
            "radius_ratio_p01": float(np.percentile(ratio, 1)),
            "radius_ratio_mean": float(ratio.mean()),
            "dihedral_min_deg": float(angle.min()),
            "dihedral_p01_deg": float(np.percentile(angle, 1)),
            "dihedral_min_mean_deg": float(angle.mean()),
            "dihedral_max_deg": float(self.maximum_dihedral.max()),
            "edge_min_mm": float(self.shortest_edge.min()),
            "edge_mean_mm": self.mean_edge_mm,
            "edge_max_mm": float(self.longest_edge.max()),
            "volume_min_mm3": float(self.volume.min()),
            "volume_mm3": float(self.volume.sum()),
            "poor": self.below(),
        }


def quality(mesh: TetMesh) -> QualityTable:
    """The quality table of a mesh."""
    corners = mesh.points[mesh.tetrahedra]
    angles = dihedral_angles(corners)
    edges = edge_lengths(corners)
    pairs = np.sort(mesh.tetrahedra[:, _EDGES].reshape(-1, 2), axis=1)
    distinct = np.unique(pairs, axis=0)
    mean_edge = np.linalg.norm(mesh.points[distinct[:, 0]] - mesh.points[distinct[:, 1]], axis=1).mean()
    return QualityTable(
        radius_ratio(corners), angles.min(axis=1), angles.max(axis=1), edges.min(axis=1), edges.max(axis=1),
        mesh.volumes, float(mean_edge), corners.mean(axis=1), mesh.region, dict(mesh.region_names),
    )  # fmt: skip


_EDGES = np.array([[0, 1], [0, 2], [0, 3], [1, 2], [1, 3], [2, 3]])


def edge_lengths(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """(E, 6) of tetrahedra (E, 4, 3), in the order 01 02 03 12 13 23."""
    return np.linalg.norm(corners[:, _EDGES[:, 0]] - corners[:, _EDGES[:, 1]], axis=2)


def radius_ratio(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """(E,) 3 r/R of tetrahedra (E, 4, 3).

    r = 3V/A with the facets' total area A; 24 V R = √((a+b+c)(a+b−c)(a−b+c)(−a+b+c)) with
    a, b, c the products of opposite edges (Crelle's formula; Liu and Joe 1994 for the measure).
    """
    volume = np.abs(corner_volumes(corners))
    area = np.linalg.norm(_facet_vectors(corners), axis=2).sum(axis=1) / 2.0
    edge = edge_lengths(corners)
    a, b, c = edge[:, 0] * edge[:, 5], edge[:, 1] * edge[:, 4], edge[:, 2] * edge[:, 3]
    crelle = np.sqrt(np.maximum((a + b + c) * (a + b - c) * (a - b + c) * (-a + b + c), 0.0))
    # 3 r/R = 3 · (3V/A) · 24V / crelle
    below = area * crelle
    ratio = np.divide(216.0 * volume**2, below, out=np.zeros_like(volume), where=below > 0)
    return np.clip(ratio, 0.0, 1.0)


def dihedral_angles(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """(E, 6) deg, the angle between the two facets that meet in each edge (edges 23 13 12 03 02 01)."""
    normal = _facet_vectors(corners)
    length = np.linalg.norm(normal, axis=2, keepdims=True)
    unit = np.divide(normal, length, out=np.zeros_like(normal), where=length > 0)
    first, second = _EDGES.T
    cosine = -np.einsum("epi,epi->ep", unit[:, first], unit[:, second])
    return np.degrees(np.arccos(np.clip(cosine, -1.0, 1.0)))


def _facet_vectors(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """(E, 4, 3) twice the facet areas as vectors, outward for a positive tetrahedron, opposite each corner."""
    a, b, c, d = (corners[:, i] for i in range(4))
    return np.stack(
        [np.cross(c - b, d - b), np.cross(d - a, c - a), np.cross(b - a, d - a), np.cross(c - a, b - a)], axis=1
    )
