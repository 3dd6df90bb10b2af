"""Analytic bodies as masks and label maps: their true volumes and surfaces are known."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from preop.imaging.anatomy import BY_LABEL, SEGMENTS
from preop.imaging.volume import Grid, LabelMap

Distance = Callable[[NDArray], NDArray]


def grid_of(spacing, size_mm, direction=None, origin=(10.0, -20.0, 30.0)) -> Grid:
    """A grid of a given extent whose centre voxel lies about `origin`."""
    spacing = np.asarray(spacing, dtype=float)
    shape = tuple(int(n) for n in np.maximum(np.round(np.asarray(size_mm) / spacing), 1))
    affine = np.eye(4)
    affine[:3, :3] = (np.eye(3) if direction is None else np.asarray(direction)) @ np.diag(spacing)
    affine[:3, 3] = np.asarray(origin) - affine[:3, :3] @ ((np.array(shape) - 1) / 2)
    return Grid((shape[0], shape[1], shape[2]), affine)


def centres(grid: Grid, origin=(10.0, -20.0, 30.0)) -> NDArray:
    """(I, J, K, 3) LPS mm of the voxel centres relative to `origin`."""
    index = np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1)
    return grid.points_from_index(index) - np.asarray(origin)


def sphere(radius: float, at=(0.0, 0.0, 0.0)) -> Distance:
    return lambda p: np.linalg.norm(p - np.asarray(at), axis=-1) - radius


def torus(major: float, minor: float) -> Distance:
    return lambda p: np.hypot(np.hypot(p[..., 0], p[..., 1]) - major, p[..., 2]) - minor


def rod(radius: float, half_length: float, axis=(1.0, 0.3, 0.5)) -> Distance:
    unit = np.asarray(axis) / np.linalg.norm(axis)

    def distance(p: NDArray) -> NDArray:
        along = np.clip(p @ unit, -half_length, half_length)
        return np.linalg.norm(p - along[..., None] * unit, axis=-1) - radius

    return distance


def liver_like(spacing=(2.0, 2.0, 2.0)) -> LabelMap:
    """A ball of liver (30 mm) with a tumour (10 mm) that reaches its border and a vessel (4 mm) inside."""
    grid = grid_of(spacing, (76, 76, 76))
    p = centres(grid)
    labels = np.zeros(grid.shape, dtype=np.uint16)
    inside = sphere(30)(p) < 0
    labels[inside] = SEGMENTS["liver"].label
    labels[inside & (sphere(10, (22, 0, 0))(p) < 0)] = SEGMENTS["liver_tumor"].label
    labels[inside & (rod(4, 16, (0, 1, 0.2))(p + np.array([8.0, 0, 0])) < 0)] = SEGMENTS[
        "portal_vein_intrahepatic"
    ].label
    return LabelMap(labels, grid, BY_LABEL)


def aneurysm(spacing=(1.5, 1.5, 2.0), *, thrombus: bool = True) -> LabelMap:
    """An aorta of 8 mm radius along z that bulges to 16 mm, thrombus in the bulge, cut by the grid at both ends."""
    grid = grid_of(spacing, (56, 56, 80), origin=(0, 0, 0))
    x, y, z = np.moveaxis(centres(grid, (0, 0, 0)), -1, 0)
    bulge = np.exp(-((z / 16.0) ** 2))
    outer = np.hypot(x, y) < 8 + 8 * bulge
    lumen = np.hypot(x, y - 2 * bulge) < 8 + 1.5 * bulge
    labels = np.zeros(grid.shape, dtype=np.uint16)
    if thrombus:
        labels[outer] = SEGMENTS["aortic_thrombus"].label
    labels[lumen] = SEGMENTS["aorta"].label
    return LabelMap(labels, grid, BY_LABEL)
