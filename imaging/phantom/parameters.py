"""What can be chosen about the phantom: grid, phase, noise, and the patient's anatomy."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from ..errors import ScanError
from ..volume import Grid

TUMOUR_KINDS = ("hypodense", "rim")
PHASES = ("native", "arterial", "portal")
MIN_VOXELS, MAX_VOXELS = 16, 1024


@dataclass(frozen=True)
class Tumour:
    """An ellipsoidal liver tumour.

    Attributes:
        centre: (3,) LPS mm.
        radii: (3,) half-axes along x, y, z, mm.
        kind: "hypodense" (a metastasis) or "rim" (hypodense core, enhancing rim).
    """

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    kind: str = "hypodense"

    def __post_init__(self) -> None:
        if self.kind not in TUMOUR_KINDS or min(self.radii) <= 0:
            raise ScanError(
                f"no tumour is of kind {self.kind!r} with radii {self.radii}",
                where="phantom",
                advice=f"Give positive radii and one of {', '.join(TUMOUR_KINDS)}",
            )


@dataclass(frozen=True)
class Aneurysm:
    """An infrarenal fusiform aneurysm with eccentric mural thrombus; all lengths in mm.

    Attributes:
        neck_length: from the lower renal artery to the start of the sac.
        neck_diameter: lumen diameter of the neck and of the aorta above it.
        maximum_diameter: largest outer diameter of the sac.
        sac_length: from the end of the neck to the aortic bifurcation.
        thrombus_thickness: thickest point of the thrombus, on the anterior wall.
        iliac_diameter: lumen diameter of each common iliac artery.
        iliac_angle_deg: angle of each common iliac artery to the aortic axis.
    """

    neck_length: float = 22.0
    neck_diameter: float = 21.0
    maximum_diameter: float = 54.0
    sac_length: float = 76.0
    thrombus_thickness: float = 14.0
    iliac_diameter: float = 12.0
    iliac_angle_deg: float = 26.0

    def __post_init__(self) -> None:
        lengths = (self.neck_length, self.neck_diameter, self.sac_length, self.iliac_diameter)
        fits = self.maximum_diameter > self.neck_diameter and 0 <= self.thrombus_thickness < self.maximum_diameter / 2
        if min(lengths) <= 0 or not fits or not 0 <= self.iliac_angle_deg < 80:
            raise ScanError(
                f"the aneurysm's measures do not fit together: {self}",
                where="phantom",
                advice="Lengths must be positive, the sac wider than its neck and than twice its thrombus",
            )


@dataclass(frozen=True)
class PhantomParameters:
    """A patient and how it is scanned.

    Attributes:
        shape: voxels (I, J, K); I towards the patient's Left, J Posterior, K Superior.
        field_of_view_mm: (3,) extent covered along (I, J, K). Spacing is this over shape.
        spacing_mm: (3,) overrides the spacing; the grid stays centred on the same point.
        phase: contrast phase: "native", "arterial" or "portal".
        seed: decides the noise, the texture, the vessel trees and the variation.
        noise_hu: standard deviation of the image noise; 0 for none.
        texture: scale of the biological variation within a tissue; 0 for none.
        blur_mm: standard deviation of the in-plane point spread; 0 for none.
        variation: how far the seed moves this patient away from the textbook one;
            0 is the textbook patient, 1 a normal spread of adults.
        body_half_axes_mm: half width (x) and half depth (y) of the trunk at the waist.
        fat_scale: scales the subcutaneous fat.
        enhancement: scales what the contrast agent adds to the native CT numbers.
        liver_scale: scales how far the liver reaches down from the diaphragm and to the left.
        kidney_scale, spleen_scale: scale these organs in all directions.
        tumours: the liver's tumours.
        aneurysm: the abdominal aorta's aneurysm; None for a healthy aorta.
        table: whether the scanner's table is in the picture.
    """

    shape: tuple[int, int, int] = (128, 128, 128)
    field_of_view_mm: tuple[float, float, float] = (400.0, 400.0, 450.0)
    spacing_mm: tuple[float, float, float] | None = None
    phase: str = "portal"
    seed: int = 1
    noise_hu: float = 12.0
    texture: float = 1.0
    blur_mm: float = 0.5
    variation: float = 0.0
    body_half_axes_mm: tuple[float, float] = (170.0, 118.0)
    fat_scale: float = 1.0
    enhancement: float = 1.0
    liver_scale: float = 1.0
    kidney_scale: float = 1.0
    spleen_scale: float = 1.0
    tumours: tuple[Tumour, ...] = (
        Tumour((-98.0, 2.0, 96.0), (19.0, 17.0, 18.0), "hypodense"),
        Tumour((-62.0, -42.0, 122.0), (13.0, 13.0, 12.0), "rim"),
    )
    aneurysm: Aneurysm | None = field(default_factory=Aneurysm)
    table: bool = True

    def __post_init__(self) -> None:
        advice = f"Choose one of {', '.join(PHASES)}"
        if self.phase not in PHASES:
            raise ScanError(f"the phantom has no phase {self.phase!r}", where="phantom", advice=advice)
        if len(self.shape) != 3 or not all(MIN_VOXELS <= n <= MAX_VOXELS for n in self.shape):
            raise ScanError(
                f"the phantom cannot have {self.shape} voxels",
                where="phantom",
                advice=f"Give three numbers between {MIN_VOXELS} and {MAX_VOXELS}",
            )
        if min(self.noise_hu, self.texture, self.blur_mm, self.variation, self.enhancement) < 0:
            raise ScanError("noise, texture, blur and variation cannot be negative", where="phantom")
        if min(self.spacing) <= 0:
            raise ScanError("the field of view and the spacing must be positive", where="phantom")

    @property
    def spacing(self) -> tuple[float, float, float]:
        """(3,) mm between voxel centres."""
        if self.spacing_mm is not None:
            return self.spacing_mm
        x, y, z = (extent / n for extent, n in zip(self.field_of_view_mm, self.shape, strict=True))
        return (x, y, z)

    def grid(self, frame_of_reference_uid: str = "") -> Grid:
        """The voxel grid: axis-aligned in LPS, centred on CENTRE_MM."""
        affine = np.diag([*self.spacing, 1.0])
        affine[:3, 3] = np.array(CENTRE_MM) - 0.5 * (np.array(self.shape) - 1) * np.array(self.spacing)
        return Grid(self.shape, affine, frame_of_reference_uid)


CENTRE_MM = (0.0, 22.0, 0.0)
"""LPS mm of the centre of the field of view; the origin lies in the middle of the trunk between L2 and L3."""
