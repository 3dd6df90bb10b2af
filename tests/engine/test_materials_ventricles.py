"""Fibres of two ventricles: angles at every surface, through the septum, unit length, right angles, bad input."""

from __future__ import annotations

from functools import cache

import bodies
import numpy as np
import pytest

from preop.engine.tissue.ventricles import biventricular
from preop.imaging.errors import SolverError
from preop.meshing.mesh import TetMesh

WALL, WIDE, TALL, EDGE = 10.0, 20.0, 60.0, 2.5
"""mm: walls, cavities, and edges of the mesh. Half way up a cavity walls are as of infinite height: the corners' share
of φ there is of the order of exp(−π · 30/10) = 1e-4."""
INNER, OUTER, RIGHT_INNER, RIGHT_OUTER = 60.0, -50.0, 80.0, -30.0


@cache
def heart() -> TetMesh:
    """A block with two shafts along z: right wall, right cavity, septum, left cavity, left wall along x."""
    size = (3 * WALL + 2 * WIDE, 2 * WALL + TALL, EDGE)
    whole = bodies.box(tuple(round(length / EDGE) for length in size), size=size)  # pyright: ignore[reportArgumentType]
    x, y, _ = whole.points[whole.tetrahedra].mean(axis=1).T
    middle = np.abs(y - WALL - TALL / 2) < TALL / 2
    shafts = [(x > start) & (x < start + WIDE) & middle for start in (WALL, 2 * WALL + WIDE)]
    kept = whole.tetrahedra[~(shafts[0] | shafts[1])]
    used, cells = np.unique(kept, return_inverse=True)
    sets = {"outside": np.isin(used, np.concatenate([whole.node_sets[key] for key in ("x0", "x1", "y0", "y1")]))}
    for name, shaft in zip(("right", "left"), shafts, strict=True):
        sets[name] = np.isin(used, whole.tetrahedra[shaft])
    nodes = {name: np.flatnonzero(mask).astype(np.int32) for name, mask in sets.items()}
    region = np.ones(len(kept), np.int32)
    return TetMesh(whole.points[used], cells.reshape(-1, 4).astype(np.int32), region, {1: "heart"}, node_sets=nodes)


@cache
def field() -> tuple[np.ndarray, np.ndarray]:
    angles = {"inner": INNER, "outer": OUTER, "right_inner": RIGHT_INNER, "right_outer": RIGHT_OUTER}
    return biventricular(heart(), "left", "right", "outside", axis=(0, 0, 1), **angles)


def helix_angles(start: float, outward: float) -> np.ndarray:
    """At both faces [°] of the wall from x = start on, extrapolated from its elements half way up; first the inner."""
    mesh, (fiber, _) = heart(), field()
    x, y, _ = mesh.points[mesh.tetrahedra].mean(axis=1).T
    chosen = (np.abs(y - WALL - TALL / 2) < 5.0) & (x > start) & (x < start + WALL)
    depth = (x[chosen] - start) / WALL if outward > 0 else 1.0 - (x[chosen] - start) / WALL
    around = np.cross([0.0, 0.0, 1.0], [outward, 0.0, 0.0])
    raw = np.degrees(np.arctan2(fiber[chosen, 2], fiber[chosen] @ around))
    order = np.argsort(depth)
    angle = np.degrees(np.unwrap(np.radians(raw[order]), period=np.pi))
    line = np.polyfit(depth[order], angle, 1)
    assert np.abs(np.polyval(line, depth[order]) - angle).max() < 0.2
    ends = np.polyval(line, [0.0, 1.0])
    return ends - 180.0 * np.round((ends[0] - INNER) / 180.0)


def test_angles_at_every_surface() -> None:
    """Seen from the cavity of its own ventricle: both free walls, and the septum from either side."""
    left, right = 2 * WALL + 2 * WIDE, 0.0
    assert helix_angles(left, 1.0) == pytest.approx([INNER, OUTER], abs=0.1)
    assert helix_angles(right, -1.0) == pytest.approx([RIGHT_INNER, RIGHT_OUTER], abs=0.1)
    septum = WALL + WIDE
    assert helix_angles(septum, -1.0) == pytest.approx([INNER, -RIGHT_INNER], abs=0.1)
    assert helix_angles(septum, 1.0) == pytest.approx([RIGHT_INNER, -INNER], abs=0.1)


def test_fibres_and_sheets_are_a_frame_everywhere() -> None:
    fiber, sheet = field()
    assert np.linalg.norm(fiber, axis=1) == pytest.approx(1.0, abs=1e-12)
    assert np.linalg.norm(sheet, axis=1) == pytest.approx(1.0, abs=1e-12)
    assert np.abs(np.sum(fiber * sheet, axis=1)).max() < 1e-12


def test_fibres_are_continuous_from_the_septum_into_both_walls() -> None:
    """From cell to cell the axis turns no more than through the septum, the steepest wall, in walls and septum up to
    their corners; the corners of this block turn it by up to a right angle, in less than 3 % of its faces."""
    mesh, (fiber, _) = heart(), field()
    faces = np.sort(mesh.tetrahedra[:, [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]], axis=2).reshape(-1, 3)
    owner, order = np.repeat(np.arange(len(mesh.tetrahedra)), 4), np.lexsort(faces.T)
    same = (faces[order[1:]] == faces[order[:-1]]).all(axis=1)
    first, second = owner[order[:-1][same]], owner[order[1:][same]]
    turn = np.degrees(np.arccos(np.clip(np.abs(np.sum(fiber[first] * fiber[second], axis=1)), 0.0, 1.0)))
    upright = np.abs(mesh.points[mesh.tetrahedra].mean(axis=1)[first, 1] - WALL - TALL / 2) < TALL / 2 - WALL / 2
    steepest = (INNER + RIGHT_INNER) * EDGE / WALL
    assert turn[upright].max() < steepest + 1.0
    assert (turn > steepest + 1.0).mean() < 0.03


def test_left_and_right_are_alike() -> None:
    """With equal angles, naming the ventricles the other way round leaves every axis as it is."""
    one, _ = biventricular(heart(), "left", "right", "outside", axis=(0, 0, 1))
    two, _ = biventricular(heart(), "right", "left", "outside", axis=(0, 0, 1))
    assert np.abs(np.sum(one * two, axis=1)) == pytest.approx(1.0, abs=1e-9)


def test_sides_that_cannot_be_are_named() -> None:
    mesh = heart()
    with pytest.raises(SolverError, match="lies on both sides"):
        biventricular(mesh, "left", "left", "outside", axis=(0, 0, 1))
    with pytest.raises(SolverError, match="no set is named 'septum'"):
        biventricular(mesh, "left", "right", "septum", axis=(0, 0, 1))
    with pytest.raises(SolverError, match="an angle"):
        biventricular(mesh, "left", "right", "outside", axis=(0, 0, 1), inner=np.nan)
    with pytest.raises(SolverError, match="axis across the wall"):
        biventricular(mesh, "left", "right", "outside", axis=(1, 0, 0))
