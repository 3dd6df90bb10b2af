"""How well a segmentation agrees with the truth: overlap, surface distances and volumes, per segment.

Definitions, with A the labels and B the truth (voxel sets), S(·) a mask's surface voxels (those with a face neighbour
outside of the mask; beyond the image counts as outside), and d(a, S) the distance in mm from the centre of voxel a to
the nearest centre in S:

    Dice      2 |A ∩ B| / (|A| + |B|)
    Jaccard   |A ∩ B| / |A ∪ B|
    HD95      max( P95 { d(a, S(B)) : a ∈ S(A) }, P95 { d(b, S(A)) : b ∈ S(B) } )
    MSD       mean of d over S(A) and S(B) together (average symmetric surface distance)

P95 interpolates linearly between order statistics. Taha and Hanbury, BMC Medical Imaging 15:29 (2015), review them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .errors import GeometryError, SegmentationError
from .masks import MaskSet, masks_of
from .progress import Progress, silent
from .regrid import regrid
from .volume import Grid, LabelMap

if TYPE_CHECKING:
    from scipy.spatial import KDTree


@dataclass(frozen=True)
class Agreement:
    """Labels against truth for one segment.

    Attributes:
        name: the segment.
        dice, jaccard: in [0, 1]; 0 if one side is empty, NaN if both are.
        hausdorff_95_mm, mean_surface_distance_mm: NaN if a side is empty: there is no surface to measure to; and
            where it and most segments of two label maps miss each other: the distances of two patients tell nothing.
        volume_ml, truth_volume_ml: of the labels and of the truth.
        note: what makes a number unusual, in words.
        whole: neither side has a mask of its own for it; it is made of parts that are compared as well.
    """

    name: str
    dice: float
    jaccard: float
    hausdorff_95_mm: float
    mean_surface_distance_mm: float
    volume_ml: float
    truth_volume_ml: float
    note: str = ""
    whole: bool = False

    @property
    def common(self) -> bool:
        """Both sides have voxels of it."""
        return bool(self.volume_ml and self.truth_volume_ml)

    @property
    def difference_ml(self) -> float:
        """Labels minus truth."""
        return self.volume_ml - self.truth_volume_ml

    @property
    def difference_percent(self) -> float:
        """Of the truth's volume; NaN if that is empty."""
        return 100 * self.difference_ml / self.truth_volume_ml if self.truth_volume_ml else math.nan

    def to_dict(self) -> dict[str, float | str | None]:
        """Every number, for JSON: NaN becomes None."""
        numbers = asdict(self) | {
            "difference_ml": self.difference_ml,
            "difference_percent": self.difference_percent,
        }
        return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in numbers.items()}


def compare_labels(
    labels: LabelMap | MaskSet,
    truth: LabelMap | MaskSet,
    names: Iterable[str] | None = None,
    *,
    progress: Progress = silent,
) -> list[Agreement]:
    """Compare segment by segment, on the grid of the truth.

    Args:
        labels, truth: on any grids of the same patient frame; labels are brought to the truth's grid, exactly where
            axes are only swapped, flipped or cropped. A whole holds its parts (kidneys, liver with its tumours).
        names: the segments to compare; by default every one of the truth, with its wholes. What the labels lack
            has Dice 0.
        progress: told after each segment.

    Raises:
        SegmentationError: a name that neither side has, or labels that are mere numbers to a truth with names.
        GeometryError: other frames of reference, or (nearly) no overlap.
    """
    ours = masks_of(labels) if isinstance(labels, LabelMap) else labels
    theirs = masks_of(truth) if isinstance(truth, LabelMap) else truth
    wanted = list(names) if names is not None else list(theirs.names)
    _require_known(wanted, ours, theirs)
    require_one_frame(ours.grid, theirs.grid)
    require_overlap(ours.grid, theirs.grid)
    pairs = []
    for number, name in enumerate(wanted):
        progress(0.5 * number / len(wanted), f"overlap of segment {number + 1} of {len(wanted)}")
        a, note = _mask(ours, name, theirs.grid, "labels")
        b, _ = _mask(theirs, name, theirs.grid, "truth")
        pairs.append(_Pair.of(name, a, b, note, whole=name not in ours.loaders and name not in theirs.loaders))
    # Between organs that lie apart every search of a nearest place is a long one, and its answer tells nothing.
    apart = most_miss(pairs)
    found = []
    for number, pair in enumerate(pairs):
        progress(0.5 + 0.5 * number / len(pairs), f"surfaces of segment {number + 1} of {len(pairs)}")
        skipped = apart and pair.common and pair.dice < MISSED
        found.append(pair.overlap(theirs.grid) if skipped else pair.agreement(theirs.grid))
    progress(1.0, "compared")
    return found


MISSED = 0.005
"""Dice below this is shown as 0.00."""
_NOT_MEASURED = "surface distances were not measured, as most segments do not meet their counterpart"


def most_miss(found: Sequence[Agreement] | Sequence[_Pair]) -> bool:
    """Whether most of two or more segments that both sides have (nearly) miss each other.

    Not all: large structures such as the skin of two patients meet somewhere by chance. A whole meets where its parts
    do: it counts only where both sides have nothing but wholes.
    """
    common = [one for one in found if one.common]
    parts = [one.dice for one in common if not one.whole] or [one.dice for one in common]
    return len(parts) > 1 and float(np.median(parts)) < MISSED


@dataclass(frozen=True, eq=False)
class _Pair:
    """Two masks of one segment in their common box, a bit per voxel: a dozen large ones fit beside each other."""

    name: str
    shape: tuple[int, ...]
    packed: tuple[NDArray[np.uint8], NDArray[np.uint8]]
    counts: tuple[int, int, int]
    note: str
    whole: bool

    @classmethod
    def of(cls, name: str, a: NDArray[np.bool_], b: NDArray[np.bool_], note: str, *, whole: bool) -> _Pair:
        box = _box(a, b)
        a, b = a[box], b[box]
        packed = np.packbits(a.ravel(order="F")), np.packbits(b.ravel(order="F"))
        return cls(name, a.shape, packed, (int(a.sum()), int(b.sum()), int((a & b).sum())), note, whole)

    @property
    def common(self) -> bool:
        """Both sides have it."""
        return bool(self.counts[0] and self.counts[1])

    @property
    def dice(self) -> float:
        return 2 * self.counts[2] / max(self.counts[0] + self.counts[1], 1)

    def agreement(self, grid: Grid) -> Agreement:
        size = int(np.prod(self.shape))
        a, b = (np.unpackbits(one, count=size).view(bool).reshape(self.shape, order="F") for one in self.packed)
        return replace(agreement(self.name, a, b, grid, note=self.note), whole=self.whole)

    def overlap(self, grid: Grid) -> Agreement:
        """Without the surfaces' distances."""
        ml, (count_a, count_b, both) = grid.voxel_volume / 1000, self.counts
        note = f"{self.note}; {_NOT_MEASURED}" if self.note else _NOT_MEASURED
        jaccard = both / (count_a + count_b - both)
        return Agreement(
            self.name, self.dice, jaccard, math.nan, math.nan, count_a * ml, count_b * ml, note, self.whole
        )


def _require_known(wanted: list[str], ours: MaskSet, theirs: MaskSet) -> None:
    unknown = [name for name in wanted if name not in ours.names and name not in theirs.names]
    if unknown or not wanted:
        what = f"neither side has {', '.join(unknown)}" if unknown else "the truth holds no segment"
        raise SegmentationError(what, advice=f"The truth has: {', '.join(theirs.names) or 'nothing'}")
    # A segmenter that found nothing is as wrong as can be; only ids without names may mean anything.
    nameless = bool(ours.names) and all(re.fullmatch(r"label_\d+", name) for name in ours.names)
    if nameless and not set(wanted) & set(ours.names):
        have, need = ", ".join(ours.names[:12]) or "nothing", ", ".join(wanted[:12])
        what = f"labels and truth have no segment in common: labels have {have}; the truth has {need}"
        raise SegmentationError(what, advice="Name the labels in a labels.json beside the file")


def require_one_frame(a: Grid, b: Grid) -> None:
    """Raise GeometryError if both grids name a frame of reference and not the same one."""
    if a.frame_of_reference_uid and b.frame_of_reference_uid and a.frame_of_reference_uid != b.frame_of_reference_uid:
        raise GeometryError("labels and truth are in different frames of reference", advice="Register them first")


LEAST_OVERLAP = 0.03
"""Of the smaller grid's box: crops lie inside of each other; boxes that only graze each other belong to two scans."""


def require_overlap(a: Grid, b: Grid, *, whose: str = "labels and truth", where: str = "") -> None:
    """Raise GeometryError if the boxes of two grids have next to nothing in common: they are of different scans."""
    share = max(share_inside(a, b), share_inside(b, a))
    if share < LEAST_OVERLAP:
        much = f"overlap by only {100 * share:.1f} % of the smaller" if share else "do not overlap"
        advice = "They are of different scans or patients, or one of the files lost its position"
        raise GeometryError(f"the boxes of {whose} {much}", where=where, advice=advice)


def share_inside(inner: Grid, outer: Grid) -> float:
    """The part of a grid's box that lies in another's, by points evenly spread in it."""
    count = 40
    axes = [(np.arange(count) + 0.5) / count * n - 0.5 for n in inner.shape]
    index = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    across = np.linalg.inv(outer.affine) @ inner.affine
    at = index @ across[:3, :3].T + across[:3, 3]
    return float(((at >= -0.5) & (at <= np.array(outer.shape) - 0.5)).all(axis=1).mean())


def only_in_labels(labels: LabelMap | MaskSet, truth: LabelMap | MaskSet) -> tuple[str, ...]:
    """Segments of the labels that the truth lacks, wholes included: nothing to compare them with."""
    ours = masks_of(labels) if isinstance(labels, LabelMap) else labels
    theirs = masks_of(truth) if isinstance(truth, LabelMap) else truth
    return tuple(name for name in ours.names if name not in theirs.names)


def _mask(masks: MaskSet, name: str, grid: Grid, side: str) -> tuple[NDArray[np.bool_], str]:
    if name not in masks.names:
        return np.zeros(grid.shape, bool, order="F"), f"the {side} {'has' if side == 'truth' else 'have'} no {name}"
    mask, note = regrid(masks.mask(name), masks.grid, grid, where=side)
    return mask, f"{side} {note}" if note else ""


def agreement(name: str, a: NDArray[np.bool_], b: NDArray[np.bool_], grid: Grid, *, note: str = "") -> Agreement:
    """Agreement of two masks (I, J, K) on one grid; `a` is measured against the truth `b`."""
    box = _box(a, b)
    a, b = a[box], b[box]
    count_a, count_b, both = int(a.sum()), int(b.sum()), int((a & b).sum())
    ml = grid.voxel_volume / 1000
    if not count_a and not count_b:
        return Agreement(name, math.nan, math.nan, math.nan, math.nan, 0.0, 0.0, note or "empty on both sides")
    if not count_a or not count_b:
        empty = "empty in the labels" if not count_a else "empty in the truth"
        return Agreement(name, 0.0, 0.0, math.nan, math.nan, count_a * ml, count_b * ml, note or empty)
    to_b, to_a = surface_distances(a, b, grid.affine[:3, :3])
    hausdorff = max(float(np.percentile(to_b, 95)), float(np.percentile(to_a, 95)))
    mean = (float(to_b.sum()) + float(to_a.sum())) / (len(to_b) + len(to_a))
    dice, jaccard = 2 * both / (count_a + count_b), both / (count_a + count_b - both)
    return Agreement(name, dice, jaccard, hausdorff, mean, count_a * ml, count_b * ml, note)


def _box(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    """The smallest box that holds both masks."""
    slices = []
    for axis in range(3):
        others = tuple(i for i in range(3) if i != axis)
        used = np.flatnonzero(a.any(axis=others) | b.any(axis=others))
        slices.append(slice(int(used[0]), int(used[-1]) + 1) if used.size else slice(0, 0))
    return slices[0], slices[1], slices[2]


def surface_distances(
    a: NDArray[np.bool_], b: NDArray[np.bool_], millimetres: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Distances in mm from each surface voxel of `a` to the surface of `b`, and the other way round.

    Args:
        a, b: (I, J, K) masks, neither empty.
        millimetres: (3, 3) index step → mm step. Distances are between points in space, so sheared grids are right.
    """
    surface_a, surface_b = surface_of(a), surface_of(b)
    points_a = np.argwhere(surface_a) @ millimetres.T
    points_b = np.argwhere(surface_b) @ millimetres.T
    # Where the surfaces coincide the distance is 0: most voxels of a good segmentation need no search.
    apart_a, apart_b = ~surface_b[surface_a], ~surface_a[surface_b]
    to_b, to_a = np.zeros(len(points_a)), np.zeros(len(points_b))
    # Midpoint splits without shrunken boxes: half the time of scipy's defaults where surfaces lie far apart.
    to_b[apart_a] = _tree(points_b).query(points_a[apart_a], workers=-1)[0]
    to_a[apart_b] = _tree(points_a).query(points_b[apart_b], workers=-1)[0]
    return to_b, to_a


def _tree(points: NDArray[np.float64]) -> KDTree:
    from scipy.spatial import KDTree

    return KDTree(points, compact_nodes=False, balanced_tree=False)


def surface_of(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(I, J, K) voxels of the mask with a face neighbour outside of it."""
    inner = mask.copy(order="K")
    for axis in range(3):
        into, of = np.moveaxis(inner, axis, 0), np.moveaxis(mask, axis, 0)
        into[1:] &= of[:-1]
        into[:-1] &= of[1:]
        into[0] = into[-1] = False
    return mask & ~inner
