"""The patches of a surface that a tool or a support holds, tinted and told apart by name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from .canvas import Canvas
from .plain_words import name_words
from .render_style import HELD_COLOURS, TOOL_COLOUR, Colour

if TYPE_CHECKING:
    import pyvista as pv

TOOL_SET = "grasp"
"""Node sets whose names start so are a tool's, all others are supports."""


def pieces(surface: pv.PolyData, node_sets: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[np.int64]]:
    """Set → triangles (n,) of the surface whose corners all belong to it; each triangle counts once,
    for the tool first, then for the smallest set.

    Args:
        surface: a boundary with `vtkOriginalPointIds`.
        node_sets: name → node indices of the grid.
    """
    corners = np.asarray(surface.point_data["vtkOriginalPointIds"])[surface.regular_faces]
    free = np.ones(len(corners), dtype=bool)
    found: dict[str, NDArray[np.int64]] = {}
    for name, nodes in sorted(node_sets.items(), key=lambda one: (not one[0].startswith(TOOL_SET), len(one[1]))):
        inside = np.isin(corners, nodes)
        # A set of a few scattered nodes holds no whole triangle.
        within = inside.all(axis=1) if inside.all(axis=1).any() else inside.any(axis=1)
        mine = np.flatnonzero(within & free)
        free[mine] = False
        if mine.size:
            found[name] = mine
    return found


def patches(surface: pv.PolyData, node_sets: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[np.int64]]:
    """`pieces`, of which those that differ only in a number at the end (`end_0`, `end_1`) are one."""
    found: dict[str, list[NDArray[np.int64]]] = {}
    for name, triangles in pieces(surface, node_sets).items():
        found.setdefault(stem(name), []).append(triangles)
    return {name: np.concatenate(parts) for name, parts in found.items()}


def stem(name: str) -> str:
    """The name of a set without a number at its end."""
    return re.sub(r"_\d+$", "", name)


def patch_entries(
    surface: pv.PolyData, node_sets: Mapping[str, NDArray[np.int64]], *, way: bool = False
) -> list[tuple[str, Colour]]:
    """Legend entries of the patches, in the order in which they are drawn; `way` where the tool's arrow is drawn."""
    grasped = "Grasped patch and its path" if way else "Grasped patch"
    entries: list[tuple[str, Colour]] = []
    supports = 0
    for name in patches(surface, node_sets):
        tool = name.startswith(TOOL_SET)
        several = sum(stem(other) == name for other in node_sets) > 1
        words = name_words(name) + ("s" if several else "")
        colour = TOOL_COLOUR if tool else HELD_COLOURS[supports % len(HELD_COLOURS)]
        supports += not tool
        entries.append((grasped if tool else f"Held: {words}", colour))
    return entries


def add_patches(
    canvas: Canvas, surface: pv.PolyData, node_sets: Mapping[str, NDArray[np.int64]], *, solid: bool = False
) -> None:
    """Draw every patch as a tinted part of the surface, in the colours of `patch_entries`."""
    entries = patch_entries(surface, node_sets)
    for (_, colour), triangles in zip(entries, patches(surface, node_sets).values(), strict=True):
        if solid:
            canvas.add_solid(_part(surface, triangles), colour, frame=False, even=True)
        else:
            canvas.add_shell(_part(surface, triangles), colour, opacity=0.75, rim=0.9, frame=False)


def without_patches(surface: pv.PolyData, node_sets: Mapping[str, NDArray[np.int64]]) -> pv.PolyData:
    """What no patch covers, so that no two surfaces lie in one place."""
    rest = np.ones(surface.n_cells, dtype=bool)
    for triangles in patches(surface, node_sets).values():
        rest[triangles] = False
    return _part(surface, np.flatnonzero(rest)) if rest.any() else surface


def _part(surface: pv.PolyData, triangles: NDArray[np.int64]) -> pv.PolyData:
    import pyvista as pv

    part = pv.PolyData.from_regular_faces(np.asarray(surface.points), surface.regular_faces[triangles])
    return part.clean(tolerance=0.0)
