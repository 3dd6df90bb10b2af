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


def patches(surface: pv.PolyData, node_sets: Mapping[str, NDArray[np.int64]]) -> dict[str, NDArray[np.int64]]:
    """Name → triangles (n,) of the surface whose corners all belong to a set; each triangle counts once.

    Sets that differ only in a number at the end (`end_0`, `end_1`) are one.

    Args:
        surface: a boundary with `vtkOriginalPointIds`.
        node_sets: name → node indices of the grid.
    """
    corners = np.asarray(surface.point_data["vtkOriginalPointIds"])[surface.regular_faces]
    free = np.ones(len(corners), dtype=bool)
    found: dict[str, list[NDArray[np.int64]]] = {}
    for name, nodes in sorted(node_sets.items(), key=lambda one: not one[0].startswith(TOOL_SET)):
        inside = np.isin(corners, nodes)
        # A set of a few scattered nodes holds no whole triangle.
        within = inside.all(axis=1) if inside.all(axis=1).any() else inside.any(axis=1)
        mine = np.flatnonzero(within & free)
        free[mine] = False
        if mine.size:
            found.setdefault(re.sub(r"_\d+$", "", name), []).append(mine)
    return {name: np.concatenate(pieces) for name, pieces in found.items()}


def add_patches(
    canvas: Canvas, surface: pv.PolyData, node_sets: Mapping[str, NDArray[np.int64]]
) -> list[tuple[str, Colour]]:
    """Draw every patch as a tinted part of the surface; returns legend entries."""
    entries: list[tuple[str, Colour]] = []
    supports = 0
    for name, triangles in patches(surface, node_sets).items():
        tool = name.startswith(TOOL_SET)
        colour = TOOL_COLOUR if tool else HELD_COLOURS[supports % len(HELD_COLOURS)]
        supports += not tool
        canvas.add_shell(_part(surface, triangles), colour, opacity=0.75 if tool else 0.28, rim=0.9, frame=False)
        several = sum(re.sub(r"_\d+$", "", other) == name for other in node_sets) > 1
        words = name_words(name) + ("s" if several else "")
        entries.append(("Grasped patch and its way" if tool else f"Held: {words}", colour))
    return entries


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
