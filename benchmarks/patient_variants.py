"""Other patients made from one real scan with its truth: other contrast, anatomy, coverage, noise and slices.

Every change uses the truth's masks with soft edges of a voxel or two, as partial volume gives them, so that no
border becomes sharper than a scanner would show it. A variant keeps its truth. LPS-aligned grids only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from preop.imaging.volume import Grid, ImageVolume

Mask = NDArray[np.bool_]
EDGE_MM = 0.8
SOFT_HU = 55.0


@dataclass(frozen=True, eq=False)
class Patient:
    """A scan and the truth about it.

    Attributes:
        hu: (I, J, K) float32; I to the Left, J to Posterior, K to Superior.
        grid: LPS-aligned.
        masks: segment name → (I, J, K) truth; masks may overlap (a liver holds its tumours).
    """

    hu: NDArray[np.float32]
    grid: Grid
    masks: Mapping[str, Mask]

    @property
    def volume(self) -> ImageVolume:
        """The scan as a segmenter takes it."""
        return ImageVolume(self.hu, self.grid)

    def soft(self, mask: Mask, edge_mm: float = EDGE_MM) -> NDArray[np.float32]:
        """A mask with a soft edge, in [0, 1]."""
        return ndimage.gaussian_filter(mask.astype(np.float32), edge_mm / self.grid.spacing)

    def level(self, name: str) -> float:
        """Median HU of an organ away from its border and without tumours."""
        mask = self.masks[name] & ~self.masks["liver_tumor"]
        return float(np.median(self.hu[ndimage.binary_erosion(mask, iterations=2)]))


Change = Callable[[Patient], Patient]


def thinned(patient: Patient, bins: tuple[int, int, int]) -> Patient:
    """Averages of so many voxels along each axis: thicker slices, larger pixels."""

    def binned(field: NDArray) -> NDArray[np.float32]:
        part = field[tuple(slice(0, n // b * b) for n, b in zip(field.shape, bins, strict=True))]
        i, j, k = (n // b for n, b in zip(part.shape, bins, strict=True))
        return part.reshape(i, bins[0], j, bins[1], k, bins[2]).mean(axis=(1, 3, 5), dtype=np.float32)

    hu = binned(patient.hu)
    affine = patient.grid.affine.copy()
    affine[:3, 3] = patient.grid.points_from_index((np.array(bins) - 1) / 2)
    affine[:3, :3] = affine[:3, :3] * np.array(bins)
    masks = {name: binned(mask) >= 0.5 for name, mask in patient.masks.items()}
    return Patient(hu, Grid(hu.shape, affine), masks)


# ---- contrast


def shifted(names: tuple[str, ...], hu: float) -> Change:
    """Organs that measure so many HU more; a liver's tumours stay as they are, its large portal veins too."""

    def change(patient: Patient) -> Patient:
        result = patient.hu.copy()
        for name in names:
            mask = patient.masks[name]
            if name == "liver":
                mask = mask & ~patient.masks["liver_tumor"] & ~patient.masks["portal_vein"]
            result += np.float32(hu) * patient.soft(mask)
        return replace(patient, hu=result)

    return change


def towards(name: str, other: str, share: float) -> Change:
    """An organ whose level comes nearer to another's, by a share of their difference."""

    def change(patient: Patient) -> Patient:
        return shifted((name,), share * (patient.level(other) - patient.level(name)))(patient)

    return change


def weaker(share: float) -> Change:
    """What contrast adds to soft tissue multiplied by a share: a late, weak or early injection."""

    def change(patient: Patient) -> Patient:
        bone = patient.soft(ndimage.binary_dilation(patient.masks["bone"], iterations=1), 1.5)
        added = np.clip(patient.hu - SOFT_HU, 0.0, 300.0) * (1.0 - np.minimum(bone * 1.2, 1.0))
        return replace(patient, hu=(patient.hu - (1.0 - share) * added).astype(np.float32))

    return change


def corticomedullary(patient: Patient) -> Patient:
    """Kidneys with a bright rim of 6 mm and a dark middle, as 35 s after the injection."""
    result = patient.hu.copy()
    for name in ("kidney_left", "kidney_right"):
        mask = patient.masks[name]
        inner = ndimage.distance_transform_edt(mask, sampling=patient.grid.spacing) > 6.0
        result += np.float32(30.0) * patient.soft(mask & ~inner) - np.float32(70.0) * patient.soft(inner, 1.5)
    return replace(patient, hu=result)


# ---- noise and sharpness


def noisy(sigma: float, seed: int) -> Change:
    """Noise of a standard deviation (HU) as of 0.57 mm pixels, correlated over about a millimetre and a half."""

    def change(patient: Patient) -> Patient:
        rng = np.random.default_rng(seed)
        step = patient.grid.spacing[:2]
        fine = np.maximum(np.round(step / 0.57).astype(int), 1)
        result = patient.hu.copy()
        for k in range(result.shape[2]):
            white = rng.normal(size=tuple(np.array(result.shape[:2]) * fine)).astype(np.float32)
            smooth = ndimage.gaussian_filter(white, 0.7 / (step / fine), mode="wrap")
            smooth *= sigma / smooth.std()
            i, j = result.shape[:2]
            result[:, :, k] += smooth.reshape(i, fine[0], j, fine[1]).mean(axis=(1, 3))
        return replace(patient, hu=result)

    return change


def smoothed(sigma_mm: float) -> Change:
    """A soft reconstruction kernel."""

    def change(patient: Patient) -> Patient:
        sigma = (sigma_mm / patient.grid.spacing[0], sigma_mm / patient.grid.spacing[1], 0.0)
        return replace(patient, hu=ndimage.gaussian_filter(patient.hu, sigma))

    return change


# ---- coverage and pose


def cropped(low: tuple[float, float, float], high: tuple[float, float, float]) -> Change:
    """Only a part of the scan, in shares of its extent along (x, y, z)."""

    def change(patient: Patient) -> Patient:
        shape = np.array(patient.hu.shape)
        start, stop = np.round(shape * low).astype(int), np.round(shape * high).astype(int)
        box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
        affine = patient.grid.affine.copy()
        affine[:3, 3] = patient.grid.points_from_index(start)
        masks = {name: mask[box] for name, mask in patient.masks.items()}
        hu = patient.hu[box]
        return Patient(hu, Grid(hu.shape, affine), masks)

    return change


def sized(scale: tuple[float, float, float]) -> Change:
    """A smaller or larger body: the same voxels, farther apart."""

    def change(patient: Patient) -> Patient:
        affine = patient.grid.affine.copy()
        affine[:3, :3] = affine[:3, :3] * np.array(scale)
        return replace(patient, grid=replace(patient.grid, affine=affine))

    return change


def stored(order: tuple[int, int, int], flips: tuple[bool, bool, bool]) -> Change:
    """The same patient stored along other axes and in the other direction."""

    def change(patient: Patient) -> Patient:
        axes = tuple(a for a in range(3) if flips[a])
        affine = patient.grid.affine[:, [*order, 3]].copy()
        shape = tuple(patient.hu.shape[a] for a in order)
        for a in axes:
            affine[:3, 3] += affine[:3, a] * (shape[a] - 1)
            affine[:3, a] *= -1.0
        masks = {n: np.flip(np.transpose(m, order), axes) for n, m in patient.masks.items()}
        hu = np.ascontiguousarray(np.flip(np.transpose(patient.hu, order), axes))
        return Patient(hu, Grid(hu.shape, affine), masks)

    return change


def _pulled(patient: Patient, source: NDArray[np.float32]) -> Patient:
    """Every voxel fetched from (3, I, J, K) source indices."""
    hu = ndimage.map_coordinates(patient.hu, source, order=1, cval=-1024.0)
    masks = {
        name: ndimage.map_coordinates(mask.astype(np.float32), source, order=1) >= 0.5
        for name, mask in patient.masks.items()
    }
    return Patient(hu, patient.grid, masks)


def turned(axis: int, degrees: float) -> Change:
    """The patient lies turned about an LPS axis."""

    def change(patient: Patient) -> Patient:
        a, b = (i for i in range(3) if i != axis)
        c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        step = patient.grid.spacing
        at = np.indices(patient.hu.shape, dtype=np.float32)
        x = (at[a] - (at.shape[a + 1] - 1) / 2) * step[a]
        y = (at[b] - (at.shape[b + 1] - 1) / 2) * step[b]
        at[a] = (c * x + s * y) / step[a] + (at.shape[a + 1] - 1) / 2
        at[b] = (c * y - s * x) / step[b] + (at.shape[b + 1] - 1) / 2
        return _pulled(patient, at)

    return change


def warped(amplitude_mm: float, seed: int, wave_mm: float = 45.0) -> Change:
    """A smooth elastic deformation whose largest displacement is the amplitude."""

    def change(patient: Patient) -> Patient:
        rng = np.random.default_rng(seed)
        at = np.indices(patient.hu.shape, dtype=np.float32)
        extent = np.array(patient.hu.shape) * patient.grid.spacing
        knots = tuple(int(n) for n in np.maximum(np.ceil(extent / wave_mm), 3))
        field = np.stack([ndimage.gaussian_filter(rng.normal(size=knots), 0.8) for _ in range(3)])
        field *= amplitude_mm / np.linalg.norm(field, axis=0).max()
        to_knots = [np.linspace(0, n - 1, m) for n, m in zip(knots, patient.hu.shape, strict=True)]
        grid = np.meshgrid(*to_knots, indexing="ij")
        for axis in range(3):
            move = ndimage.map_coordinates(field[axis], grid, order=3, mode="nearest")
            at[axis] += (move / patient.grid.spacing[axis]).astype(np.float32)
        return _pulled(patient, at)

    return change


# ---- disease


def without_tumours(patient: Patient) -> Patient:
    """The liver's tumours replaced by liver of the level around them, with its texture."""
    tumour = ndimage.binary_dilation(patient.masks["liver_tumor"], iterations=2) & patient.masks["liver"]
    like = patient.masks["liver"] & ~tumour & (np.abs(patient.hu - patient.level("liver")) < 45.0)
    sigma = 12.0 / patient.grid.spacing
    weight = ndimage.gaussian_filter(like.astype(np.float32), sigma) + np.float32(1e-4)
    level = ndimage.gaussian_filter(np.where(like, patient.hu - patient.level("liver"), 0.0), sigma) / weight
    rest = (patient.hu - patient.level("liver") - level)[like]
    texture = np.random.default_rng(0).normal(0.0, 1.0, patient.hu.shape)
    texture = ndimage.gaussian_filter(texture, 0.6)
    texture *= rest.std() / texture.std()
    share = patient.soft(tumour)
    hu = patient.hu * (1 - share) + share * (patient.level("liver") + level + texture)
    masks = dict(patient.masks) | {"liver_tumor": np.zeros_like(tumour)}
    return Patient(hu.astype(np.float32), patient.grid, masks)


def with_tumours(count: int, radius_mm: float, hu: float, seed: int, *, at_border: bool) -> Change:
    """Ellipsoidal tumours inside the liver, deep in it or cut by its border."""

    def change(patient: Patient) -> Patient:
        rng = np.random.default_rng(seed)
        liver = patient.masks["liver"]
        depth = ndimage.distance_transform_edt(liver, sampling=patient.grid.spacing)
        low, high = (0.0, 0.35 * radius_mm) if at_border else (0.6 * radius_mm, np.inf)
        places = np.argwhere((depth > low) & (depth < high))
        tumour = np.zeros(liver.shape, dtype=bool)
        axes = [np.arange(n) * s for n, s in zip(liver.shape, patient.grid.spacing, strict=True)]
        for _ in range(count):
            place = places[rng.integers(len(places))] * patient.grid.spacing
            radii = radius_mm * rng.uniform(0.75, 1.25, 3)
            x, y, z = ((a - p) / r for a, p, r in zip(axes, place, radii, strict=True))
            tumour |= (x**2)[:, None, None] + (y**2)[None, :, None] + (z**2)[None, None, :] < 1.0
        tumour &= liver
        share = patient.soft(tumour)
        inside = hu + (patient.hu - patient.level("liver")) * 0.6
        result = patient.hu * (1 - share) + share * inside
        masks = dict(patient.masks) | {"liver_tumor": patient.masks["liver_tumor"] | tumour}
        return Patient(result.astype(np.float32), patient.grid, masks)

    return change


def removed(name: str) -> Change:
    """An organ taken out: fat and strands in its place, and no truth for it."""

    def change(patient: Patient) -> Patient:
        share = patient.soft(ndimage.binary_dilation(patient.masks[name], iterations=1))
        noise = ndimage.gaussian_filter(np.random.default_rng(1).normal(size=patient.hu.shape), 1.0) * 60.0
        hu = patient.hu * (1 - share) + share * (-95.0 + noise)
        masks = dict(patient.masks) | {name: np.zeros_like(patient.masks[name])}
        return Patient(hu.astype(np.float32), patient.grid, masks)

    return change


def all_of(*changes: Change) -> Change:
    """Several changes, one after the other."""

    def change(patient: Patient) -> Patient:
        for one in changes:
            patient = one(patient)
        return patient

    return change
