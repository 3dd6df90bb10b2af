"""Quality measures against closed forms and against VTK's verdict library."""

from __future__ import annotations

import numpy as np
import pytest

from preop.meshing.mesh import TetMesh
from preop.meshing.quality import dihedral_angles, quality, radius_ratio

REGULAR = np.array([[1, 1, 1], [-1, 1, -1], [1, -1, -1], [-1, -1, 1]], dtype=float)
CORNER = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=float)


def _random_mesh(count: int = 300) -> TetMesh:
    corners = np.random.default_rng(1).normal(size=(count, 4, 3))
    six = np.linalg.det(corners[:, 1:] - corners[:, :1])
    corners[six < 0] = corners[six < 0][:, [0, 1, 3, 2]]
    return TetMesh(corners.reshape(-1, 3), np.arange(4 * count).reshape(-1, 4), np.ones(count), {1: "solid"})


def test_the_regular_tetrahedron():
    assert radius_ratio(REGULAR[None])[0] == pytest.approx(1.0, abs=1e-12)
    assert dihedral_angles(REGULAR[None]) == pytest.approx(np.full((1, 6), np.degrees(np.arccos(1 / 3))))
    assert np.degrees(np.arccos(1 / 3)) == pytest.approx(70.5288, abs=1e-4)


def test_the_corner_tetrahedron():
    """r = 1/(3 + √3), R = √3/2; three right angles and three of arccos(1/√3) = 54.7356°."""
    expected = 3 * (1 / (3 + np.sqrt(3))) / (np.sqrt(3) / 2)
    assert radius_ratio(CORNER[None])[0] == pytest.approx(expected, rel=1e-12)
    assert np.sort(dihedral_angles(CORNER[None])[0]) == pytest.approx([54.735610] * 3 + [90.0] * 3, abs=1e-5)


def test_a_flat_tetrahedron_scores_nothing():
    sliver = np.array([[1, 0, 0], [0, 1, 1e-9], [-1, 0, 0], [0, -1, 1e-9]], dtype=float)
    assert radius_ratio(sliver[None])[0] < 1e-6
    assert dihedral_angles(sliver[None]).max() > 179.9


def test_verdict_agrees():
    pyvista = pytest.importorskip("pyvista")
    mesh = _random_mesh()
    grid = pyvista.UnstructuredGrid({pyvista.CellType.TETRA: mesh.tetrahedra}, mesh.points)
    cells = grid.cell_quality("radius_ratio")
    table = quality(mesh)
    # verdict gives R/(3r) ≥ 1
    assert table.radius_ratio == pytest.approx(1.0 / np.asarray(cells["radius_ratio"]), rel=1e-6)


def test_dihedral_angles_are_those_seen_along_each_edge():
    """Independently: the angle between the two other corners, looked at along the edge."""
    corners = _random_mesh().points.reshape(-1, 4, 3)
    seen = []
    for i, j, k, m in ((2, 3, 0, 1), (1, 3, 0, 2), (1, 2, 0, 3), (0, 3, 1, 2), (0, 2, 1, 3), (0, 1, 2, 3)):
        axis = corners[:, j] - corners[:, i]
        axis /= np.linalg.norm(axis, axis=1, keepdims=True)
        arms = [corners[:, c] - corners[:, i] for c in (k, m)]
        u, v = (a - np.einsum("ei,ei->e", a, axis)[:, None] * axis for a in arms)
        cosine = np.einsum("ei,ei->e", u, v) / np.linalg.norm(u, axis=1) / np.linalg.norm(v, axis=1)
        seen.append(np.degrees(np.arccos(cosine)))
    assert dihedral_angles(corners) == pytest.approx(np.stack(seen, axis=1), abs=1e-6)


def test_the_table_counts_and_points_at_the_worst():
    sliver = np.array([[30, 0, 0], [31, 0, 0], [30, 1, 0], [30.3, 0.3, 0.01]])
    points = np.concatenate([REGULAR, REGULAR + np.array([10, 0, 0]), sliver])
    mesh = TetMesh(points, [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]], [1, 1, 2], {1: "liver", 2: "liver_tumor"})
    table = quality(mesh)
    assert table.below() == 1
    worst = table.worst(1)[0]
    assert worst["element"] == 2
    assert worst["region"] == "liver_tumor"
    assert worst["at_mm"] == pytest.approx([30.325, 0.325, 0.0025], abs=0.006)
    counts, edges = table.histogram()
    assert counts.sum() == 3
    assert len(edges) == len(counts) + 1
    assert table.histogram("minimum_dihedral")[0].sum() == 3
    summary = table.summary()
    assert summary["volume_mm3"] == pytest.approx(2 * 8 / 3 + 0.01 / 6)
    assert summary["edge_max_mm"] == pytest.approx(2 * np.sqrt(2))
