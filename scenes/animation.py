"""A short looping animation over the load steps, there and back, that every browser plays.

Animated WebP (or GIF where Pillow lacks WebP): one file that a report can embed, without
a video codec. One plotter is updated in place; the way back repeats the frames of the way there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image, features

from ..imaging.progress import Progress, silent
from .annotate import FOOTER, HEADER, Lettering
from .canvas import Canvas
from .field_shapes import boundary, magnification_of, main_region, regions
from .render_style import GHOST_COLOUR, VIEWS, ColourScale, colour_map_of, colour_of, colour_scale
from .shaded_surface import move

if TYPE_CHECKING:
    import pyvista as pv

SIZE = (800, 600)
SECONDS, FRAMES_PER_SECOND = 4.0, 15
SUPERSAMPLE, PEELS = 1.5, 4
"""Less than a still's: sixty small moving pictures forgive it, and a software renderer is four times faster."""
LARGEST_BYTES = 3 * 1024 * 1024
_MARGINS = (60, HEADER + 36, 330, FOOTER + 100)


@dataclass(eq=False)
class _Moving:
    """A surface with its points at every load step: (steps, V, 3), and where they are shown."""

    keys: NDArray[np.float64]
    shown: pv.PolyData
    solid: bool

    def at(self, load: float) -> NDArray[np.float64]:
        return _between(self.keys, load)


def animate(
    grids: Sequence[pv.UnstructuredGrid],
    path: Path,
    *,
    view: str = "surgeon",
    scene: str = "",
    inner: dict[str, NDArray[np.float64]] | None = None,
    inner_meshes: dict[str, pv.PolyData] | None = None,
    seconds: float = SECONDS,
    frames_per_second: int = FRAMES_PER_SECOND,
    size: tuple[int, int] = SIZE,
    progress: Progress = silent,
) -> Path:
    """Write the animation of a result's load steps.

    Args:
        grids: undeformed tetrahedra with `displacement` (mm) of each load step, in order.
        path: target; its suffix is replaced by the one of the format used.
        inner: name → points (steps, V, 3) of surfaces the mesh carries; regions of the grid without it.
        inner_meshes: name → the undeformed surface of those points.

    Returns:
        The file written.
    """
    grids = list(grids)
    if len(grids) == 1:
        grids = [_at_rest(grids[0]), grids[0]]
    magnification = magnification_of(grids[-1])
    scale = colour_scale("displacement_magnitude", _lengths(grids[-1]))
    with Canvas(VIEWS[view], size, margins=_MARGINS, supersample=SUPERSAMPLE, peels=PEELS) as canvas:
        outer, ids = _add_outer(canvas, grids, magnification, scale)
        parts = _add_inner(canvas, grids, magnification, inner or {}, inner_meshes or {})
        canvas.add_shell(boundary(grids[0]), GHOST_COLOUR, opacity=0.0, rim=0.4)
        canvas.aim(np.concatenate([outer.keys.reshape(-1, 3)[::7], *(part.keys[-1] for part in parts)]))
        values = np.stack([_lengths(grid)[ids] for grid in grids])
        half = max(2, round(seconds * frames_per_second / 2))
        frames = []
        for number in range(half + 1):
            progress(0.9 * number / (half + 1), "animation")
            load = 0.5 - 0.5 * np.cos(np.pi * number / half)
            _move(canvas, outer, parts, values, load, scale)
            frames.append(_lettered(canvas, scene, load, magnification, scale))
    progress(0.92, "animation: compressing")
    written = _write(frames + frames[-2:0:-1], path, 1000 / frames_per_second)
    progress(1.0, "animation")
    return written


def _add_outer(canvas: Canvas, grids, magnification: float, scale: ColourScale):
    surface = boundary(grids[-1])
    ids = np.asarray(surface.point_data["vtkOriginalPointIds"])
    keys = np.stack(
        [
            np.asarray(grid.points)[ids] + magnification * np.asarray(grid.point_data["displacement"])[ids]
            for grid in grids
        ]
    )
    surface.clear_data()
    surface.points = keys[-1]
    # Seen through where something inside is worth seeing; on a vessel's wall the colours are.
    solid = len(regions(grids[-1])) == 1 or main_region(grids[-1]).endswith("_wall")
    return _Moving(keys, canvas.add_moving_shell(surface), solid), ids


def _add_inner(canvas: Canvas, grids, magnification: float, inner, meshes) -> list[_Moving]:
    moving = []
    if inner and magnification == 1:
        for name, keys in inner.items():
            shown = canvas.add_solid(meshes[name], colour_of(name))
            moving.append(_Moving(np.asarray(keys, dtype=float), shown, True))
        return moving
    main = main_region(grids[-1])
    for name, part in regions(grids[-1]).items():
        if name == main:
            continue
        surface = boundary(part)
        of_part = np.asarray(surface.point_data["vtkOriginalPointIds"])
        ids = np.asarray(part.point_data["vtkOriginalPointIds"])[of_part]
        keys = np.stack(
            [
                np.asarray(grid.points)[ids] + magnification * np.asarray(grid.point_data["displacement"])[ids]
                for grid in grids
            ]
        )
        surface.clear_data()
        moving.append(_Moving(keys, canvas.add_solid(surface, colour_of(name)), True))
    return moving


def _move(canvas: Canvas, outer: _Moving, parts: list[_Moving], values, load: float, scale: ColourScale) -> None:
    for part in parts:
        move(part.shown, part.at(load))
    field = _between(values, load) * scale.style.factor
    position = np.clip((field - scale.low) / (scale.high - scale.low), 0, 1)
    colours = colour_map_of(scale.style.colour_map)(position)[:, :3]
    opacity = (1.0, 1.0) if outer.solid else (0.35, 0.95)
    canvas.update_shell(outer.shown, outer.at(load), colours, opacity=opacity)


def _lettered(canvas: Canvas, scene: str, load: float, magnification: float, scale: ColourScale) -> Image.Image:
    letters = Lettering(canvas.image(crevices=0))
    note = canvas.view.title + (f", motion magnified × {magnification:g}" if magnification != 1 else "")
    letters.caption(f"Motion: {100 * load:.0f} % of the way", scene, note)
    letters.scale_bar(canvas.mm_per_pixel)
    letters.orientation_cube(canvas.view, centre=(1600 - 94, letters.height - FOOTER - 94))
    letters.colour_bar(scale, at=(1310, HEADER + 180), height=480)
    return letters.image


def _between(keys: NDArray, load: float) -> NDArray:
    """Linear between the load steps; `load` in [0, 1] over all of them."""
    position = load * (len(keys) - 1)
    lower = min(int(position), len(keys) - 2)
    weight = position - lower
    return (1 - weight) * keys[lower] + weight * keys[lower + 1]


def _lengths(grid: pv.UnstructuredGrid) -> NDArray[np.float64]:
    if "displacement_magnitude" in grid.point_data:
        return np.asarray(grid.point_data["displacement_magnitude"], dtype=float)
    return np.linalg.norm(np.asarray(grid.point_data["displacement"], dtype=float), axis=1)


def _at_rest(grid: pv.UnstructuredGrid) -> pv.UnstructuredGrid:
    rest = grid.copy()
    for name in ("displacement", "displacement_magnitude"):
        if name in rest.point_data:
            rest.point_data[name] = np.zeros_like(rest.point_data[name])
    return rest


def _write(frames: list[Image.Image], path: Path, milliseconds: float) -> Path:
    """WebP, at the best quality that stays below the size limit; GIF where there is no WebP."""
    if not features.check("webp"):
        path = path.with_suffix(".gif")
        small = [frame.quantize(128, method=Image.Quantize.MEDIANCUT) for frame in frames]
        small[0].save(path, save_all=True, append_images=small[1:], duration=round(milliseconds), loop=0)
        return path
    path = path.with_suffix(".webp")
    for quality in (82, 65, 45):
        frames[0].save(
            path,
            save_all=True,
            append_images=frames[1:],
            duration=round(milliseconds),
            loop=0,
            quality=quality,
            method=2,
        )
        if path.stat().st_size <= LARGEST_BYTES:
            break
    return path
