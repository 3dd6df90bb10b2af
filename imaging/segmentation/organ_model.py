"""What the organ finders share: a denoised coarse scan, the cavity, and tissues as peaks of a histogram.

No organ's HU is known beforehand: contrast, phase, fat and scanner move it by a hundred HU.
Each finder looks at where its organ lies, takes the peaks of that region's histogram as
candidate tissues, and judges the shapes that they form.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .case import Case
from .cavity import abdominal_cavity
from .morphology import Mask, distance
from .resample import box_of

_LOWEST_HU, _HIGHEST_HU = -200.0, 400.0


@dataclass(frozen=True)
class Tissue:
    """A homogeneous tissue in the denoised coarse scan: most frequent HU and spread."""

    mean: float
    sd: float

    def deviation(self, hu: NDArray[np.float32]) -> NDArray[np.float32]:
        """How many spreads a value lies from this tissue."""
        return ((hu - np.float32(self.mean)) / np.float32(self.sd)).astype(np.float32)


@dataclass(frozen=True, eq=False)
class Abdomen:
    """Fields on the coarse grid that several organs need.

    Attributes:
        hu: denoised by curvature anisotropic diffusion, clipped to soft tissue's range.
        gradient: its gradient magnitude, HU/mm.
        cavity: inside ribs, wall and spine, without lungs and bone.
        wall: outside the cavity (lungs are not wall).
        lungs: both lungs; empty where none is in the scan.
        midline: (1, 1, K) LPS x of the spine or trunk's middle.
        front: (1, 1, K) LPS y of the middle of the vertebral bodies (trunk's middle where unseen).
        spacing: (3,) mm.
        muscle_hu: mean of lean muscle.
    """

    hu: NDArray[np.float32]
    gradient: NDArray[np.float32]
    cavity: Mask
    wall: Mask
    lungs: Mask
    midline: NDArray[np.float64]
    front: NDArray[np.float64]
    spacing: NDArray[np.float64]
    muscle_hu: float

    @property
    def voxel_ml(self) -> float:
        """Millilitres per coarse voxel."""
        return float(np.prod(self.spacing)) / 1000.0


_KNOWN: WeakKeyDictionary[Case, Abdomen] = WeakKeyDictionary()


def abdomen_of(case: Case) -> Abdomen:
    """The shared fields of a case, computed once after body, lungs and bone are known."""
    if case not in _KNOWN:
        _KNOWN[case] = _computed(case)
    return _KNOWN[case]


def _computed(case: Case) -> Abdomen:
    frame, spacing = case.frame, case.coarse.grid.spacing
    hu = np.clip(case.coarse.voxels, _LOWEST_HU, _HIGHEST_HU)
    body = box_of(frame.body, 2) if frame.body is not None else None
    if body is not None:
        hu[body] = denoised(case.coarse.voxels[body])
    inside = abdominal_cavity(case)
    lungs = frame.lungs if frame.lungs is not None else np.zeros(hu.shape, dtype=bool)
    gradient = ndimage.gaussian_gradient_magnitude(hu, 1.0) / np.float32(spacing.mean())
    midline = _filled(frame.midline(), float(frame.x.mean()))
    front = _filled(_vertebra_y(case), float(frame.y.mean()))
    cavity, wall = inside & ~lungs, ~inside & ~lungs
    return Abdomen(
        hu, gradient, cavity, wall, lungs, midline[None, None], front[None, None], spacing, frame.muscle_hu[0]
    )


def denoised(hu: NDArray[np.float32]) -> NDArray[np.float32]:
    """Curvature anisotropic diffusion: noise goes, organ borders stay (Whitaker and Xue 2001)."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.clip(hu, _LOWEST_HU, _HIGHEST_HU))
    smooth = sitk.CurvatureAnisotropicDiffusion(image, timeStep=0.06, conductanceParameter=2.0, numberOfIterations=8)
    return sitk.GetArrayFromImage(smooth)


def _vertebra_y(case: Case) -> NDArray[np.float64]:
    frame = case.frame
    count = case.coarse.grid.shape[2]
    line = np.full(count, np.nan) if frame.centre is None else frame.centre[:, 1] + 25.0
    if frame.vertebra is not None:
        line = np.where(np.isfinite(frame.vertebra[:, 1]), frame.vertebra[:, 1], line)
    return line


def _filled(line: NDArray[np.float64], default: float) -> NDArray[np.float64]:
    good = np.flatnonzero(np.isfinite(line))
    return np.interp(np.arange(len(line)), good, line[good]) if good.size else np.full(len(line), default)


def tissue_peaks(values: NDArray[np.float32], *, least_share: float = 0.1, smooth_hu: float = 3.0) -> list[Tissue]:
    """The peaks of a histogram as tissues, highest first; spread from the width at half height.

    Args:
        values: HU of denoised voxels away from edges.
        least_share: peaks lower than this share of the highest are noise.
        smooth_hu: standard deviation of the smoothing of the histogram.
    """
    if values.size < 50:
        return []
    low, high = float(np.floor(values.min())) - 5.0, float(np.ceil(values.max())) + 5.0
    counts, edges = np.histogram(values, bins=np.arange(low, high + 1.0))
    curve = ndimage.gaussian_filter1d(counts.astype(np.float64), smooth_hu)
    top = np.flatnonzero((curve[1:-1] > curve[:-2]) & (curve[1:-1] >= curve[2:])) + 1
    top = [i for i in top if curve[i] >= least_share * curve.max()]
    return [_tissue_at(curve, edges, int(i), smooth_hu) for i in sorted(top, key=lambda i: -curve[i])]


def _tissue_at(curve: NDArray[np.float64], edges: NDArray[np.float64], top: int, smooth_hu: float) -> Tissue:
    """Spread from the nearer of the two half heights, less what the smoothing added."""
    reach = []
    for side in (curve[top::-1], curve[top:]):
        below = np.flatnonzero(side < curve[top] / 2.0)
        reach.append(float(below[0]) if below.size else float(len(side)))
    half_width = min(reach) * 0.5 + min(max(reach), 2.0 * min(reach)) * 0.5
    variance = (half_width / 1.1775) ** 2 - smooth_hu**2
    return Tissue(float(edges[top]) + 0.5, float(np.sqrt(max(variance, 16.0))))


def opened(mask: Mask, radius_mm: float, spacing: NDArray[np.float64]) -> Mask:
    """Opening with a ball by two distance maps; the scan's edge does not erode."""
    result = np.zeros(mask.shape, dtype=bool)
    box = box_of(mask, 1)
    if box is not None:
        core = distance(mask[box], spacing) > radius_mm
        if core.any():
            result[box] = (distance(~core, spacing) <= radius_mm) & mask[box]
    return result


def wall_cost(abdomen: Abdomen, tissue: Tissue) -> NDArray[np.float32]:
    """Cost of taking the body wall: its inner face is known to a voxel or two, so it is hard
    only where muscle looks like the organ."""
    slack = 2.0 if _unlike_muscle(abdomen, tissue) else 0.0
    depth = distance(abdomen.wall, abdomen.spacing)
    return np.clip((depth - slack) / (1.0 + slack), 0.0, 3.0).astype(np.float32)


def _unlike_muscle(abdomen: Abdomen, tissue: Tissue) -> bool:
    return tissue.mean - abdomen.muscle_hu > max(3.0 * tissue.sd, 20.0)


def not_organ(case: Case, abdomen: Abdomen, tissue: Tissue, others: tuple[str, ...] = ()) -> Mask | None:
    """(I, J, K) full resolution: bone, other organs, and the wall where muscle looks like the organ."""
    forbidden = case.masks.get("bone")
    for name in others:
        if name in case.masks:
            forbidden = case.masks[name] if forbidden is None else forbidden | case.masks[name]
    if not _unlike_muscle(abdomen, tissue):
        wall = case.pyramid.up_mask(abdomen.wall)
        forbidden = wall if forbidden is None else forbidden | wall
    return forbidden


def edge_capacity(abdomen: Abdomen, contrast_hu: float) -> NDArray[np.float32]:
    """Price of surface for `minimum_cut`: 1 in homogeneous tissue, falling at edges of this contrast."""
    relative = abdomen.gradient * np.float32(abdomen.spacing.mean() / max(contrast_hu, 1.0))
    return (0.15 + 0.85 / (1.0 + relative**2)).astype(np.float32)
