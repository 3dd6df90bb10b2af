"""A vessel followed through axial slices, from the clearest one up and down."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from .morphology import Mask, label, without_small

_GROWTH = 1.35
"""A lumen's area may grow by this against its last 10 mm; more means that a neighbour joined."""

_OVERLAP = 0.3
"""Share of the smaller of two neighbouring slices' pieces that must lie above each other."""

_PARTED = 0.75
"""Share of the trunk's area below which each of two pieces is a common iliac artery and no branch."""

_PARTS_MM = 12.0
"""Two pieces must run side by side this far to count as a bifurcation."""


@dataclass(frozen=True, eq=False)
class Lumen:
    """A rough course: (K, 2) voxel index of the middle, (K,) radius in mm, (K,) strength in [0, 1]."""

    centre: NDArray[np.float64]
    radius: NDArray[np.float64]
    strength: NDArray[np.float64]


def follow(bright: Mask, core: Mask, course: Lumen, spacing: NDArray[np.float64]) -> dict[str, Mask]:
    """The trunk ("aorta") and, if it parts going down, "iliac_artery_left" and "iliac_artery_right".

    Args:
        bright: (I, J, K) voxels with the HU of the lumen; I runs to the patient's left, K up.
        core: (I, J, K) those nearly as bright as the lumen's middle, which veins beside it are not.
        course: where the trunk is.
        spacing: (3,) mm.
    """
    start = int(np.argmax(ndimage.uniform_filter1d(course.strength, 9)))
    first = _at_course(bright[:, :, start], course, start, spacing)
    if not first.any():
        return {}
    trunk = np.zeros_like(bright)
    trunk[:, :, start] = first
    _up(bright, course, spacing, trunk, start)
    pieces = _down(bright, core, spacing, trunk, start)
    found = {"aorta": trunk}
    found.update({name: mask for name, mask in pieces.items() if mask.any()})
    return found


def _at_course(bright: Mask, course: Lumen, k: int, spacing: NDArray[np.float64]) -> Mask:
    """The bright piece at the course's middle, within a disc a little larger than expected."""
    near = _disc(bright.shape, course.centre[k], 1.3 * course.radius[k] + 3.0, spacing)
    labels, count = label(_opened(bright & near, 0.4 * course.radius[k], spacing))
    if not count:
        return np.zeros_like(bright)
    away = np.where(labels > 0, _away(bright.shape, course.centre[k], spacing), np.inf)
    i = labels.ravel()[away.argmin()]
    return labels == i if away.min() < course.radius[k] else np.zeros_like(bright)


def _up(bright: Mask, course: Lumen, spacing: NDArray[np.float64], trunk: Mask, start: int) -> None:
    last, areas = trunk[:, :, start], [int(trunk[:, :, start].sum())]
    for k in range(start + 1, bright.shape[2]):
        piece = _next(bright[:, :, k], last, areas, spacing)
        if course.strength[k] > 0.4:
            near = _disc(piece.shape, course.centre[k], 1.5 * course.radius[k] + 4.0, spacing)
            piece &= near
        if not piece.any():
            return
        trunk[:, :, k] = last = piece
        areas.append(int(piece.sum()))


def _down(bright: Mask, core: Mask, spacing: NDArray[np.float64], trunk: Mask, start: int) -> dict[str, Mask]:
    last, areas = trunk[:, :, start], [int(trunk[:, :, start].sum())]
    for k in range(start - 1, -1, -1):
        parts = _parts(bright, core, k, last, areas, spacing)
        if parts is not None:
            return parts
        piece = _next(bright[:, :, k], last, areas, spacing)
        if not piece.any():
            break
        trunk[:, :, k] = last = piece
        areas.append(int(piece.sum()))
    return {}


def _parts(
    bright: Mask, core: Mask, k: int, last: Mask, areas: list[int], spacing: NDArray[np.float64]
) -> dict[str, Mask] | None:
    """The two arteries below a bifurcation at slice k, or None if the trunk goes on."""
    pair = _two(_reachable(core[:, :, k], last, spacing), float(np.median(areas[-_window(spacing) :])))
    if pair is None:
        return None
    masks: list[Mask] = []
    for piece in pair:
        free = core & ~masks[0] if masks else core
        masks.append(_branch(free, piece, k, spacing))
    depth = [k - int(np.flatnonzero(m.any(axis=(0, 1)))[0]) for m in masks]
    if min(depth) * spacing[2] < min(_PARTS_MM, (k - 1) * spacing[2]):
        return None
    order = np.argsort([ndimage.center_of_mass(piece)[0] for piece in pair])
    right, left = (masks[i] for i in order)
    reach = np.maximum(np.round(1.5 / spacing[:2]).astype(int), 1)
    rim = np.ones((2 * int(reach[0]) + 1, 2 * int(reach[1]) + 1, 1), dtype=bool)
    wide_right, wide_left = (ndimage.binary_dilation(m, rim) & bright for m in (right, left))
    return {"iliac_artery_right": wide_right & ~left, "iliac_artery_left": wide_left & ~wide_right}


def _branch(core: Mask, first: Mask, k: int, spacing: NDArray[np.float64]) -> Mask:
    """One artery followed down from slice k while it keeps its calibre."""
    mask = np.zeros_like(core)
    mask[:, :, k] = last = first
    areas = [int(first.sum())]
    for lower in range(k - 1, -1, -1):
        piece = _next(core[:, :, lower], last, areas, spacing)
        usual = float(np.median(areas[: 2 * _window(spacing)]))
        # Where the piece has swollen a vein has joined; where it has shrunk it is another vessel.
        if not piece.any() or not 0.3 * usual < piece.sum() < 1.8 * usual:
            break
        mask[:, :, lower] = last = piece
        areas.append(int(piece.sum()))
    return mask


def _two(candidates: Mask, usual: float) -> tuple[Mask, Mask] | None:
    """The two largest pieces if both are much smaller than the trunk was, and of similar size."""
    labels, count = label(candidates)
    if count < 2:
        return None
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    sizes[0] = 0
    a, b = (int(i) for i in np.argsort(-sizes)[:2])
    if sizes[a] > _PARTED * usual or sizes[b] < 0.3 * sizes[a] or sizes[b] < 0.06 * usual:
        return None
    return labels == a, labels == b


def _next(bright: Mask, last: Mask, areas: list[int], spacing: NDArray[np.float64]) -> Mask:
    """The piece of this slice that carries on the last one."""
    usual = float(np.median(areas[-_window(spacing) :]))
    if last.sum() * float(spacing[0] * spacing[1]) < 9.0:
        return np.zeros_like(last)
    radius = float(np.sqrt(usual * spacing[0] * spacing[1] / np.pi))
    candidates = _opened(_reachable(bright, last, spacing), 0.45 * radius, spacing)
    labels, count = label(candidates)
    if not count:
        return np.zeros_like(last)
    shared = np.bincount(labels[last], minlength=count + 1)
    shared[0] = 0
    piece = labels == shared.argmax()
    if shared.max() < _OVERLAP * min(int(piece.sum()), int(last.sum())):
        return np.zeros_like(last)
    if piece.sum() > _GROWTH * usual:
        piece &= ndimage.binary_dilation(last, iterations=1)
        piece = _opened(piece, 0.7 * radius, spacing)
        if piece.sum() > 1.5 * _GROWTH * usual:
            piece &= last
    return piece


def _reachable(bright: Mask, last: Mask, spacing: NDArray[np.float64]) -> Mask:
    """Bright voxels no farther from the last slice's piece than an oblique vessel moves within one slice."""
    reach = 1.5 + 0.9 * float(spacing[2])
    return bright & (ndimage.distance_transform_edt(~last, sampling=spacing[:2]) <= reach)


def _window(spacing: NDArray[np.float64]) -> int:
    return max(int(10.0 / spacing[2]), 3)


def _opened(mask: Mask, radius_mm: float, spacing: NDArray[np.float64]) -> Mask:
    """Opening of a slice by a disc, through distances; specks dropped."""
    if radius_mm < spacing[0] or not mask.any():
        return mask
    core = ndimage.distance_transform_edt(np.pad(mask, 1), sampling=spacing[:2])[1:-1, 1:-1] > radius_mm
    if not core.any():
        return without_small(mask, 3)
    return mask & (ndimage.distance_transform_edt(~core, sampling=spacing[:2]) <= radius_mm + 0.5 * spacing[0])


def _away(shape: tuple[int, ...], centre: NDArray[np.float64], spacing: NDArray[np.float64]) -> NDArray[np.float64]:
    i = (np.arange(shape[0]) - centre[0])[:, None] * spacing[0]
    j = (np.arange(shape[1]) - centre[1])[None, :] * spacing[1]
    return np.hypot(i, j)


def _disc(shape: tuple[int, ...], centre: NDArray[np.float64], radius: float, spacing: NDArray[np.float64]) -> Mask:
    return _away(shape, centre, spacing) <= radius
