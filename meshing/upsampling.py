"""Masks of thick slices brought to nearly even spacing by shape-based interpolation.

Raya and Udupa (1990): between two slices the signed distance to the outline is
interpolated, not the grey value, so the outline glides from one slice to the next
instead of stepping. numpy and scipy.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .voxels import distance_inside, pieces

LIMIT_VOXELS = 60_000_000


def even_factors(spacing: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """(3,) odd factors that bring the spacing along each axis near the finest one, within memory."""
    ratio = spacing / spacing.min()
    factors = np.maximum(2 * np.round((ratio - 1) / 2).astype(int) + 1, 1)
    while np.prod(factors * np.array(shape)) > LIMIT_VOXELS and factors.max() > 1:
        factors[np.argmax(factors)] -= 2
    return factors


def refine(mask: NDArray[np.bool_], spacing: NDArray[np.float64], factors: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The mask with each voxel cut into `factors` parts; part centres at odd fractions, so voxel centres keep value.

    A piece that would fall apart between slices (an oblique thin vessel) is cut into
    blocks instead, which keep it whole.
    """
    fine = mask
    spacing = spacing.astype(np.float64).copy()
    for axis in np.argsort(spacing)[::-1]:
        if factors[axis] > 1:
            fine = _between_slices(fine, int(axis), int(factors[axis]), spacing)
            spacing[axis] /= factors[axis]
    blocks = mask
    for axis in range(3):
        blocks = np.repeat(blocks, factors[axis], axis=axis)
    return _kept_whole(mask, fine, blocks, factors)


def _between_slices(mask: NDArray[np.bool_], axis: int, factor: int, spacing: NDArray) -> NDArray[np.bool_]:
    slices = np.moveaxis(mask, axis, 0)
    pixel = np.delete(spacing, axis)
    distance = np.stack([_signed_distance(image, pixel) for image in np.pad(slices, ((1, 1), (0, 0), (0, 0)))])
    count = len(slices)
    fine = np.empty((count * factor, *slices.shape[1:]), dtype=bool)
    for part in range(factor):
        place = (part - (factor - 1) / 2) / factor
        near = distance[1 : count + 1]
        other = distance[2:] if place > 0 else distance[:count]
        far = np.where(np.isfinite(other), other, near - 2 * _reach(near))
        with np.errstate(invalid="ignore"):  # −inf − −inf between two empty slices: not inside
            fine[part::factor] = near + abs(place) * (far - near) > 0 if place else near > 0
    return np.moveaxis(fine, 0, axis)


def _reach(distance: NDArray) -> NDArray:
    """(n, 1, 1) the largest depth within each slice: a last slice ends in a dome of half its thickness."""
    finite = np.where(np.isfinite(distance), distance, 0.0)
    return np.maximum(finite.max(axis=(1, 2), keepdims=True), 1e-6)


def _signed_distance(image: NDArray[np.bool_], pixel: NDArray) -> NDArray[np.float32]:
    """Positive inside; −inf everywhere in an empty slice."""
    if not image.any():
        return np.full(image.shape, -np.inf, dtype=np.float32)
    if image.all():
        return np.full(image.shape, float(np.max(pixel * image.shape)), dtype=np.float32)
    return (distance_inside(image, pixel) - distance_inside(~image, pixel)).astype(np.float32)


def _kept_whole(mask: NDArray, fine: NDArray, blocks: NDArray, factors: NDArray) -> NDArray[np.bool_]:
    """Use blocks for those components of the mask that the interpolation broke."""
    before, number = pieces(mask)
    after, found = pieces(fine)
    if found <= number:
        return fine
    centre = tuple(slice(int(f) // 2, None, int(f)) for f in factors)
    pairs = np.unique(np.stack([before[mask], after[centre][mask]], axis=1), axis=0)
    pairs = pairs[pairs[:, 1] > 0]
    broken = np.flatnonzero(np.bincount(pairs[:, 0], minlength=number + 1) > 1)
    if not broken.size:
        return fine
    whole = np.isin(before, broken)
    for axis in range(3):
        whole = np.repeat(whole, factors[axis], axis=axis)
    return fine | (whole & blocks)
