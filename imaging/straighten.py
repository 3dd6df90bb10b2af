"""A sheared stack (tilted gantry) → an orthogonal grid, by shifting each slice within its own plane.

The slices of a tilted gantry are parallel, but each is shifted against the one before. On a grid whose K axis is the
normal of the slices, the same planes are sampled: every slice moves as a whole by a part of a pixel, linearly
interpolated, and nothing is interpolated between slices.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .volume import Grid, ImageVolume

AIR_HU = -1024.0
"""What lies beyond a CT slice: the lowest value of the 12-bit HU range."""


def straighten(volume: ImageVolume) -> ImageVolume:
    """The volume on an orthogonal grid that is large enough to hold every slice.

    Args:
        volume: any; one that is orthogonal already is returned as it is.

    Returns:
        The same planes; beyond a slice, air in a CT and the lowest value in others. A note says so.
    """
    if volume.grid.is_orthogonal:
        return volume
    affine, spacing, direction = volume.affine, volume.spacing, volume.grid.direction
    normal = np.cross(direction[:, 0], direction[:, 1])
    step = affine[:3, 2]
    height = float(step @ normal)
    # Pixels by which slice k lies off a stack along the normal, in i and in j.
    shift = np.outer(np.arange(volume.voxels.shape[2]), (step - height * normal) @ direction[:, :2] / spacing[:2])
    low = np.floor(shift.min(axis=0)).astype(int)
    high = np.ceil(shift.max(axis=0)).astype(int)
    shape = (*(np.array(volume.voxels.shape[:2]) + high - low), volume.voxels.shape[2])
    beyond = AIR_HU if volume.unit == "HU" else float(volume.voxels.min())
    voxels = np.full(shape, beyond, np.float32, order="F")
    for k in range(shape[2]):
        voxels[:, :, k] = _shifted(volume.voxels[:, :, k], shift[k] - low, shape[:2], beyond)
    straight = np.eye(4)
    straight[:3, :2], straight[:3, 2] = affine[:3, :2], height * normal
    straight[:3, 3] = affine[:3, 3] + affine[:3, :2] @ low
    tilt = np.degrees(np.arccos(height / np.linalg.norm(step)))
    grid = Grid((shape[0], shape[1], shape[2]), straight, volume.grid.frame_of_reference_uid)
    note = f"the tilt of {tilt:.1f}° was straightened: slices were shifted within their planes, linearly interpolated"
    return replace(volume, voxels=voxels, grid=grid, notes=(*volume.notes, note))


def _shifted(
    picture: NDArray[np.float32], shift: NDArray, shape: tuple[int, int], beyond: float
) -> NDArray[np.float32]:
    """(I', J') a slice moved by `shift` ≥ 0 pixels into a larger frame; linear between pixels, `beyond` outside."""
    whole = np.floor(shift).astype(int)
    a, b = (shift - whole).astype(np.float32)
    framed = np.full((shape[0] + 1, shape[1] + 1), np.nan, np.float32)
    framed[whole[0] : whole[0] + picture.shape[0], whole[1] : whole[1] + picture.shape[1]] = picture
    # NaN marks the outside: a pixel of which one neighbour lies there has no value of its own.
    if a > 0:
        framed[1:] = (1 - a) * framed[1:] + a * framed[:-1]
        framed[0] = np.nan
    if b > 0:
        framed[:, 1:] = (1 - b) * framed[:, 1:] + b * framed[:, :-1]
        framed[:, 0] = np.nan
    return np.nan_to_num(framed[: shape[0], : shape[1]], nan=beyond)
