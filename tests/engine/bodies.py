"""Meshes of known shape for the engine's tests: those of the verification."""

from __future__ import annotations

import numpy as np

from preop.engine.tissue.verification.meshes import box, bricks, mesh_for, sides
from preop.meshing.mesh import TetMesh

__all__ = ["box", "bricks", "mesh_for", "sides", "two_bodies"]


def two_bodies(low: TetMesh, up: TetMesh) -> TetMesh:
    """Both in one mesh, no node shared; facet sets `low_…` and `up_…`."""
    count = len(low.points)
    return TetMesh(
        np.vstack([low.points, up.points]),
        np.vstack([low.tetrahedra, up.tetrahedra + count]),
        np.concatenate([low.region, up.region]),
        {1: "body"},
        facet_sets={
            f"{name}_{key}": value + shift
            for name, part, shift in (("low", low, 0), ("up", up, count))
            for key, value in part.facet_sets.items()
        },
    )
