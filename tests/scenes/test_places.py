"""Places on a surface, on a box whose faces are known."""

from __future__ import annotations

import numpy as np
import pytest

from preop.imaging.anatomy import BY_LABEL, SEGMENTS
from preop.imaging.errors import SceneError
from preop.imaging.volume import Grid, LabelMap
from preop.meshing.mesh import TetMesh
from preop.scenes.places import nodes_at, surface_normals
from preop.scenes.schema import Place

SIDE = 40.0


@pytest.fixture(scope="module")
def box() -> TetMesh:
    """A cube of 40 mm with corner at the origin, 5 tetrahedra per cell of 10 mm, surface outward."""
    axis = np.linspace(0, SIDE, 5)
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    cells = []
    corner = {(a, b, c): 25 * a + 5 * b + c for a in (0, 1) for b in (0, 1) for c in (0, 1)}
    paths = [((1, 0, 0), (1, 1, 0)), ((0, 1, 0), (0, 1, 1)), ((0, 0, 1), (1, 0, 1))]
    paths += [((0, 1, 0), (1, 1, 0)), ((0, 0, 1), (0, 1, 1)), ((1, 0, 0), (1, 0, 1))]
    for i, j, k in np.ndindex(4, 4, 4):
        base = 25 * i + 5 * j + k
        cells += [[base, base + corner[p], base + corner[q], base + corner[1, 1, 1]] for p, q in paths]
    cells = np.array(cells, dtype=np.int32)
    a, b, c, d = (points[cells[:, n]] for n in range(4))
    flip = np.einsum("ij,ij->i", b - a, np.cross(c - a, d - a)) < 0
    cells[flip] = cells[flip][:, [0, 2, 1, 3]]
    faces = np.concatenate([cells[:, f] for f in ([1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1])])
    _, first, count = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_counts=True)
    surface = faces[first[count == 1]]
    return TetMesh(points, cells, np.full(len(cells), 10), {10: "liver"}, {"surface": surface})


@pytest.fixture(scope="module")
def labels() -> LabelMap:
    """A vena cava 3 mm in front of the face x = 40."""
    voxels = np.zeros((60, 50, 50), dtype=np.uint16)
    voxels[43:47, :, 10:20] = SEGMENTS["inferior_vena_cava"].label
    return LabelMap(voxels, Grid(voxels.shape, np.eye(4)), BY_LABEL)


def test_normals_point_outward(box):
    nodes, normals = surface_normals(box, box.facet_sets["surface"])
    assert np.all(np.einsum("ij,ij->i", normals, box.points[nodes] - SIDE / 2) > 0)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)


def test_facing_takes_the_whole_face_and_only_it(box, labels):
    nodes = nodes_at(Place(facing=(0, 0, 1), fraction=0.1), box, labels, where="")
    assert np.all(box.points[nodes, 2] == SIDE)
    # The inner 3×3 nodes face up; those on the rim do within 45° only where one other face meets.
    assert {tuple(p) for p in box.points[nodes, :2]} >= {(x, y) for x in (10.0, 20.0, 30.0) for y in (10.0, 20.0, 30.0)}


def test_towards_takes_the_corner_and_its_neighbours(box, labels):
    nodes = nodes_at(Place(towards=(-1, -1, -1), radius_mm=10.5), box, labels, where="")
    assert {tuple(p) for p in box.points[nodes]} == {(0, 0, 0), (10, 0, 0), (0, 10, 0), (0, 0, 10)}


def test_near_takes_what_is_within_reach(box, labels):
    nodes = nodes_at(Place(near=("inferior_vena_cava",), within_mm=3.5), box, labels, where="")
    assert np.all(box.points[nodes, 0] == SIDE)
    assert set(box.points[nodes, 2]) == {10.0, 20.0}


@pytest.mark.parametrize(
    "place",
    [Place(point=(100, 0, 0), radius_mm=5), Place(near=("spleen",)), Place(near=("inferior_vena_cava",), within_mm=1)],
)
def test_nothing_there_is_an_error_that_says_where(box, labels, place):
    with pytest.raises(SceneError, match=r"grasp\.where"):
        nodes_at(place, box, labels, where="grasp.where")
