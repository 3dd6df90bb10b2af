"""A sheared stack (tilted gantry) → an orthogonal grid, by shifting each slice within its own plane.

The slices of a tilted gantry are parallel, but each is shifted against the one before. On a grid whose slice axis is
the normal of the slices, the same planes are sampled: every slice moves as a whole by a part of a pixel, linearly
interpolated, and nothing is interpolated between slices.

Axes that are perpendicular but for rounding are no tilt: `squared` turns them to right angles, and no value changes.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from .errors import GeometryError
from .volume import Grid, ImageVolume

AIR_HU = -1024.0
"""What lies beyond a CT slice: the lowest value of the 12-bit HU range."""

SKEW = 1e-3
"""Cosine between two axes up to which they count as perpendicular (0.06°): direction cosines of three digits miss a
right angle by this much. More is a tilt."""

TILTED = "slices are sheared against each other, and so is the grid"
"""How the note on a tilt ends that is no longer true of a straightened volume."""


def tilt_degrees(grid: Grid, slices: int = 2) -> float:
    """Angle between the axis of the slices and the normal of the other two."""
    direction = grid.direction
    a, b = (axis for axis in range(3) if axis != slices)
    normal = np.cross(direction[:, a], direction[:, b])
    along = abs(direction[:, slices] @ normal) / np.linalg.norm(normal)
    return float(np.degrees(np.arccos(np.clip(along, -1.0, 1.0))))


def require_tilt_only(grid: Grid, where: str) -> None:
    """Refuse a grid that is sheared otherwise than a tilted gantry does it.

    The table moves along the body, and so the axis of a CT's slices is the one nearest to the patient's z, wherever the
    file stores it. The other two lie in the detector's plane, where nothing shears them.

    Raises:
        GeometryError: these two are not perpendicular (`SKEW`).
    """
    cosines = np.abs(grid.direction.T @ grid.direction)
    slices = _along_the_body(grid)
    a, b = (axis for axis in range(3) if axis != slices)
    if cosines[a, b] <= SKEW:
        return
    if max(cosines[a, slices], cosines[b, slices]) > SKEW:
        raise GeometryError(_DEFORMED, where=where, advice=_GIVE_THE_SCAN)
    angle = float(np.degrees(np.arcsin(min(cosines[a, b], 1.0))))
    what = f"the {_ORDINAL[a]} and the {_ORDINAL[b]} axis miss a right angle by {angle:.1f}°: it is sheared within its"
    raise GeometryError(f"{what} slices, as no scanner does", where=where, advice=_GIVE_THE_SCAN)


_DEFORMED = "the volume is sheared along several axes: it was deformed, not scanned so"
_GIVE_THE_SCAN = "Give the scan itself, or bring it to axes at right angles first"
_ORDINAL = ("first", "second", "third")


def _along_the_body(grid: Grid) -> int:
    """The axis that is nearest to the patient's z."""
    return int(np.abs(grid.direction[2]).argmax())


def squared(grid: Grid, slices: int | None = None) -> Grid:
    """The grid with axes that are perpendicular but for rounding (`SKEW`) made so, about its centre.

    No voxel moves by more than a half of `SKEW` times its distance from the centre. Spacing and shape stay. Of a
    sheared grid only the two axes of its slices are squared; one that is orthogonal already is returned as it is.
    `slices` as for `slice_axis`.
    """
    if grid.is_orthogonal:
        return grid
    axes = grid.direction
    cosines = np.abs(axes.T @ axes - np.eye(3))
    if cosines.max() <= SKEW:
        # The nearest rotation (polar decomposition) shares the error out among the axes.
        left, _, right = np.linalg.svd(axes)
        return _turned(grid, left @ right)
    slices = slice_axis(grid, slices)
    if slices is None:
        return grid
    a, b = (axis for axis in range(3) if axis != slices)
    total, difference = axes[:, a] + axes[:, b], axes[:, a] - axes[:, b]
    total, difference = total / np.linalg.norm(total), difference / np.linalg.norm(difference)
    axes = axes.copy()
    axes[:, a], axes[:, b] = (total + difference) / np.sqrt(2), (total - difference) / np.sqrt(2)
    return _turned(grid, axes)


def slice_axis(grid: Grid, slices: int | None = None) -> int | None:
    """The axis along which parallel slices are shifted: the other two are perpendicular. None if there is no such axis.

    Args:
        grid: where two axes are sheared against each other, either could be that of the slices.
        slices: the axis of the slices, where it is known. Without it, of several the one along the body.
    """
    cosines = np.abs(grid.direction.T @ grid.direction)
    pairs = {2: cosines[0, 1], 1: cosines[0, 2], 0: cosines[1, 2]}
    wanted = [_along_the_body(grid), *pairs] if slices is None else [slices]
    return next((axis for axis in wanted if pairs[axis] <= SKEW), None)


def _turned(grid: Grid, axes: NDArray[np.float64]) -> Grid:
    """The grid with other unit vectors and the same centre."""
    middle = (np.array(grid.shape) - 1) / 2
    affine = np.eye(4)
    affine[:3, :3] = axes * grid.spacing
    affine[:3, 3] = grid.points_from_index(middle) - affine[:3, :3] @ middle
    return replace(grid, affine=affine)


def straighten(volume: ImageVolume, slices: int | None = None) -> ImageVolume:
    """The volume on an orthogonal grid that is large enough to hold every slice.

    Args:
        volume: any; one that is orthogonal already is returned as it is, one that is so but for rounding on `squared`
            axes.
        slices: as for `slice_axis`.

    Returns:
        The same planes; beyond a slice, air in a CT and the lowest value in others. A note says so.

    Raises:
        GeometryError: sheared along several axes, which no tilt does.
    """
    grid = squared(volume.grid, slices)
    if grid.is_orthogonal:
        return volume if grid is volume.grid else replace(volume, grid=grid)
    axis = slice_axis(grid, slices)
    if axis is None:
        raise GeometryError(_DEFORMED, advice=_GIVE_THE_SCAN)
    order = [*(one for one in range(3) if one != axis), axis]
    voxels, affine = _straightened(volume, grid.affine[:, [*order, 3]], volume.voxels.transpose(order))
    back = np.argsort(order)
    voxels, affine = voxels.transpose(back), affine[:, [*back, 3]]
    straight = replace(grid, shape=voxels.shape, affine=affine)
    tilt = tilt_degrees(grid, axis)
    note = f"the tilt of {tilt:.1f}° was straightened: slices were shifted within their planes, linearly interpolated"
    notes = (*(one for one in volume.notes if not one.endswith(TILTED)), note)
    return replace(volume, voxels=voxels, grid=straight, notes=notes)


def _straightened(
    volume: ImageVolume, affine: NDArray[np.float64], slices: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Slices (I, J, K) on a grid sheared along its last axis → (I', J', K) and the affine of a straight one."""
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    direction = affine[:3, :3] / spacing
    normal = np.cross(direction[:, 0], direction[:, 1])
    step = affine[:3, 2]
    height = float(step @ normal)
    # Pixels by which slice k lies off a stack along the normal, in i and in j.
    shift = np.outer(np.arange(slices.shape[2]), (step - height * normal) @ direction[:, :2] / spacing[:2])
    low = np.floor(shift.min(axis=0)).astype(int)
    high = np.ceil(shift.max(axis=0)).astype(int)
    rows, columns = map(int, np.array(slices.shape[:2]) + high - low)
    beyond = AIR_HU if volume.unit == "HU" else float(volume.voxels.min())
    voxels = np.full((rows, columns, slices.shape[2]), beyond, np.float32, order="F")
    for k in range(slices.shape[2]):
        voxels[:, :, k] = _shifted(slices[:, :, k], shift[k] - low, (rows, columns), beyond)
    straight = np.eye(4)
    straight[:3, :2], straight[:3, 2] = affine[:3, :2], height * normal
    straight[:3, 3] = affine[:3, 3] + affine[:3, :2] @ low
    return voxels, straight


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
