"""Small pieces of mask arithmetic that several stages share. Voxel spacing in mm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .resample import box_of

Mask = NDArray[np.bool_]


def ball(radius_mm: float, spacing: NDArray[np.float64]) -> Mask:
    """A ball as a structuring element; at least the 6-neighbourhood."""
    reach = np.maximum(np.floor(radius_mm / spacing + 1e-6).astype(int), 0)
    axes = [np.arange(-r, r + 1) * s for r, s in zip(reach, spacing, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij")
    element = x**2 + y**2 + z**2 <= radius_mm**2 * (1 + 1e-6)
    return element if element.sum() > 1 else ndimage.generate_binary_structure(3, 1)


def label(mask: Mask) -> tuple[NDArray[np.int32], int]:
    """Connected pieces (6-neighbourhood) numbered from 1, and how many."""
    labels = np.empty(mask.shape, dtype=np.int32)
    count = ndimage.label(mask, output=labels)
    return labels, int(count)  # type: ignore[arg-type]


def largest(mask: Mask) -> Mask:
    """The largest connected piece (6-neighbourhood); empty stays empty."""
    labels, count = label(mask)
    if count < 2:
        return mask.copy()
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    return labels == sizes.argmax()


def components(mask: Mask, least_voxels: int = 1) -> list[Mask]:
    """Connected pieces of at least so many voxels, largest first."""
    labels, count = label(mask)
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    chosen = [i for i in range(1, count + 1) if sizes[i] >= least_voxels]
    return [labels == i for i in sorted(chosen, key=lambda i: -sizes[i])]


def without_small(mask: Mask, least_voxels: int) -> Mask:
    """The mask without pieces of fewer voxels."""
    labels, _ = label(mask)
    sizes = np.bincount(labels.ravel())
    keep = sizes >= least_voxels
    keep[0] = False
    return keep[labels]


def connected_to(mask: Mask, start: Mask) -> Mask:
    """The pieces of a mask that contain a voxel of `start`."""
    labels, _ = label(mask)
    hit = np.unique(labels[start & mask])
    keep = np.zeros(int(labels.max()) + 1, dtype=bool)
    keep[hit] = True
    keep[0] = False
    return keep[labels]


def fill_slices(mask: Mask) -> Mask:
    """Holes filled in every axial slice (a lumen or lung cut by the last slice counts as a hole)."""
    filled = np.empty_like(mask)
    for k in range(mask.shape[2]):
        filled[:, :, k] = ndimage.binary_fill_holes(mask[:, :, k])
    return filled


def closed(mask: Mask, radius_mm: float, spacing: NDArray[np.float64]) -> Mask:
    """Closing with a ball, by two distance maps, so that its cost does not grow with the radius."""
    margin = np.ceil(radius_mm / spacing).astype(int) + 1
    box = box_of(mask)
    if box is None:
        return mask.copy()
    padded = np.pad(mask[box], [(m, m) for m in margin])
    dilated = distance(~padded, spacing) <= radius_mm
    inner = tuple(slice(m, n - m) for m, n in zip(margin, padded.shape, strict=True))
    result = mask.copy()
    result[box] |= (distance(dilated, spacing) > radius_mm)[inner]
    return result


def distance(mask: Mask, spacing: NDArray[np.float64]) -> NDArray[np.float32]:
    """mm from every voxel of a mask to the nearest voxel outside it; 0 outside, infinite where nothing is outside."""
    import SimpleITK as sitk

    if mask.all():
        return np.full(mask.shape, np.inf, dtype=np.float32)
    result = np.zeros(mask.shape, dtype=np.float32)
    box = box_of(mask, 1)
    if box is None:
        return result
    # the nearest voxel outside is never beyond the layer around the mask's box
    image = sitk.GetImageFromArray(np.ascontiguousarray(~mask[box], dtype=np.uint8))
    image.SetSpacing([float(s) for s in spacing[::-1]])
    signed = sitk.SignedMaurerDistanceMap(image, squaredDistance=False, useImageSpacing=True)
    result[box] = np.maximum(sitk.GetArrayFromImage(signed), np.float32(0.0))
    return result


def median(field: NDArray[np.float32]) -> NDArray[np.float32]:
    """The median over the 27 voxels around each."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(np.ascontiguousarray(field))
    return sitk.GetArrayFromImage(sitk.Median(image, [1, 1, 1]))
