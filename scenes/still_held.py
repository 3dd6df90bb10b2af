"""A still of what holds the organ before the operation: patches on its surface, named, seen from one side or two.

Plain data in, one PNG and its caption out; frames are LPS mm.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .annotate import Lettering
from .callouts import Callout, aim_beside, draw_callouts
from .field_shapes import boundary, main_region
from .held_patches import TOOL_SET, add_patches, patch_entries, patches, pieces, stem, without_patches
from .panels import Frame, panel_boxes, panel_frame, save_panels, whole_frame
from .patch_views import HELD_VIEWS, Sight, best_views, pointed_at, sights
from .plain_words import listed, name_words
from .render_style import Colour, View, title_of
from .report_words import capitalised
from .sheet import Sheet

if TYPE_CHECKING:
    import pyvista as pv

_FREE = (0.86, 0.86, 0.84)
_REST = "free surface"


def render_held(
    grid: pv.UnstructuredGrid,
    path: Path,
    *,
    node_sets: Mapping[str, NDArray[np.int64]],
    sheet: Sheet | None = None,
) -> str:
    """What holds the organ before the operation, and where the tool grasps it.

    Where no view shows every patch, two views that together show most stand side by side.

    Args:
        node_sets: `grasp…` is a tool's, any other set a support.
    """
    sheet = sheet or Sheet()
    surface = boundary(grid)
    held = pieces(surface, node_sets)
    # What no patch covers is looked at too: lines to patches keep off it.
    free = np.setdiff1d(np.arange(surface.n_cells), np.concatenate([*held.values(), np.zeros(0, np.int64)]))
    everything = {**held, **({_REST: free} if free.size else {})}
    looked = sights(surface, everything)
    all_sights = [{name: one[name] for name in held} for one in looked]
    chosen = best_views(all_sights)
    views, shown = [HELD_VIEWS[one] for one in chosen], [all_sights[one] for one in chosen]
    colours = _colours(surface, node_sets)
    title = f"{title_of(main_region(grid))}: what holds it"
    with ExitStack() as stack:
        frames = _frames(sheet, views, np.asarray(surface.points), stack)
        drawn = []
        for number, frame in enumerate(frames):
            add_patches(frame.canvas, surface, node_sets, solid=True)
            frame.canvas.add_solid(without_patches(surface, node_sets), _FREE, frame=False, even=True)
            called = _called(shown, number)
            callouts = [Callout(_words(name, held), sight.seen, colours[stem(name)]) for name, sight in called.items()]
            places = _pointed(frame, called, looked[chosen[number]], surface.points)
            framed = np.asarray(surface.points, dtype=float)
            boxes = aim_beside(frame, framed, [framed[surface.regular_faces]], places, callouts)
            drawn.append((frame.pixels(places), boxes, callouts))

        def marks(letters: Lettering) -> None:
            for places, boxes, callouts in drawn:
                draw_callouts(letters, places, boxes, callouts)

        note = "before; grey: free surface"
        if len(frames) == 1:
            letters = sheet.lettered(frames[0].canvas, title, note, crevices=0.3, marks=marks)
            letters.image.save(path, optimize=False, compress_level=7)
        else:
            save_panels(sheet, frames, path, title, note, marks=marks)
    return _caption(grid, held, views, shown)


def _frames(sheet: Sheet, views: Sequence[View], points: NDArray[np.float64], stack: ExitStack) -> list[Frame]:
    if len(views) == 1:
        return [whole_frame(stack.enter_context(sheet.canvas(views[0])))]
    extents = []
    for view in views:
        width, height = np.ptp(points @ np.column_stack(view.axes()[:2]), axis=0)
        extents.append((float(width), float(height)))
    frames = [panel_frame(sheet, *one) for one in zip(views, panel_boxes(sheet, extents), strict=True)]
    for frame in frames:
        stack.enter_context(frame.canvas)
    return frames


def _pointed(
    frame: Frame, called: Mapping[str, Sight], looked: Mapping[str, Sight], points: ArrayLike
) -> NDArray[np.float64]:
    """(n, 3) where the lines to the named patches end."""
    ends = []
    frame.canvas.aim(points)
    for name, sight in called.items():
        others = [one.places for other, one in looked.items() if other != name and one.seen]
        around = frame.pixels(np.concatenate([*others, np.zeros((0, 3))]))
        flat = frame.pixels(sight.places)
        ends.append(sight.places[pointed_at(sight.places, flat, around, (frame.free[0], frame.free[2]))])
    return np.array(ends).reshape(-1, 3)


def _called(shown: Sequence[Mapping[str, Sight]], number: int) -> dict[str, Sight]:
    """The patches named in one of the views: those it shows, and in the first also those that none shows."""
    hidden = {name for name in shown[0] if not any(one[name].seen for one in shown)}
    return {name: sight for name, sight in shown[number].items() if sight.seen or (number == 0 and name in hidden)}


def _colours(surface: pv.PolyData, node_sets: Mapping[str, NDArray[np.int64]]) -> dict[str, Colour]:
    entries = patch_entries(surface, node_sets)
    return {name: colour for name, (_, colour) in zip(patches(surface, node_sets), entries, strict=True)}


def _words(name: str, held: Mapping[str, object]) -> str:
    """`Grasped patch`, `Coronary ligament`, `Held end 1 of 3`."""
    if name.startswith(TOOL_SET):
        return "Grasped patch"
    alike = [other for other in sorted(held) if stem(other) == stem(name)]
    if len(alike) > 1:
        return f"Held {name_words(stem(name))} {alike.index(name) + 1} of {len(alike)}"
    return capitalised(name_words(stem(name)))


def _caption(
    grid: pv.UnstructuredGrid,
    held: Mapping[str, NDArray[np.int64]],
    views: Sequence[View],
    shown: Sequence[Mapping[str, Sight]],
) -> str:
    names = []
    for name in dict.fromkeys(stem(one) for one in held):
        count = sum(stem(one) == name for one in held)
        words = "grasped patch" if name.startswith(TOOL_SET) else name_words(name)
        names.append(f"{count} {words}s" if count > 1 else words)
    seen = sum(any(one[name].seen for one in shown) for name in held)
    whole = "Both" if seen == 2 else f"All {seen}"
    told = f"{whole} are seen" if seen == len(held) else f"{seen} of {len(held)} are seen"
    told = "" if len(held) < 2 else f" {told} from {'here' if len(views) == 1 else 'these two sides'}."
    where = listed([f"in the {view.title}" for view in views])
    what = f"{title_of(main_region(grid))} before the operation, and where it is held: {listed(names)}"
    return f"{what}. Seen {where}.{told}"
