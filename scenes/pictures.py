"""The standard pictures of a result: which, from where, with what caption; made from the folder alone."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..imaging.errors import SceneError
from ..imaging.progress import Progress, part, silent
from .manifest import add_to_manifest
from .result_folder import Picture, ResultFolder

if TYPE_CHECKING:
    import pyvista as pv

    from ..imaging.volume import ImageVolume, LabelMap
    from .sheet import Sheet

_HIDES = ("body", "bone", "ribs", "spine", "pelvis", "lungs", "lung_left", "lung_right")
"""Left out of the surgeon's view, which they would hide."""
_STRESS = ("wall_stress_kPa", "max_principal_stress_kPa", "von_mises_kPa")


@dataclass(frozen=True)
class _Job:
    """One still: its key (file name) and what draws it and gives its caption."""

    key: str
    draw: Callable[[Path], str]


def write_pictures(
    folder: Path, volume: ImageVolume | None, labels: LabelMap | None, progress: Progress = silent
) -> None:
    """Write stills/*.png, stills/captions.json and the animation into a result folder.

    Args:
        folder: a result folder that has its result.json, surfaces and fields.
        volume: the scan, for the slices; they are left out without it.
        labels: the segmentation on the volume's grid.

    Raises:
        MissingLibraryError: nothing here can render off screen.
        SceneError: the folder is no result.
    """
    result = ResultFolder.open(folder)
    stills_for_result(result, part(progress, 0.0, 0.7), volume=volume, labels=labels)
    if result.step_files:
        animate_result(result, part(progress, 0.7, 1.0))
    progress(1.0, "pictures")


def stills_for_result(
    result: ResultFolder,
    progress: Progress = silent,
    *,
    volume: ImageVolume | None = None,
    labels: LabelMap | None = None,
    sheet: Sheet | None = None,
) -> list[Picture]:
    """Make the standard set and its captions.json; returns what was made, in order."""
    jobs = list(_jobs(result, volume, labels, sheet))
    if not jobs:
        raise SceneError("holds nothing to show", where=str(result.path), advice="Run the scene again")
    stills = result.path / "stills"
    stills.mkdir(exist_ok=True)
    # An earlier set may have had other pictures under the same numbers.
    for old in stills.glob("[0-9][0-9]_*.png"):
        old.unlink()
    made = []
    for number, job in enumerate(jobs):
        progress(number / len(jobs), f"still {number + 1} of {len(jobs)}: {job.key.replace('_', ' ')}")
        name = f"{number + 1:02d}_{job.key}.png"
        made.append(Picture(f"stills/{name}", job.draw(stills / name), job.key))
    index = [{"file": Path(one.path).name, "caption": one.caption, "key": one.key} for one in made]
    (stills / "captions.json").write_text(json.dumps(index, indent=2, ensure_ascii=False), encoding="utf-8")
    add_to_manifest(result.path, [*(result.path / one.path for one in made), stills / "captions.json"])
    progress(1.0, "stills")
    return made


def animate_result(result: ResultFolder, progress: Progress = silent) -> Path:
    """Write the animation over the load steps; returns the file."""
    from .animation import animate
    from .field_shapes import main_region

    grids = [result.grid(step) for step in range(len(result.step_files))]
    inner, meshes = _carried_keys(result, len(grids), main_region(grids[-1]))
    return animate(
        grids,
        result.path / "animation",
        view=main_view(grids[-1]),
        scene=result.title,
        inner=inner,
        inner_meshes=meshes,
        progress=progress,
    )


def main_view(grid: pv.UnstructuredGrid) -> str:
    """From where the operation is shown: as the surgeon looks at a liver, else obliquely from the front."""
    from .field_shapes import regions

    return "surgeon" if "liver" in regions(grid) else "oblique"


def _jobs(
    result: ResultFolder, volume: ImageVolume | None, labels: LabelMap | None, sheet: Sheet | None
) -> Iterator[_Job]:
    from . import plots, slices
    from .sheet import Sheet
    from .still_anatomy import render_anatomy

    sheet = sheet or Sheet(result.title)
    surfaces = {name: result.surface(name) for name in result.surface_files}
    grid = result.grid(-1) if result.step_files else None
    if surfaces:
        yield _Job("anatomy", lambda path: render_anatomy(surfaces, path, sheet=sheet))
        inner = {name: mesh for name, mesh in surfaces.items() if name not in _HIDES}
        if inner and len(inner) < len(surfaces):
            about = _about(grid)
            yield _Job(
                "organs",
                lambda path: render_anatomy(inner, path, sheet=sheet, title="Organs and vessels", **about),
            )
    if volume is not None:
        scan, at = volume, _focus(grid, volume, labels)
        yield _Job("slices", lambda path: slices.render_slices(scan, labels, path, **at, sheet=sheet))
    if grid is not None:
        yield from _field_jobs(result, grid, sheet)
    curves = [curve for curve in result.data.get("curves", []) if len(curve.get("x", [])) > 1]
    if curves:
        yield _Job("curves", lambda path: plots.render_curves(curves, path, sheet=sheet))


def _about(grid: pv.UnstructuredGrid | None) -> dict[str, Any]:
    """From where the organs are seen, around what they are framed, and the tumours to number."""
    if grid is None:
        return {"view": "oblique"}
    from .field_shapes import tumour_pieces

    tumours = [np.asarray(piece.points) for piece in tumour_pieces(grid)]
    return {"view": main_view(grid), "around": np.asarray(grid.points), "tumours": tumours}


def _focus(grid: pv.UnstructuredGrid | None, volume: ImageVolume, labels: LabelMap | None) -> dict[str, Any]:
    """Where the slices cross, and their window.

    The widest place of a computed vessel; the largest tumour of a computed organ, else the
    organ, else the middle of what was computed.
    """
    if grid is None or labels is None:
        return {}
    from .field_shapes import main_region, regions
    from .slice_focus import widest_point, window_of

    names = regions(grid)
    if any(name.startswith("aort") for name in names):
        points = np.asarray(grid.points)
        widest = widest_point(labels, points)
        through = points.mean(axis=0) if widest is None else widest
        return {"through": through, "window": window_of(volume, labels, arteries=True)}
    order = [*(name for name in names if "tumor" in name), main_region(grid), *names]
    focus = next((name for name in order if labels.mask(name).any()), None)
    return {"focus": focus} if focus else {"through": np.asarray(grid.points).mean(axis=0)}


def _field_jobs(result: ResultFolder, grid: pv.UnstructuredGrid, sheet: Sheet) -> Iterator[_Job]:
    from .field_limits import limit_of, named_value
    from .field_shapes import field_scale, main_region, regions
    from .marks import marks_of
    from .still_cuts import render_cut, render_mesh
    from .still_held import render_held
    from .still_motion import render_before_after, render_field

    view, sets = main_view(grid), result.node_sets(grid)
    inner = {
        name: (result.surface(name), after)
        for name in result.carried
        if name in result.surface_files
        and name != main_region(grid)
        and (after := result.deformed_surface(name, len(result.step_files) - 1)) is not None
    }
    yield _Job(
        "before_after",
        lambda path: render_before_after(grid, path, view=view, node_sets=sets, inner=inner, sheet=sheet),
    )
    if sets:
        yield _Job("held", lambda path: render_held(grid, path, node_sets=sets, sheet=sheet))
    has = {*grid.point_data.keys(), *grid.cell_data.keys()}
    if "displacement_magnitude" in has:
        yield _Job(
            "displacement",
            lambda path: render_field(grid, "displacement_magnitude", path, view=view, node_sets=sets, sheet=sheet),
        )
    if "strain" in has:
        limit = limit_of(result.data, "strain")
        yield _Job("strain", lambda path: render_field(grid, "strain", path, view=view, limit=limit, sheet=sheet))
    # A vessel wall carries tension along itself; inside an organ no direction is special.
    order = _STRESS[::-1] if "liver" in regions(grid) else _STRESS
    stress = next((key for key in order if key in has), None)
    if stress:
        marked = marks_of(result.data, stress, grid)
        scale = field_scale(grid, stress, named=named_value(result.data, stress))
        yield _Job(
            "stress",
            lambda path: render_field(grid, stress, path, view=view, scale=scale, marked=marked, sheet=sheet),
        )
        yield _Job("stress_cut", lambda path: render_cut(grid, stress, path, scale=scale, sheet=sheet))
    if "region" in has:
        yield _Job("mesh", lambda path: render_mesh(grid, path, sheet=sheet))


def _carried_keys(
    result: ResultFolder, steps: int, outer: str
) -> tuple[dict[str, NDArray[np.float64]], dict[str, pv.PolyData]]:
    """Points at every load step, and the mesh, of the carried surfaces that lie inside."""
    keys: dict[str, NDArray[np.float64]] = {}
    meshes: dict[str, pv.PolyData] = {}
    for name in result.carried:
        if name == outer:
            continue
        shapes = [result.deformed_surface(name, step) for step in range(steps)]
        found = [shape for shape in shapes if shape is not None]
        if len(found) == steps and len({shape.n_points for shape in found}) == 1:
            keys[name] = np.stack([np.asarray(shape.points, dtype=float) for shape in found])
            meshes[name] = found[-1]
    return keys, meshes


__all__ = ["Picture", "animate_result", "main_view", "stills_for_result", "write_pictures"]
