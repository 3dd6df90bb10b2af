"""Sheets and strands on the nodes of a body that is there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from .materials.sheet import Sheet
from .materials.strand import Strand
from .model import Model
from .parts import Part, blocks_of

MEMBRANE_OF = {3: "M3", 6: "M6", 4: "M4"}
"""Nodes of a facet → membrane."""


def with_sheet(
    model: Model, facets: str, sheet: Sheet, *, density: float = 1060.0, name: str = "", bending: bool = False
) -> Model:
    """The model with a sheet on a facet set, on the nodes of the solid: a capsule, a pleura, a patch.

    Args:
        model: a body.
        facets: name of the facet set; a thickness given per facet follows the order of its facets.
        sheet: material and thickness.
        density: kg/m³ of the sheet.
        name: of its region; "" takes "sheet on FACETS".
        bending: a shell, which wants facets of six nodes (T10); else a membrane.

    Raises:
        SolverError: no such set; the region's name is taken; a bad parameter.
    """
    region = name or f"sheet on {facets}"
    parts = []
    groups = model.facet_groups(facets)
    if len(groups) > 1 and np.ndim(sheet.thickness):
        raise SolverError("thickness by facet wants one kind of facets", where=f"facet set {facets!r}")
    for kind, nodes in groups:
        if bending and kind.nodes != 6:
            raise SolverError(
                f"a sheet that bends wants facets of six nodes, not {kind.nodes}",
                where=f"facet set {facets!r}",
                advice="Take element='T10', or a membrane: the bending of a thin capsule on an organ is negligible",
            )
        element = "K6" if bending else MEMBRANE_OF[kind.nodes]
        parts.append(Part(element, nodes, sheet, density, region))
    return _joined(model, parts, region)


def with_strands(
    model: Model, name: str, pairs: Sequence[tuple[int, int]] | NDArray, strand: Strand, *, density: float = 1060.0
) -> Model:
    """The model with strands between pairs of its nodes: ligaments, tendons, sutures. Each is one straight element.

    Args:
        model: a body.
        name: of their region.
        pairs: (n, 2) nodes.
        strand: law, area and rest length, one or per pair.
        density: kg/m³ of the strands.

    Raises:
        SolverError: a node that is not there, two nodes at one place, the name is taken, or a bad parameter.
    """
    return _joined(model, [Part("L2", np.asarray(pairs), strand, density, name)], name)


def _joined(model: Model, parts: Sequence[Part], region: str) -> Model:
    taken = dict(model.region_names)
    if region in {*taken.values(), *model.node_sets}:
        raise SolverError(f"the name {region!r} is taken", where="model", advice="Give another name")
    label = max(taken, default=0) + 1
    first = sum(len(block.nodes) for block in model.blocks)
    added = blocks_of(np.asarray(model.points), parts, {region: label}, first)
    return replace(model, blocks=(*model.blocks, *added), region_names=(*model.region_names, (label, region)))
