"""The anatomical frame of a body: what the organ finders may lean on.

Everything is on the coarse grid of the case (about 2.5 mm; I → Left, J → Posterior,
K → Superior) or in LPS mm. A field is None where the scan does not show it; no stage
may assume otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..volume import Grid


@dataclass(eq=False)
class BodyFrame:
    """Landmarks found so far.

    Attributes:
        grid: the coarse grid, LPS-aligned.
        body: (I, J, K) trunk without table.
        centre: (K, 2) mm, LPS x and y of the trunk's middle per coarse slice; NaN where no body.
        half_size: (K, 2) mm, half the trunk's width and depth per coarse slice.
        lung_left: (I, J, K) left lung.
        lung_right: (I, J, K) right lung.
        lung_base_left: LPS z in mm of the lowest left lung (costophrenic recess).
        lung_base_right: the same on the right.
        dome_left: LPS z in mm up to which the left diaphragm's dome reaches.
        dome_right: the same on the right.
        bone: (I, J, K) bone with marrow.
        spine: (K, 2) mm, LPS x and y of the vertebral canal per coarse slice; NaN where unseen.
        vertebra: (K, 2) mm, LPS x and y of the vertebral body's middle per coarse slice.
        aorta: (I, J, K) lumen.
        aorta_hu: mean of its lumen, HU.
        phase: "native", "arterial" or "portal", or "" as long as unknown.
        air_hu: HU of the air around or inside the patient.
        muscle_hu: mean and standard deviation (of the coarse scan) of paraspinal or other lean soft tissue.
        fat_hu: mode of fat, HU.
        noise_hu: standard deviation of the full-resolution scan in homogeneous soft tissue.
    """

    grid: Grid
    body: NDArray[np.bool_] | None = None
    centre: NDArray[np.float64] | None = None
    half_size: NDArray[np.float64] | None = None
    lung_left: NDArray[np.bool_] | None = None
    lung_right: NDArray[np.bool_] | None = None
    lung_base_left: float | None = None
    lung_base_right: float | None = None
    dome_left: float | None = None
    dome_right: float | None = None
    bone: NDArray[np.bool_] | None = None
    spine: NDArray[np.float64] | None = None
    vertebra: NDArray[np.float64] | None = None
    aorta: NDArray[np.bool_] | None = None
    aorta_hu: float | None = None
    phase: str = ""
    air_hu: float = -1000.0
    muscle_hu: tuple[float, float] = (50.0, 15.0)
    fat_hu: float = -100.0
    noise_hu: float = 15.0
    evidence: dict[str, float] = field(default_factory=dict)

    @property
    def lungs(self) -> NDArray[np.bool_] | None:
        """(I, J, K) both lungs, or None if neither is in the scan."""
        if self.lung_left is None or self.lung_right is None:
            return self.lung_left if self.lung_right is None else self.lung_right
        return self.lung_left | self.lung_right

    @property
    def x(self) -> NDArray[np.float64]:
        """(I, 1, 1) LPS x of the coarse voxels, mm (rising to the patient's left)."""
        return (self.grid.origin[0] + self.grid.affine[0, 0] * np.arange(self.grid.shape[0]))[:, None, None]

    @property
    def y(self) -> NDArray[np.float64]:
        """(1, J, 1) LPS y of the coarse voxels, mm (rising to posterior)."""
        return (self.grid.origin[1] + self.grid.affine[1, 1] * np.arange(self.grid.shape[1]))[None, :, None]

    @property
    def z(self) -> NDArray[np.float64]:
        """(1, 1, K) LPS z of the coarse voxels, mm (rising to superior)."""
        return (self.grid.origin[2] + self.grid.affine[2, 2] * np.arange(self.grid.shape[2]))[None, None, :]

    def midline(self) -> NDArray[np.float64]:
        """(K,) LPS x of the body's midline, mm: the spine where it is seen, else the trunk's middle.

        NaN where the slice shows no body at all.
        """
        count = self.grid.shape[2]
        line = np.full(count, np.nan) if self.centre is None else self.centre[:, 0].copy()
        if self.spine is not None:
            line = np.where(np.isfinite(self.spine[:, 0]), self.spine[:, 0], line)
        return line
