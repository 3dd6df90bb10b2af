"""The scan being segmented and what has been found in it so far: what every stage reads and writes."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..errors import SegmentationError
from ..volume import Grid, ImageVolume
from .base import Seed, SegmentationRequest
from .frame import BodyFrame
from .morphology import median
from .resample import Pyramid, coarsened

COARSE_SPACING_MM = 2.5
"""Fine enough to keep a rib or an adrenal apart, coarse enough that whole-body morphology takes seconds."""


@dataclass(eq=False)
class Case:
    """One scan on LPS-aligned axes (I → Left, J → Posterior, K → Superior), and the findings.

    Attributes:
        volume: the scan at full resolution, HU.
        request: what was asked.
        pyramid: `up`, `up_mask`, `down` between the full and the coarse grid.
        coarse: the scan averaged to about 2.5 mm, isotropic, and median filtered.
        frame: where body, spine, lungs and aorta are, filled in by the early stages.
        masks: segment name → (I, J, K) bool at full resolution. A stage adds its own and
            never changes another's; where two overlap, the later stage of the list wins.
        remarks: lines for a person about what could not be found, and why.
        doubts: segment name → why its finder is not sure of it; its note then warns.
        faults: segment name → what shows that it is not what it is called; its note is then bad.
    """

    volume: ImageVolume
    request: SegmentationRequest
    pyramid: Pyramid
    coarse: ImageVolume
    frame: BodyFrame
    masks: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    remarks: list[str] = field(default_factory=list)
    doubts: dict[str, list[str]] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, volume: ImageVolume, request: SegmentationRequest) -> Case:
        """Start with a scan that is on canonical axes."""
        pyramid = Pyramid.over(volume.grid, COARSE_SPACING_MM)
        coarse = coarsened(volume, pyramid)
        coarse = ImageVolume(median(coarse.voxels), coarse.grid, coarse.modality, coarse.unit)
        return cls(volume, request, pyramid, coarse, BodyFrame(coarse.grid))

    @property
    def voxels(self) -> NDArray[np.float32]:
        """(I, J, K) HU at full resolution."""
        return self.volume.voxels

    @property
    def grid(self) -> Grid:
        """The full-resolution grid."""
        return self.volume.grid

    def doubt(self, name: str, why: str) -> None:
        """Say why a segment may be wrong, once."""
        if why not in self.doubts.setdefault(name, []):
            self.doubts[name].append(why)

    def fault(self, name: str, why: str) -> None:
        """Say what shows that a segment is wrong, once."""
        if why not in self.faults.setdefault(name, []):
            self.faults[name].append(why)

    def wants(self, *names: str) -> bool:
        """Whether any of these segments is asked for (an empty request asks for all)."""
        return not self.request.wanted or bool(set(names) & set(self.request.wanted))

    def seed(self, name: str) -> Seed | None:
        """The seed a person gave for a segment.

        Raises:
            SegmentationError: it lies outside the scan.
        """
        seed = self.request.seeds.get(name)
        if seed is not None and seed.point is not None:
            index = self.grid.index_from_points(seed.point)
            if (index < -0.5).any() or (index > np.array(self.grid.shape) - 0.5).any():
                raise SegmentationError(
                    f"its seed {np.round(seed.point, 1).tolist()} mm lies outside the scan",
                    where=f"segment {name}",
                    advice="Seeds are in LPS mm of the patient, not voxel indices",
                )
        return seed

    def coarse_index(self, point: NDArray[np.float64]) -> tuple[int, int, int]:
        """The coarse voxel at an LPS point, clipped to the grid."""
        index = np.round(self.coarse.grid.index_from_points(point)).astype(int)
        i, j, k = np.clip(index, 0, np.array(self.coarse.grid.shape) - 1)
        return int(i), int(j), int(k)

    def coarse_mask(self, name: str) -> NDArray[np.bool_] | None:
        """A found mask on the coarse grid (voxels at least half covered), or None if not found."""
        mask = self.masks.get(name)
        return None if mask is None else self.pyramid.down(mask) >= 0.5
