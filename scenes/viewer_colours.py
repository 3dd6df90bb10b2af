"""The computed organ in colours: of a field with its scale, or of its regions."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..imaging.anatomy import BY_LABEL
from .computed_organ import ComputedOrgan
from .render_style import ColourScale, colour_map_of, colour_of

REGION = "region"
"""Stands for a field where the organ shows its tissues."""


def colour_surface(mesh: Any, mapper: Any, organ: ComputedOrgan, field: str, load: float) -> None:
    """Colour the organ's surface by a field at a load in [0, 1], or by `REGION`."""
    if field == REGION:
        mesh.cell_data["rgb"] = _region_colours(organ.surface_regions())
        mesh.cell_data.SetActiveScalars("rgb")
        mapper.SetScalarModeToUseCellFieldData()
        mapper.SelectColorArray("rgb")
        mapper.SetColorModeToDirectScalars()
    else:
        scale = organ.scale(field)
        mesh.point_data["shown"] = organ.surface_values(field, load) * scale.style.factor
        mapper.SetScalarModeToUsePointFieldData()
        mapper.SelectColorArray("shown")
        mapper.SetColorModeToMapScalars()
        mapper.SetLookupTable(_lookup_table(scale))
        mapper.SetScalarRange(scale.low, scale.high)
        mapper.SetInterpolateScalarsBeforeMapping(True)
    mapper.SetScalarVisibility(True)


def section_colours(section: Any, organ: ComputedOrgan, field: str) -> dict[str, Any]:
    """What `add_mesh` needs to colour a section through the organ in the same way; adds the colours to the section."""
    if field == REGION:
        section.cell_data["rgb"] = _region_colours(np.asarray(section.cell_data["region"]))
        return {"scalars": "rgb", "rgb": True}
    scale = organ.scale(field)
    data = section.point_data if field in section.point_data else section.cell_data
    data["shown"] = np.asarray(data[field], dtype=float) * scale.style.factor
    return {"scalars": "shown", "cmap": colour_map_of(scale.style.colour_map), "clim": (scale.low, scale.high)}


def _lookup_table(scale: ColourScale) -> Any:
    import pyvista as pv

    table = pv.LookupTable(cmap=colour_map_of(scale.style.colour_map))
    table.scalar_range = (scale.low, scale.high)
    return table


def _region_colours(labels: NDArray) -> NDArray[np.uint8]:
    """(n, 3) sRGB bytes of each label's segment."""
    colours = np.full((len(labels), 3), 140, dtype=np.uint8)
    for label in np.unique(labels):
        name = BY_LABEL[int(label)].name if int(label) in BY_LABEL else ""
        colours[labels == label] = np.round(255 * np.array(colour_of(name)))
    return colours
