"""Thrombus in an aneurysm: soft tissue between the lumen and the aortic wall.

Around the lumen of every slice, rays run outward to the first fat, bone or enhanced
vessel. The wall is the circle that agrees with most of these ends and holds the lumen
(consensus of random triples), so that bowel or muscle that touches the sac does not pull
it out. Between lumen and circle lies thrombus, where it is thick enough over a stretch.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..progress import Progress
from .case import Case
from .morphology import Mask, distance, label
from .resample import Pyramid, box_of

SPACING_MM = 1.25
_RAYS = 72
_REACH_MM = 45.0
_THICK_MM = 4.5
"""Thinner than this is wall (1-2 mm), plaque and partial volume."""

_DILATED_MM = 26.0
"""Outer diameter from which on an abdominal aorta is called dilated (30 mm: aneurysm)."""

_FILLED = 0.93
_LENGTH_MM = 20.0
_LEAST_ML = 8.0
"""Less thrombus cannot be told from duodenum or nodes beside a healthy aorta."""

_TOLERANCE_MM = 1.8

_CLOT_HU = 80.0
"""A fresh clot measures 50 to 80 HU without contrast, an old one less, and neither takes any up."""
_ABOVE_CLOT_HU = 25.0
_RIM_MM = 2.5
"""As far from the lumen and from the wall, and within one and a half voxels, thrombus is mixed with what lies there."""
_MOST_CONTRAST = 0.3
"""Share of the inside of a thrombus above those values: a calcified or a freshly bleeding one has less."""


def find(case: Case, progress: Progress) -> dict[str, NDArray[np.bool_]]:
    """Find thrombus; {} where the aorta was not found or has none."""
    progress(0.0, "aortic thrombus")
    if "aorta" not in case.masks or case.frame.aorta_hu is None:
        return {}
    pyramid = Pyramid.over(case.grid, max(SPACING_MM, float(case.grid.spacing.min())))
    grid = pyramid.coarse
    lumen = pyramid.down(case.masks["aorta"]) > 0.5
    margin = int(np.ceil(_REACH_MM / grid.spacing[:2].min()))
    box = box_of(lumen, margin=margin)
    if box is None:
        return {}
    box = (box[0], box[1], slice(0, grid.shape[2]))
    hu = ndimage.gaussian_filter(pyramid.down(np.clip(case.voxels, -200.0, 1000.0))[box], 0.7)
    inner = lumen[box]
    lean = case.frame.muscle_hu[0]
    tissue = (hu > lean - 55.0) & (hu < lean + 0.45 * (case.frame.aorta_hu - lean))
    tissue |= inner
    if "bone" in case.masks:
        tissue &= ~(pyramid.down(case.masks["bone"])[box] > 0.5) | inner
    walls = _walls(inner, tissue, grid.spacing)
    progress(0.6, "aortic thrombus")
    found = _between(inner, tissue, walls, grid.spacing)
    if not found.any():
        return {}
    share = contrast_share(hu, found, lean, grid.spacing)
    if share > _MOST_CONTRAST:
        for name in ("aortic_thrombus", "aorta"):
            case.fault(name, _HOLDS_CONTRAST[name].format(100 * share))
    whole = np.zeros(grid.shape, dtype=bool)
    whole[box] = found
    full = pyramid.up_mask(whole)
    for name in ("aorta", "iliac_artery_left", "iliac_artery_right", "bone"):
        if name in case.masks:
            full &= ~case.masks[name]
    return {"aortic_thrombus": full & _closest(full, case)}


_HOLDS_CONTRAST = {
    "aortic_thrombus": "{:.0f} % of it holds contrast medium: it is no thrombus, or not only; "
    "maybe a second (false) lumen: a dissection",
    "aorta": "beside it lies, inside the same wall, blood with contrast medium: maybe a second lumen, a dissection",
}


def contrast_share(hu: NDArray[np.float32], thrombus: Mask, lean: float, spacing: NDArray[np.float64]) -> float:
    """Share in [0, 1] of what was taken for thrombus that is brighter than any clot, away from its borders.

    Args:
        hu: (I, J, K) smoothed.
        thrombus: (I, J, K), not empty.
        lean: HU of muscle.
        spacing: (3,) mm.
    """
    inner = distance(thrombus, spacing) > max(_RIM_MM, 1.5 * float(spacing.max()))
    if not inner.any():
        return 0.0
    # A mean over 4 mm takes most of the noise away, inside the thrombus only.
    weight = ndimage.uniform_filter(thrombus.astype(np.float32), np.maximum(np.round(4.0 / spacing), 1).astype(int))
    level = ndimage.uniform_filter(np.where(thrombus, hu, 0.0), np.maximum(np.round(4.0 / spacing), 1).astype(int))
    clot = max(_CLOT_HU, lean) + _ABOVE_CLOT_HU
    return float((level[inner] > clot * weight[inner]).mean())


def _walls(lumen: Mask, tissue: Mask, spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    """(K, 4) middle i, j (voxels), radius (mm) and agreement in [0, 1] of the wall's circle; NaN without lumen."""
    walls = np.full((lumen.shape[2], 4), np.nan)
    for k in range(lumen.shape[2]):
        if lumen[:, :, k].sum() * spacing[0] * spacing[1] < 20.0:
            continue
        ends = _ray_ends(lumen[:, :, k], tissue[:, :, k], spacing)
        circle = _consensus(ends, lumen[:, :, k], spacing, np.random.default_rng(k))
        if circle is not None:
            walls[k] = circle
    return walls


def _ray_ends(lumen: Mask, tissue: Mask, spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 2) mm where rays from the lumen's middle leave soft tissue; rays that never leave it are dropped."""
    centre = np.array(ndimage.center_of_mass(lumen)) * spacing[:2]
    angle = np.arange(_RAYS) * 2 * np.pi / _RAYS
    step = 0.5 * float(spacing[:2].min())
    distance = np.arange(0.0, _REACH_MM, step)
    at = centre[:, None, None] + np.array([np.cos(angle), np.sin(angle)])[:, :, None] * distance
    index = np.round(at / spacing[:2, None, None]).astype(int)
    inside = np.all((index >= 0) & (index < np.array(lumen.shape)[:, None, None]), axis=0)
    i, j = (np.clip(index[a], 0, lumen.shape[a] - 1) for a in range(2))
    soft = tissue[i, j] & inside
    # The lumen's own rim passes through other values; rays start where they leave it.
    last = np.where(lumen[i, j] & inside, np.arange(len(distance)), -1).max(axis=1)
    skip = np.arange(len(distance))[None, :] <= last[:, None] + max(round(1.5 / step), 1)
    out = ~(soft | skip)
    first = np.where(out.any(axis=1), out.argmax(axis=1), len(distance) - 1)
    left = out.any(axis=1) & inside[np.arange(_RAYS), first]
    return at[:, np.arange(_RAYS), first].T[left]


def _consensus(
    ends: NDArray[np.float64], lumen: Mask, spacing: NDArray[np.float64], random: np.random.Generator
) -> tuple[float, float, float, float] | None:
    """The circle around the lumen that most ray ends lie on (RANSAC, Fischler and Bolles 1981)."""
    if len(ends) < 12:
        return None
    triples = random.integers(0, len(ends), size=(400, 3))
    centre, radius = _circles(ends[triples])
    points = np.argwhere(lumen & ~ndimage.binary_erosion(lumen)) * spacing[:2]
    away = np.linalg.norm(points[None] - centre[:, None], axis=2).max(axis=1)
    allowed = np.isfinite(radius) & (radius < _REACH_MM) & (away < radius + 1.0)
    if not allowed.any():
        return None
    centre, radius = centre[allowed], radius[allowed]
    miss = np.abs(np.linalg.norm(ends[None] - centre[:, None], axis=2) - radius[:, None])
    hits = (miss < _TOLERANCE_MM).sum(axis=1)
    best = int(hits.argmax())
    i, j = centre[best] / spacing[:2]
    return float(i), float(j), float(radius[best]), float(hits[best]) / _RAYS


def _circles(triples: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Circumcentre (n, 2) and circumradius (n,) of point triples (n, 3, 2); infinite for points on a line."""
    a, b, c = triples[:, 0], triples[:, 1], triples[:, 2]
    u, v = b - a, c - a
    cross = 2.0 * (u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0])
    cross = np.where(np.abs(cross) < 1e-3, np.nan, cross)
    uu, vv = (u**2).sum(axis=1), (v**2).sum(axis=1)
    offset = np.stack([v[:, 1] * uu - u[:, 1] * vv, u[:, 0] * vv - v[:, 0] * uu], axis=1) / cross[:, None]
    return np.nan_to_num(a + offset, nan=1e9), np.linalg.norm(offset, axis=1)


def _between(lumen: Mask, tissue: Mask, walls: NDArray[np.float64], spacing: NDArray[np.float64]) -> Mask:
    found = np.zeros_like(lumen)
    good = np.flatnonzero(np.isfinite(walls[:, 2]) & (np.nan_to_num(walls[:, 3]) > 0.4))
    if good.size * spacing[2] < _LENGTH_MM:
        return found
    size = max(int(8.0 / spacing[2]) | 1, 3)
    smooth = np.stack([ndimage.median_filter(walls[good, c], size=size) for c in range(3)], axis=1)
    for (i, j, radius), k in zip(smooth, good, strict=True):
        x = (np.arange(lumen.shape[0]) - i)[:, None] * spacing[0]
        y = (np.arange(lumen.shape[1]) - j)[None, :] * spacing[1]
        disc = np.hypot(x, y) < radius
        rest = disc & tissue[:, :, k] & ~lumen[:, :, k]
        thickness = ndimage.distance_transform_edt(~lumen[:, :, k], sampling=spacing[:2])
        thick = bool(rest.any()) and np.percentile(thickness[rest], 95) > _THICK_MM
        # A sac is filled to its wall; bowel, nodes and vessels beside a healthy aorta leave fat between them.
        blur = 1.2 * float(spacing[:2].max())
        beyond = (np.hypot(x, y) < radius - blur) & (thickness > blur)
        filled = bool(beyond.any()) and (rest & beyond).sum() > _FILLED * beyond.sum()
        if thick and filled and 2.0 * radius > _DILATED_MM:
            found[:, :, k] = rest
    labels, count = label(found)
    heights = np.zeros(count + 1)
    for n, piece in enumerate(ndimage.find_objects(labels), start=1):
        heights[n] = (piece[2].stop - piece[2].start) * spacing[2]
    volumes = np.bincount(labels.ravel(), minlength=count + 1) * float(np.prod(spacing)) / 1000.0
    return ((heights >= _LENGTH_MM) & (volumes >= _LEAST_ML))[labels]


def _closest(mask: Mask, case: Case) -> Mask:
    """Soft tissue only, at full resolution."""
    lean = case.frame.muscle_hu[0]
    noise = 2.5 * case.frame.noise_hu
    return mask & (case.voxels > lean - 60.0 - noise) & (case.voxels < lean + 100.0 + noise)
