"""`ImageVolume` and `LabelMap`: voxels that know where they are.

The one internal frame is DICOM's patient frame, LPS (x to the patient's Left, y to
Posterior, z to Superior), in millimetres. RAS exists only inside the NIfTI reader
and writer. numpy only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .anatomy import Segment
from .errors import GeometryError, SegmentationError


@dataclass(frozen=True, eq=False)
class Grid:
    """A regular voxel grid in the patient.

    Attributes:
        shape: voxels along (I, J, K); I runs along an image row (columns), J down a
            column (rows), K from slice to slice.
        affine: (4, 4) float64, voxel index (i, j, k, 1) → LPS mm of the voxel centre.
        frame_of_reference_uid: DICOM Frame of Reference UID; "" where the file has none.
    """

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]
    frame_of_reference_uid: str = ""

    def __post_init__(self) -> None:
        affine = np.array(self.affine, dtype=np.float64)
        if affine.shape != (4, 4) or not np.isfinite(affine).all() or not np.array_equal(affine[3], (0, 0, 0, 1)):
            raise GeometryError("the affine is not a finite 4×4 matrix with last row 0 0 0 1")
        if abs(np.linalg.det(affine[:3, :3])) < 1e-12:
            raise GeometryError("the affine is singular: a voxel has no volume")
        affine.setflags(write=False)
        object.__setattr__(self, "affine", affine)
        object.__setattr__(self, "shape", tuple(int(n) for n in self.shape))

    @property
    def spacing(self) -> NDArray[np.float64]:
        """(3,) mm between voxel centres along I, J, K."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def direction(self) -> NDArray[np.float64]:
        """(3, 3) unit vectors of I, J, K as columns, LPS."""
        return self.affine[:3, :3] / self.spacing

    @property
    def origin(self) -> NDArray[np.float64]:
        """(3,) LPS mm of the centre of voxel (0, 0, 0)."""
        return self.affine[:3, 3].copy()

    @property
    def voxel_volume(self) -> float:
        """mm³."""
        return float(abs(np.linalg.det(self.affine[:3, :3])))

    @property
    def is_orthogonal(self) -> bool:
        """False for a sheared grid, such as an uncorrected gantry tilt."""
        return bool(np.allclose(self.direction.T @ self.direction, np.eye(3), atol=1e-4))

    def points_from_index(self, index: ArrayLike) -> NDArray[np.float64]:
        """(..., 3) voxel index (may be fractional) → (..., 3) LPS mm."""
        return np.asarray(index, dtype=np.float64) @ self.affine[:3, :3].T + self.affine[:3, 3]

    def index_from_points(self, points: ArrayLike) -> NDArray[np.float64]:
        """(..., 3) LPS mm → (..., 3) fractional voxel index."""
        inverse = np.linalg.inv(self.affine[:3, :3])
        return (np.asarray(points, dtype=np.float64) - self.affine[:3, 3]) @ inverse.T

    def require_same(self, other: Grid, *, tolerance_mm: float = 1e-3) -> None:
        """Raise GeometryError unless both grids cover the same voxels of the same patient frame."""
        both = self.frame_of_reference_uid and other.frame_of_reference_uid
        if both and self.frame_of_reference_uid != other.frame_of_reference_uid:
            raise GeometryError(
                "two volumes have different frame-of-reference UIDs",
                advice="Register them first; preop never assumes that two frames agree",
            )
        if self.shape != other.shape:
            raise GeometryError(f"two volumes differ in size: {self.shape} and {other.shape}")
        corners = np.array([[0, 0, 0], *(np.eye(3) * np.array(self.shape))])
        if not np.allclose(self.points_from_index(corners), other.points_from_index(corners), atol=tolerance_mm):
            raise GeometryError("two volumes lie differently in the patient (their affines differ)")


@dataclass(frozen=True, eq=False)
class ImageVolume:
    """A scan.

    Attributes:
        voxels: (I, J, K) float32, in `unit`.
        grid: where the voxels are.
        modality: DICOM Modality, such as "CT" or "MR".
        unit: "HU" for CT; "" where values have no unit.
        notes: what the reader noticed and a person should know, in plain words.
        source_files: the files on disk that the voxels came from, for provenance: the slices of the series that was
            read, the archive as a whole, or a volume file with what its header refers to. Empty if not from files.
        patient_position: DICOM Patient Position, such as "HFS" (head first, supine) or "HFP" (prone); "" if unknown.
    """

    voxels: NDArray[np.float32]
    grid: Grid
    modality: str = "CT"
    unit: str = "HU"
    notes: tuple[str, ...] = ()
    source_files: tuple[Path, ...] = ()
    patient_position: str = ""

    def __post_init__(self) -> None:
        if self.voxels.ndim != 3 or self.voxels.shape != self.grid.shape:
            raise GeometryError(f"the voxels {self.voxels.shape} do not fit the grid {self.grid.shape}")
        if self.voxels.dtype != np.float32:
            object.__setattr__(self, "voxels", self.voxels.astype(np.float32))

    @property
    def affine(self) -> NDArray[np.float64]:
        """(4, 4) voxel index → LPS mm."""
        return self.grid.affine

    @property
    def spacing(self) -> NDArray[np.float64]:
        """(3,) mm."""
        return self.grid.spacing


@dataclass(frozen=True, eq=False)
class LabelMap:
    """Which voxel belongs to which segment: one label per voxel, 0 for none.

    Attributes:
        labels: (I, J, K) uint16.
        grid: where the voxels are.
        segments: label id → coded segment, for every id that may occur.
        notes: what the reader of a file noticed and a person should know; without file names.
    """

    labels: NDArray[np.uint16]
    grid: Grid
    segments: Mapping[int, Segment] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.labels.ndim != 3 or self.labels.shape != self.grid.shape:
            raise GeometryError(f"the labels {self.labels.shape} do not fit the grid {self.grid.shape}")
        if self.labels.dtype != np.uint16:
            object.__setattr__(self, "labels", self.labels.astype(np.uint16))

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the segments that have at least one voxel, by label id."""
        present = np.flatnonzero(np.bincount(self.labels.ravel()))
        return tuple(self.segments[int(i)].name for i in present if int(i) in self.segments)

    def mask(self, names: str | Iterable[str]) -> NDArray[np.bool_]:
        """(I, J, K) voxels of one segment or of any of several, with their parts.

        A whole includes its parts: `mask("liver")` holds its tumours and the vessels
        inside it (see `Segment.part_of`).
        """
        wanted = {names} if isinstance(names, str) else set(names)
        ids = [i for i, s in self.segments.items() if s.name in wanted or wanted & set(s.part_of)]
        return self._any_of(ids)

    def only(self, name: str) -> NDArray[np.bool_]:
        """(I, J, K) voxels that carry exactly this label, without its parts."""
        return self._any_of([i for i, s in self.segments.items() if s.name == name])

    def _any_of(self, ids: list[int]) -> NDArray[np.bool_]:
        # A table of all labels: a seventh of the time of numpy's isin, which copies large maps stored by columns.
        table = np.zeros(1 << 16, dtype=bool)
        table[[i for i in ids if 0 <= i < len(table)]] = True
        return table[self.labels]

    def require(self, names: Iterable[str], *, where: str = "label map") -> None:
        """Raise SegmentationError if one of these segments has no voxel."""
        missing = [name for name in names if not self.mask(name).any()]
        if missing:
            have = ", ".join(self.names) or "none"
            raise SegmentationError(
                f"no voxel is labelled {', '.join(missing)}",
                where=where,
                advice=f"Labels present: {have}. Give a seed for the organ in the scene, or another label map",
            )

    def with_labels(self, labels: NDArray[np.uint16]) -> LabelMap:
        """The same grid and segments with other voxels."""
        return replace(self, labels=labels)
