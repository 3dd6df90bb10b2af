"""Which region each voxel belongs to, and the label lattice that tetrahedra are built from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..imaging.anatomy import SEGMENTS
from ..imaging.errors import SegmentationError
from ..imaging.volume import Grid, LabelMap
from .upsampling import even_factors, refine
from .voxelnet import well_composed
from .voxels import bounding_box, large_pieces, nearest_in

_FREE_LABEL = 1000


@dataclass(frozen=True, eq=False)
class RegionLattice:
    """Region labels on a lattice of about even spacing in the patient.

    Attributes:
        labels: (I, J, K) int32 region id, 0 outside; the outermost layer is 0.
        affine: (4, 4) lattice index → LPS mm.
        names: region id → name.
        volumes: region id → mm³ of its voxels in the label map.
    """

    labels: NDArray[np.int32]
    affine: NDArray[np.float64]
    names: Mapping[int, str]
    volumes: Mapping[int, float]

    def points(self, index: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 3) lattice index → (..., 3) LPS mm."""
        return index @ self.affine[:3, :3].T + self.affine[:3, 3]

    def index(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """(..., 3) LPS mm → (..., 3) lattice index."""
        return (points - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T


def region_ids(regions: Mapping[str, Sequence[str]] | Sequence[str], labels: LabelMap) -> dict[str, int]:
    """Region name → id: the segment's own label where the name is one, else a free number."""
    by_name = {s.name: i for i, s in labels.segments.items()} | {n: s.label for n, s in SEGMENTS.items()}
    return {name: by_name.get(name, _FREE_LABEL + i) for i, name in enumerate(regions)}


def region_map(
    labels: LabelMap, regions: Mapping[str, Sequence[str]] | Sequence[str]
) -> tuple[NDArray, dict[int, str]]:
    """(I, J, K) int32 region ids, and id → name. A part named beside its whole is taken out of the whole.

    Raises:
        SegmentationError: no region given, or a segment without a voxel.
    """
    groups = dict(regions) if isinstance(regions, Mapping) else {name: (name,) for name in regions}
    groups = {name: (m,) if isinstance(m, str) else tuple(m) for name, m in groups.items()}
    if not groups:
        raise SegmentationError("no region is named", advice="Name at least one segment to mesh")
    for members in groups.values():
        labels.require(members)
    ids = region_ids(groups, labels)
    depth = {s.name: len(s.part_of) for s in labels.segments.values()}
    table = np.zeros(int(labels.labels.max()) + 1, dtype=np.int32)
    for label, segment in labels.segments.items():
        fits = [
            (1000 if member == segment.name else depth.get(member, 0), ids[name])
            for name, members in groups.items()
            for member in members
            if member == segment.name or member in segment.part_of
        ]
        if fits and label < len(table):
            table[label] = max(fits)[1]
    mapped = table[labels.labels]
    names = {ids[name]: name for name in groups}
    empty = [names[i] for i in names if not (mapped == i).any()]
    if empty:
        raise SegmentationError(f"regions {', '.join(empty)} are covered by others", advice="Name each segment once")
    return mapped, names


def region_lattice(
    labels: LabelMap, regions: Mapping[str, Sequence[str]] | Sequence[str], spacing_mm: float
) -> RegionLattice:
    """Sample the regions on a lattice of about `spacing_mm` (never finer than the finest voxel).

    Point samples of the shape between the slices, so volumes are not biased; pieces of an
    inner region of fewer than eight lattice cells are below what the lattice can show and
    join what surrounds them, and the union is made well-composed.
    """
    mapped, names = region_map(labels, regions)
    return lattice_of(mapped, names, labels.grid, spacing_mm)


def lattice_of(mapped: NDArray[np.int32], names: Mapping[int, str], grid: Grid, spacing_mm: float) -> RegionLattice:
    """As `region_lattice`, of (I, J, K) region ids on a grid; regions without a voxel are left out."""
    spacing = grid.spacing
    counted = np.bincount(mapped.ravel(), minlength=max(names) + 1)
    volumes = {i: float(counted[i] * grid.voxel_volume) for i in names if counted[i]}
    box = bounding_box(mapped > 0)
    start = np.array([s.start for s in box])
    cropped = mapped[box]
    factors = even_factors(spacing, cropped.shape)
    fine = _refined(cropped, spacing, factors, sorted(volumes, key=lambda i: volumes[i], reverse=True))
    step = np.maximum(spacing_mm, spacing.min()) / spacing * factors
    counts = np.maximum(np.ceil(np.array(fine.shape) / step).astype(int), 1)
    offset = (np.array(fine.shape) - 1 - (counts - 1) * step) / 2
    picks = [
        np.clip(np.round(o + s * np.arange(n)).astype(int), 0, size - 1)
        for o, s, n, size in zip(offset, step, counts, fine.shape, strict=True)
    ]
    sampled = _tidy(fine[np.ix_(*picks)], volumes)
    affine = np.eye(4)
    affine[:3, :3] = grid.affine[:3, :3] * (step / factors)
    first = (offset - step - (factors - 1) / 2) / factors + start
    affine[:3, 3] = grid.points_from_index(first)
    return RegionLattice(np.pad(sampled, 1), affine, dict(names), volumes)


def _refined(mapped: NDArray, spacing: NDArray, factors: NDArray, order: list[int]) -> NDArray[np.int32]:
    """Refine the union, then each region inside it from the largest to the smallest."""
    if (factors == 1).all():
        return mapped
    fine = np.where(refine(mapped > 0, spacing, factors), np.int32(order[0]), np.int32(0))
    for region in order[1:]:
        fine[refine(mapped == region, spacing, factors) & (fine > 0)] = region
    return fine


def _tidy(sampled: NDArray[np.int32], volumes: Mapping[int, float], fewest: int = 8) -> NDArray[np.int32]:
    union = large_pieces(sampled > 0, fewest, keep_largest=True)
    filled = well_composed(union)
    result = np.where(filled, sampled, 0)
    unknown = filled & (sampled == 0)
    largest = max(volumes, key=lambda i: volumes[i])
    for region in volumes:
        mask = result == region
        if region != largest:
            unknown |= mask & ~large_pieces(mask, fewest, keep_largest=True)
    return _from_neighbours(result, unknown)


def _from_neighbours(labels: NDArray[np.int32], unknown: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Give unknown cells the label of the nearest known cell of any region."""
    if not unknown.any():
        return labels
    known = (labels > 0) & ~unknown
    return np.where(unknown, labels[nearest_in(known)], labels)
