"""What a segmenter is: what it needs, what it gives, and what it says about its own result.

A segmenter is a plug-in. The built-in one (`classical`) finds organs with thresholds,
morphology and shape; a learned one fits beside it by subclassing `Segmenter` and
registering (see `registry`). numpy only.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import SegmentationError
from ..progress import Progress, silent
from ..volume import ImageVolume, LabelMap

Phase = Literal["auto", "native", "arterial", "portal"]
Level = Literal["ok", "warn", "bad"]
PHASES: tuple[str, ...] = get_args(Phase)


@dataclass(frozen=True, eq=False)
class Seed:
    """Where a person says an organ is: a point inside it, a box around it, or both.

    Attributes:
        point: (3,) LPS mm, or None.
        box: two opposite corners, each (3,) LPS mm in any order, or None.

    Raises:
        SegmentationError: neither is given, or a coordinate is not finite.
    """

    point: NDArray[np.float64] | None = None
    box: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    def __post_init__(self) -> None:
        if self.point is None and self.box is None:
            raise SegmentationError("a seed has neither a point nor a box", advice="Give one of them in LPS mm")
        if self.point is not None:
            object.__setattr__(self, "point", _point(self.point))
        if self.box is not None:
            corners = np.array([_point(corner) for corner in self.box])
            if corners.shape != (2, 3) or not (np.ptp(corners, axis=0) > 0).all():
                raise SegmentationError(
                    "a seed's box needs two opposite corners that enclose a volume", advice="Give both in LPS mm"
                )
            object.__setattr__(self, "box", (corners.min(axis=0), corners.max(axis=0)))


@dataclass(frozen=True)
class SegmentationRequest:
    """What is asked of a segmenter.

    Attributes:
        phase: contrast phase, or "auto" to estimate it.
        seeds: segment name → where it is.
        wanted: segment names; empty for all that the segmenter gives.
        options: for one segmenter only, such as the file of the "labels" segmenter.
    """

    phase: Phase = "auto"
    seeds: Mapping[str, Seed] = field(default_factory=dict)
    wanted: tuple[str, ...] = ()
    options: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.phase not in PHASES:
            raise SegmentationError(f"contrast phase {self.phase!r} is not known", advice=f"Use {', '.join(PHASES)}")


@dataclass(frozen=True)
class QualityNote:
    """What is known about one segment's mask without knowing the truth.

    Attributes:
        segment: its name.
        volume_ml: millilitres.
        components: connected pieces (6-neighbourhood) of more than a few voxels.
        holes: enclosed cavities of more than a few voxels.
        leak: fraction of the volume in thin protrusions, in [0, 1].
        touches_border: part of it is cut off by the edge of the scan.
        plausible: the volume lies in the range known for adults (True where no range is known).
        level: "ok", "warn" (look at it) or "bad" (not to be trusted).
        text: one line for a person.
        partial: the scan holds only a part of it: cut by more than its tip, or cut and smaller than a whole one can be.
        only_cut: the scan's edge cuts it, and nothing else is odd about it.
    """

    segment: str
    volume_ml: float
    components: int
    holes: int
    leak: float
    touches_border: bool
    plausible: bool
    level: Level
    text: str
    partial: bool = False
    only_cut: bool = False


@dataclass(frozen=True, eq=False)
class Segmentation:
    """Labels, and how far to trust them.

    Attributes:
        labels: on the grid of the scan that was segmented.
        notes: one per segment found, and one per segment that was wanted and not found.
        trusted: False as soon as one note is "bad".
        phase: the contrast phase assumed or estimated; "given" where labels were given and none was needed.
        text: one line for a person.
    """

    labels: LabelMap
    notes: tuple[QualityNote, ...]
    trusted: bool
    phase: str
    text: str

    def note(self, segment: str) -> QualityNote | None:
        """The note of one segment, or None."""
        return next((note for note in self.notes if note.segment == segment), None)


@dataclass(frozen=True)
class Needs:
    """What a scan must be for a segmenter.

    Attributes:
        modality: DICOM Modality; empty where any will do.
        phases: contrast phases it works in.
        coverage_mm: least extent along the body's axis, in mm.
        max_spacing_mm: coarsest voxel spacing it works with, in mm.
        packages: import names of packages that must be installed.
    """

    modality: str = "CT"
    phases: tuple[str, ...] = ("native", "arterial", "portal")
    coverage_mm: float = 0.0
    max_spacing_mm: float = 10.0
    packages: tuple[str, ...] = ()


class Segmenter(ABC):
    """A way to find structures in a scan.

    A subclass sets the four class attributes and writes `segment`. Creating one is
    cheap: heavy packages and weights are loaded in `segment`.
    """

    name: str
    title: str
    needs: Needs = Needs()
    gives: tuple[str, ...] = ()

    def check(self, volume: ImageVolume, request: SegmentationRequest | None = None) -> None:
        """Raise SegmentationError, in one line, if this scan is not what the segmenter needs."""
        check_needs(self.name, self.needs, volume)
        if request is not None:
            unknown = [name for name in (*request.wanted, *request.seeds) if name not in self.gives]
            if self.gives and unknown:
                raise SegmentationError(
                    f"it does not give {', '.join(unknown)}",
                    where=f"segmenter {self.name}",
                    advice=f"It gives {', '.join(self.gives)}",
                )

    @abstractmethod
    def segment(
        self, volume: ImageVolume, request: SegmentationRequest | None = None, progress: Progress = silent
    ) -> Segmentation:
        """Find the structures.

        Args:
            volume: the scan, on any grid.
            request: phase, seeds and what is wanted; None for everything, automatically.
            progress: told of every step.

        Raises:
            SegmentationError: the scan is not what is needed, or nothing was found.
        """


def check_needs(name: str, needs: Needs, volume: ImageVolume) -> None:
    """Raise SegmentationError unless the scan and this machine meet the needs."""
    import importlib.util

    where = f"segmenter {name}"
    if needs.modality and volume.modality != needs.modality:
        raise SegmentationError(
            f"it needs a {needs.modality} scan, this one is {volume.modality or 'of unknown modality'}",
            where=where,
            advice="Give another series, a label map, or another segmenter",
        )
    if needs.modality == "CT" and volume.unit != "HU":
        raise SegmentationError(f"it needs Hounsfield units, this scan is in {volume.unit or 'no unit'}", where=where)
    if not np.isfinite(volume.voxels).all():
        raise SegmentationError("the scan holds values that are not numbers", where=where, advice="Read it again")
    if float(volume.spacing.max()) > needs.max_spacing_mm:
        raise SegmentationError(
            f"slices or voxels are {volume.spacing.max():.1f} mm apart, it works to {needs.max_spacing_mm:g} mm",
            where=where,
            advice="Use a finer reconstruction of the same scan",
        )
    extent = superior_extent_mm(volume)
    if extent < needs.coverage_mm:
        raise SegmentationError(
            f"the scan covers {extent:.0f} mm of the body's length, it needs {needs.coverage_mm:g} mm",
            where=where,
            advice="Use a series that covers more",
        )
    missing = [package for package in needs.packages if importlib.util.find_spec(package) is None]
    if missing:
        raise SegmentationError(
            f"{', '.join(missing)} is not installed", where=where, advice=f"Install it: pip install {' '.join(missing)}"
        )


def superior_extent_mm(volume: ImageVolume) -> float:
    """How much of the body's length (LPS z) the scan covers, in mm, measured through its middle."""
    shape = np.array(volume.grid.shape, dtype=float)
    along = np.abs(volume.affine[2, :3]) * shape
    return float(along.max())


def _point(value: object) -> NDArray[np.float64]:
    point = np.asarray(value, dtype=np.float64)
    if point.shape != (3,) or not np.isfinite(point).all():
        raise SegmentationError(f"{value!r} is not a point of three numbers", advice="Give x, y, z in LPS mm")
    return point
