"""What the built-in segmenter would refuse a scan for, and so would a built-in scene without given labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def unmet_needs(modality: str, shape: tuple[int, int, int], affine: NDArray[np.float64]) -> tuple[str, ...]:
    """What a scan lacks for the built-in segmenter, in words; empty if its header promises all.

    Args:
        modality: DICOM Modality; whether a CT is in HU only its voxels tell.
        shape: (I, J, K) voxels.
        affine: (4, 4) voxel index → LPS mm.
    """
    from .segmentation.registry import segmenter

    needs, found = segmenter().needs, []
    if needs.modality and modality != needs.modality:
        return (f"not a {needs.modality} in HU, which the built-in segmenter needs",)
    spacing = float(np.linalg.norm(affine[:3, :3], axis=0).max())
    if spacing > needs.max_spacing_mm:
        found.append(
            f"too coarse for the built-in segmenter: voxels or slices are {spacing:.1f} mm apart, and it works to "
            f"{needs.max_spacing_mm:g} mm"
        )
    # Of the axes, the one that runs along the body the farthest.
    covered = float((np.abs(affine[2, :3]) * shape).max())
    if covered < needs.coverage_mm:
        found.append(
            f"too short for the built-in segmenter: it covers {covered:.0f} mm of the body's length, and "
            f"{needs.coverage_mm:g} mm are needed"
        )
    return tuple(found)
