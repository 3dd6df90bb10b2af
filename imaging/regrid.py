"""Voxels of one grid on another: exactly where axes are only swapped, flipped or cropped, else by nearest neighbour.

Label files of one patient often run their axes the other way than the DICOM volume. Such a difference is one of
storage, and undone without touching a value; anything else is a resampling, and said to be one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .errors import GeometryError
from .volume import Grid

SAME_VOXEL = 0.05
"""Grids agree if no corner is farther off than this part of a voxel: float32 headers are far better than that."""


def regrid(
    voxels: NDArray, grid: Grid, like: Grid, *, outside: float = 0, where: str = "labels"
) -> tuple[NDArray, str]:
    """Bring voxels from one grid to another without interpolation between values.

    Args:
        voxels: (I, J, K) on `grid`.
        grid, like: from and to, LPS mm.
        outside: value where the first grid does not reach.
        where: the file, for errors.

    Returns:
        (I', J', K') on `like`, and a note: "" if both grids are the same, else what was done.

    Raises:
        GeometryError: other frames of reference, or grids that do not overlap.
    """
    both = grid.frame_of_reference_uid and like.frame_of_reference_uid
    if both and grid.frame_of_reference_uid != like.frame_of_reference_uid:
        raise GeometryError("is in another frame of reference", where=where, advice="Register it first")
    source_from_target = np.linalg.inv(grid.affine) @ like.affine
    axes, signs = _signed_permutation(source_from_target[:3, :3])
    turned = voxels.transpose(axes)
    # Per target axis: the source index is scale · target index + offset, as long as axes stay parallel.
    scale = np.array([source_from_target[axes[a], a] for a in range(3)])
    offset = source_from_target[list(axes), 3]
    straight = source_from_target[:3, :3].copy()
    straight[list(axes), range(3)] -= scale
    reach = np.array(like.shape) - 1
    if (np.abs(straight) @ reach).max() > SAME_VOXEL:
        return _nearest(voxels, source_from_target, like, outside, where)
    index = [np.rint(scale[a] * np.arange(like.shape[a]) + offset[a]).astype(int) for a in range(3)]
    if axes == (0, 1, 2) and turned.shape == like.shape and all(np.array_equal(i, np.arange(len(i))) for i in index):
        return turned, ""
    error = max(np.abs(scale[a] * np.arange(like.shape[a]) + offset[a] - index[a]).max() for a in range(3))
    exact = error <= SAME_VOXEL and np.allclose(np.abs(scale), 1, atol=SAME_VOXEL)
    out = _picked(turned, index, outside)
    if out is None:
        raise _no_overlap(where)
    return out, _what_was_done(exact, axes, signs, turned.shape, like.shape, index)


def is_lossless(note: str) -> bool:
    """Whether a note of `regrid` tells of another way to store the same voxels, and of nothing gained or lost."""
    return not note or ("resampled" not in note and "cropped" not in note)


def _signed_permutation(matrix: NDArray) -> tuple[tuple[int, int, int], NDArray]:
    """For each target axis the source axis that is most parallel to it, none used twice, and its sign."""
    size = np.abs(matrix / np.linalg.norm(matrix, axis=0))
    axes = [-1, -1, -1]
    for _ in range(3):
        source, target = np.unravel_index(int(size.argmax()), (3, 3))
        axes[int(target)] = int(source)
        size[source, :] = size[:, target] = -1
    return (axes[0], axes[1], axes[2]), np.sign([matrix[axes[a], a] for a in range(3)])


def _picked(turned: NDArray, index: list[NDArray], outside: float) -> NDArray | None:
    """Voxels at separable indices, `outside` beyond the source; None if nothing is inside."""
    inside = [(i >= 0) & (i < n) for i, n in zip(index, turned.shape, strict=True)]
    if not all(one.any() for one in inside):
        return None
    picked = turned[np.ix_(*(i[ok] for i, ok in zip(index, inside, strict=True)))]
    if all(one.all() for one in inside):
        return np.asfortranarray(picked)
    out = np.full([len(i) for i in index], outside, turned.dtype, order="F")
    out[np.ix_(*inside)] = picked
    return out


def _what_was_done(exact: bool, axes: tuple, signs: NDArray, source: tuple, target: tuple, index: list[NDArray]) -> str:
    if not exact:
        return "resampled to the nearest voxel of another grid"
    done = []
    if axes != (0, 1, 2):
        done.append("axes swapped")
    if (signs < 0).any():
        done.append("axes flipped")
    whole = all(len(i) == n and {i.min(), i.max()} == {0, n - 1} for i, n in zip(index, source, strict=True))
    if not whole:
        done.append(f"cropped or padded from {source} to {target} voxels")
    return f"{' and '.join(done)} (exactly, no value changed)" if done else ""


def _nearest(
    voxels: NDArray, source_from_target: NDArray, like: Grid, outside: float, where: str
) -> tuple[NDArray, str]:
    out = np.full(like.shape, outside, voxels.dtype, order="F")
    i, j = np.meshgrid(np.arange(like.shape[0]), np.arange(like.shape[1]), indexing="ij")
    hit = False
    for k in range(like.shape[2]):
        at = np.stack([i, j, np.full_like(i, k)], axis=-1) @ source_from_target[:3, :3].T + source_from_target[:3, 3]
        at = np.rint(at).astype(int)
        inside = ((at >= 0) & (at < voxels.shape)).all(axis=-1)
        hit |= bool(inside.any())
        out[:, :, k][inside] = voxels[tuple(at[inside].T)]
    if not hit:
        raise _no_overlap(where)
    return out, "resampled to the nearest voxel of another grid"


def _no_overlap(where: str) -> GeometryError:
    advice = "They belong to different scans, or one of the files lost its position"
    return GeometryError("lies nowhere on the grid it is compared with", where=where, advice=advice)
