"""The trunk without table, clothes and free-lying arms; and what its tissues measure.

Air that reaches the sides of the scan is outside. Lungs cut off by a narrow field of
view also reach the sides, but hold blood: they are some tens of HU denser than air, and
wrapped in thick chest wall, which foam of the same density is not. What is left is
opened to part the table from the back.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..errors import SegmentationError
from ..progress import Progress
from .case import Case
from .morphology import ball, closed, connected_to, fill_slices, largest

AIR_TO_SKIN_HU = -350.0
"""Between air (−1000) and fat (−100), lower than the middle so that half-filled skin voxels stay."""

_WRAPPED = 0.75
"""Share of a light thing's surface that lies on thick tissue, from which on it is a lung: a
mattress lies in the open, and the foam of a table in a shell of millimetres."""

_LUNG_ABOVE_AIR = 45.0
"""HU. Even inflated or emphysematous lung is denser than air by more than this (density 0.05-0.1 g/cm³)."""


def find(case: Case, progress: Progress) -> dict[str, NDArray[np.bool_]]:
    """Find the trunk.

    Raises:
        SegmentationError: nothing in the scan is as dense as tissue.
    """
    hu = case.coarse.voxels
    progress(0.0, "body")
    frame = case.frame
    frame.air_hu = _air_level(hu)
    trunk = _trunk(hu, frame.air_hu, case.coarse.grid.spacing)
    if trunk.sum() * case.coarse.grid.voxel_volume < 1e5:
        raise SegmentationError(
            "no body in this scan: less than 0.1 L is as dense as tissue", advice="Is it a CT of a patient, in HU?"
        )
    frame.body = trunk
    frame.centre, frame.half_size = _outline(trunk, case)
    _measure_tissues(case)
    progress(0.5, "body")
    return {"body": _refined(case, trunk)}


def _air_level(hu: NDArray[np.float32]) -> float:
    """HU of air: the lowest mode below −900 (inflated lung may be a higher one), or −1000 where there is none."""
    air = hu[(hu < -900) & (hu > -1023.5)]
    if air.size < 500:
        return -1000.0
    counts, edges = np.histogram(air, bins=np.arange(-1024, -896, 4))
    smooth = ndimage.gaussian_filter1d(counts.astype(float), 1.0, mode="constant")
    peak = (smooth >= np.roll(smooth, 1)) & (smooth >= np.roll(smooth, -1)) & (smooth > 0.2 * smooth.max())
    return float(edges[np.flatnonzero(peak)[0]] + 2.0)


def _trunk(hu: NDArray[np.float32], air_hu: float, spacing: NDArray[np.float64]) -> NDArray[np.bool_]:
    outside = _outside(hu < AIR_TO_SKIN_HU, hu, air_hu, spacing)
    dense = ~outside
    # Tables are shells of a few millimetres; limbs, breasts and skin folds are thicker.
    core = largest(_opened(dense, ball(6.0, spacing)))
    grown = ndimage.binary_dilation(core, ball(3.0, spacing)) & dense
    return fill_slices(grown)


def _outside(
    thin: NDArray[np.bool_], hu: NDArray[np.float32], air_hu: float, spacing: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Pure air that reaches the sides of the scan, and the foam and cloth that lie in it."""
    element = ball(5.0, spacing)
    pure = thin & (hu < air_hu + _LUNG_ABOVE_AIR)
    rim = np.zeros_like(thin)
    rim[[0, -1]] = rim[:, [0, -1]] = True
    air = connected_to(_opened(pure, element), rim)
    air = ndimage.binary_dilation(air, element, iterations=2, mask=pure)
    labels, _ = ndimage.label(_opened(thin & ~air, element))
    lung_like = np.zeros_like(thin)
    wall = ndimage.binary_dilation(largest(_opened(~thin, ball(4.0, spacing))), element)
    seen = ~rim & (hu > -1020.0)
    for i, box in enumerate(ndimage.find_objects(labels), start=1):
        piece = labels[box] == i
        solid = closed(piece, 10.0, spacing)
        shell = solid & ~ndimage.binary_erosion(solid, border_value=1) & seen[box]
        if (shell & wall[box]).sum() > _WRAPPED * shell.sum():
            lung_like[box] |= piece
        else:
            air[box] |= piece
    lung_like = ndimage.binary_dilation(lung_like, element) & ~air
    return ndimage.binary_dilation(air, element, iterations=2, mask=thin & ~lung_like)


def _opened(mask: NDArray[np.bool_], element: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return ndimage.binary_opening(_padded(mask), element)[3:-3, 3:-3, 3:-3]


def _padded(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Continued beyond the scan, so that opening does not eat what the scan's edge cuts."""
    return np.pad(mask, 3, mode="edge")


def _outline(trunk: NDArray[np.bool_], case: Case) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(K, 2) middle and half size of the trunk in x and y, mm; NaN where a slice has none."""
    count = trunk.shape[2]
    centre, half = np.full((count, 2), np.nan), np.full((count, 2), np.nan)
    origin, step = case.coarse.grid.origin, np.diag(case.coarse.grid.affine)
    for k in range(count):
        for axis in range(2):
            hit = np.flatnonzero(trunk[:, :, k].any(axis=1 - axis))
            if hit.size:
                centre[k, axis] = origin[axis] + step[axis] * (hit[0] + hit[-1]) / 2
                half[k, axis] = step[axis] * (hit[-1] - hit[0] + 1) / 2
    return centre, half


def _measure_tissues(case: Case) -> None:
    """Modes of fat and of lean tissue, and the noise, from the scan itself."""
    frame, hu = case.frame, case.coarse.voxels
    assert frame.body is not None
    inside = hu[frame.body]
    frame.fat_hu = _mode(inside, -160.0, -50.0, default=-100.0)
    lean = _mode(inside, 30.0, 90.0, default=50.0)
    near = inside[np.abs(inside - lean) < 30.0]
    frame.muscle_hu = (lean, float(near.std()) if near.size > 100 else 15.0)
    frame.noise_hu = _noise(case, lean)


def _mode(values: NDArray[np.float32], low: float, high: float, *, default: float) -> float:
    chosen = values[(values > low) & (values < high)]
    if chosen.size < 200:
        return default
    counts, edges = np.histogram(chosen, bins=np.arange(low, high + 2.0, 2.0))
    smooth = ndimage.gaussian_filter1d(counts.astype(float), 2.0)
    return float(edges[smooth.argmax()] + 1.0)


def _noise(case: Case, lean: float) -> float:
    """Standard deviation of full-resolution voxels about the coarse mean, in lean tissue of the middle slices."""
    k = case.grid.shape[2] // 2
    box = (slice(None), slice(None), slice(max(k - 2, 0), k + 3))
    base = case.pyramid.up(case.coarse.voxels, box)
    rest = (case.voxels[box] - base)[np.abs(base - lean) < 15.0]
    if rest.size < 1000:
        return 15.0
    return float(1.4826 * np.median(np.abs(rest - np.median(rest))))


def _refined(case: Case, trunk: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """At full resolution: the inside as found, and the skin where HU says it is."""
    spacing = case.coarse.grid.spacing
    inner = ndimage.binary_erosion(_padded(trunk), ball(4.0, spacing))[3:-3, 3:-3, 3:-3]
    outer = ndimage.binary_dilation(trunk, ball(3.0, spacing))
    level = case.pyramid.up(inner.astype(np.float32) + outer)
    return (level > 1.5) | ((level > 0.5) & (case.voxels > AIR_TO_SKIN_HU))
