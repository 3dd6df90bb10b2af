"""Where something is, in words: an element or a node with its coordinates in mm."""

from __future__ import annotations

import numpy as np

from .model import MM, Model


def element_place(model: Model, source: int) -> str:
    """Element of the mesh, its region and its centre at rest."""
    for block in model.blocks:
        rows = np.flatnonzero(np.asarray(block.source) == source)
        if rows.size:
            points = np.asarray(model.points)[np.asarray(block.vertices)[rows[0]]]
            at, region = points.mean(axis=0) / MM, model.region_name(int(block.region[rows[0]]))
            return f"element {source} of {region!r} at {np.round(at, 2)} mm"
    return f"element {source}"


def node_place(model: Model, node: int) -> str:
    """Node and its position at rest."""
    return f"node {node} at {np.round(np.asarray(model.points)[node] / MM, 2)} mm"
