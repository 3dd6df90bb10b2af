"""Places on a surface, on a box whose faces are known."""

from __future__ import annotations

import numpy as np
import pytest

from preop.imaging.anatomy import BY_LABEL, SEGMENTS
from preop.imaging.errors import SceneError
from preop.imaging.volume import Grid, LabelMap
from preop.meshing.mesh import TetMesh
from preop.scenes.places import facets_at, smooth_normals
from preop.scenes.schema import Place

SIDE = 40.0


@pytest.fixture(scope="module")
def box() -> TetMesh:
    """A cube of 40 mm with corner at the origin, 6 tetrahedra per cell of 10 mm, surface outward."""
    return cube(4)


def cube(count: int) -> TetMesh:
    axis, row = np.linspace(0, SIDE, count + 1), count + 1
    points = np.stack(np.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    cells = []
    corner = {(a, b, c): row * row * a + row * b + c for a in (0, 1) for b in (0, 1) for c in (0, 1)}
    paths = [((1, 0, 0), (1, 1, 0)), ((0, 1, 0), (0, 1, 1)), ((0, 0, 1), (1, 0, 1))]
    paths += [((0, 1, 0), (1, 1, 0)), ((0, 0, 1), (0, 1, 1)), ((1, 0, 0), (1, 0, 1))]
    for i, j, k in np.ndindex(count, count, count):
        base = row * row * i + row * j + k
        cells += [[base, base + corner[p], base + corner[q], base + corner[1, 1, 1]] for p, q in paths]
    cells = np.array(cells, dtype=np.int32)
    a, b, c, d = (points[cells[:, n]] for n in range(4))
    flip = np.einsum("ij,ij->i", b - a, np.cross(c - a, d - a)) < 0
    cells[flip] = cells[flip][:, [0, 2, 1, 3]]
    faces = np.concatenate([cells[:, f] for f in ([1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1])])
    _, first, sharing = np.unique(np.sort(faces, axis=1), axis=0, return_index=True, return_counts=True)
    surface = faces[first[sharing == 1]]
    return TetMesh(points, cells, np.full(len(cells), 10), {10: "liver"}, {"surface": surface})


@pytest.fixture(scope="module")
def labels() -> LabelMap:
    """A vena cava 3 mm in front of the face x = 40."""
    voxels = np.zeros((60, 50, 50), dtype=np.uint16)
    voxels[43:47, :, 10:20] = SEGMENTS["inferior_vena_cava"].label
    return LabelMap(voxels, Grid(voxels.shape, np.eye(4)), BY_LABEL)


def corners(place: Place, mesh: TetMesh, labels: LabelMap, **more) -> np.ndarray:
    """(F, 3, 3) of the facets at a place."""
    return mesh.points[mesh.facet_sets["surface"][facets_at(place, mesh, labels, where="", **more)]]


def area(facets: np.ndarray) -> float:
    return float(np.linalg.norm(np.cross(facets[:, 1] - facets[:, 0], facets[:, 2] - facets[:, 0]), axis=1).sum() / 2)


def test_normals_point_outward(box):
    surface = box.facet_sets["surface"]
    normals = smooth_normals(box, surface)
    assert np.all(np.einsum("ij,ij->i", normals, box.points[surface].mean(axis=1) - SIDE / 2) > 0)
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1)


def test_facing_takes_the_whole_face_and_only_it(box, labels):
    found = corners(Place(facing=(0, 0, 1), fraction=0.1), box, labels)
    assert np.all(found[:, :, 2] == SIDE)
    # of each corner's facets one may lean away by more than 45°, as three faces meet there
    assert SIDE**2 - 4 * 50 <= area(found) <= SIDE**2


def test_towards_takes_what_surrounds_the_corner(box, labels):
    found = corners(Place(towards=(-1, -1, -1), radius_mm=14.0), box, labels)
    centroids = found.mean(axis=1)
    assert len(found) >= 3
    # the facet nearest the corner lies at most two thirds of a cell away from it on each axis
    assert np.linalg.norm(centroids, axis=1).max() < 14.0 + np.sqrt(2) * 20 / 3
    assert {int(axis) for axis in np.argmin(centroids, axis=1)} == {0, 1, 2}, "all three faces that meet there"


def test_near_takes_what_is_within_reach(box, labels):
    found = corners(Place(near=("inferior_vena_cava",), within_mm=4.5), box, labels)
    assert np.all(found[:, :, 0] == SIDE)
    centroids = found.mean(axis=1)
    # the vein reaches from z = 10 to 19 and from 3 mm before the face on: what lies at most 3.35 mm beside it
    assert np.all((centroids[:, 2] > 10 - 3.4) & (centroids[:, 2] < 19 + 3.4))
    assert area(found) == pytest.approx(SIDE * (9 + 2 * 3.35), rel=0.06)


@pytest.mark.parametrize("count", [8, 11, 14, 19, 23])
def test_a_patch_has_the_area_of_its_place_at_every_mesh(count, labels):
    """A disc of 12 mm: 452 mm². What counts whole facets only gives 200 to 390."""
    mesh = cube(count)
    found = corners(Place(point=(20.0, 20.0, SIDE), radius_mm=12.0), mesh, labels)
    found = found[(found[:, :, 2] == SIDE).all(axis=1)]
    assert area(found) == pytest.approx(np.pi * 12**2, rel=0.06)


def test_what_is_taken_is_left_out(box, labels):
    top = facets_at(Place(facing=(0, 0, 1), fraction=0.1), box, labels, where="")
    rest = facets_at(Place(all=True), box, labels, where="", taken=top)
    assert len(rest) + len(top) == len(box.facet_sets["surface"])
    assert not np.intersect1d(rest, top).size
    with pytest.raises(SceneError, match=r"ligament: no facet"):
        facets_at(Place(facing=(0, 0, 1), fraction=0.1), box, labels, where="ligament", taken=top)


@pytest.mark.parametrize(
    "place",
    [Place(point=(100, 0, 0), radius_mm=5), Place(near=("spleen",)), Place(near=("inferior_vena_cava",), within_mm=1)],
)
def test_nothing_there_is_an_error_that_says_where(box, labels, place):
    with pytest.raises(SceneError, match=r"grasp\.where"):
        facets_at(place, box, labels, where="grasp.where")
