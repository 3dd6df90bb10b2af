"""Painting solids into voxels with their exact partial volume.

A voxel shows the average over its own box (pixel × slice thickness). Within a voxel a
surface is taken as the plane that its implicit function and finite differences give,
moved by its curvature; the part of a box behind a plane is exact. Parts are painted one
over the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .shapes import Array, Solid
from .tissue import Tissue


@dataclass(frozen=True)
class Layer:
    """The shell of a part deeper than `depth` mm under its surface.

    Attributes:
        depth: mm below the part's surface (negative: outside of it).
        tissue: key of the tissue table.
        label: label id to set, or None to leave what is there.
    """

    depth: float
    tissue: str
    label: int | None = None


@dataclass(frozen=True, eq=False)
class Part:
    """A solid with its layers, outermost first."""

    name: str
    solid: Solid
    layers: tuple[Layer, ...]


@dataclass(eq=False)
class Slab:
    """A few slices being painted: arrays (nz, ny, nx) and their coordinates (LPS mm)."""

    x: Array
    y: Array
    z: Array
    hu: Array
    labels: NDArray[np.uint16]
    texture: Array


def paint(slab: Slab, part: Part, table: dict[str, Tissue], spacing: Sequence[float]) -> None:
    """Paint one part over what the slab shows."""
    grow = max(0.0, -part.layers[0].depth)
    low, high = part.solid.bounds[0] - grow, part.solid.bounds[1] + grow
    cuts, padded, axes = [], [], []
    for c, a, b, step in zip((slab.x, slab.y, slab.z), low, high, spacing, strict=True):
        start, stop = (int(i) for i in np.searchsorted(c, (a - step, b + step)))
        if start >= stop:
            return
        cuts.append(slice(start, stop))
        inner = c[start:stop]
        # One voxel more on each side, so that differences are central everywhere.
        padded.append(np.concatenate([inner[:1] - step, inner, inner[-1:] + step]).astype(np.float32))
        axes.append(step)
    value = part.solid.distance(*padded)
    where = (cuts[2], cuts[1], cuts[0])
    centre = value[1:-1, 1:-1, 1:-1]
    reach = 0.75 * float(np.linalg.norm(spacing))
    if float(centre.min()) > reach - part.layers[0].depth:
        return
    _composite(slab, where, value, part.layers, table, reach)
    for layer in part.layers:
        if layer.label is not None:
            np.copyto(slab.labels[where], np.uint16(layer.label), where=centre < -layer.depth)


def _composite(
    slab: Slab, where: tuple[slice, ...], value: Array, layers: Sequence[Layer], table: dict[str, Tissue], reach: float
) -> None:
    """HU ← HU (1 − c₀) + Σ (cₘ − cₘ₊₁) HUₘ: nested layers share a voxel exactly."""
    hu, texture = slab.hu[where], slab.texture[where]
    covers = [coverage(value, layer.depth, reach) for layer in layers]
    hu *= 1 - covers[0]
    for m, layer in enumerate(layers):
        share = covers[m] - covers[m + 1] if m + 1 < len(layers) else covers[m]
        tissue = table[layer.tissue]
        hu += share * (np.float32(tissue.hu) + np.float32(tissue.texture) * texture)


def coverage(value: Array, depth: float, reach: float) -> Array:
    """Share of each voxel's box that lies deeper than `depth`.

    Args:
        value: (nz+2, ny+2, nx+2) implicit function, one voxel wider on each side.
        depth: mm under the surface.
        reach: mm from the surface beyond which a voxel is full or empty.
    Returns:
        (nz, ny, nx) in [0, 1].
    """
    centre = value[1:-1, 1:-1, 1:-1] + np.float32(depth)
    cover = (centre < 0).astype(np.float32)
    k, j, i = np.nonzero(np.abs(centre) < reach)
    if len(k) == 0:
        return cover
    k, j, i = k + 1, j + 1, i + 1
    middle = value[k, j, i]
    sides = [
        (value[k, j, i - 1], value[k, j, i + 1]),
        (value[k, j - 1, i], value[k, j + 1, i]),
        (value[k - 1, j, i], value[k + 1, j, i]),
    ]
    slopes = np.stack([0.5 * np.abs(after - before) for before, after in sides])
    # The average over the box of the second-order term: a curved face holds less than its tangent plane.
    bend = sum(after + before - 2 * middle for before, after in sides) / 24
    cover[k - 1, j - 1, i - 1] = half_space_share(middle + np.float32(depth) + bend, slopes)
    return cover


def half_space_share(value: NDArray, slopes: NDArray) -> NDArray[np.float64]:
    """Volume of the unit cube where value + slopes·(u − ½) < 0.

    Inclusion-exclusion over the cube's corners, after Scardovelli and Zaleski,
    J. Comput. Phys. 164 (2000) 228.

    Args:
        value: (n,) at the cube's centre.
        slopes: (3, n) change across the cube along each axis, not negative.
    """
    largest = np.maximum(slopes.max(axis=0), 1e-6)
    # The formula divides by every slope: a floor keeps it well conditioned.
    m = np.maximum(slopes.astype(np.float64), 5e-3 * largest)
    total = m.sum(axis=0)
    m = m / total
    level = np.clip(0.5 - value.astype(np.float64) / total, 0.0, 1.0)
    share = np.zeros_like(level)
    for corner in range(8):
        bits = [(corner >> axis) & 1 for axis in range(3)]
        rest = np.maximum(level - sum(bit * m[axis] for axis, bit in enumerate(bits)), 0.0)
        share += (-1) ** sum(bits) * rest**3
    return np.clip(share / (6 * m[0] * m[1] * m[2]), 0.0, 1.0)
