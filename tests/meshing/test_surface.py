"""Surfaces of masks: closed, outward, smooth, and of the voxels' volume, on any grid."""

from __future__ import annotations

import numpy as np
import pytest
from analytic_solids import centres, grid_of, liver_like, rod, sphere, torus
from scipy.spatial import KDTree

from preop.imaging.errors import GeometryError, MeshError, SegmentationError
from preop.imaging.volume import Grid
from preop.meshing import remeshing
from preop.meshing import surface as surface_module
from preop.meshing.check import check_surface
from preop.meshing.surface import surface_from_mask, surfaces_from_labels
from preop.meshing.voxelnet import voxel_net, well_composed
from preop.meshing.voxels import pieces

TURN = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
SHEAR = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.3], [0.0, 0.0, 1.0]])
GRIDS = {
    "even": ((1.0, 1.0, 1.0), None),
    "clinical": ((0.57, 0.57, 1.6), None),
    "thick": ((0.8, 0.8, 5.0), None),
    "oblique": ((0.8, 0.8, 2.0), TURN),
    "left-handed": ((1.0, 1.0, 1.0), np.diag([1.0, 1.0, -1.0])),
    "sheared": ((1.0, 1.0, 1.5), SHEAR),
}
BODIES = {"ball": sphere(14), "nodule": sphere(3.2), "ring": torus(12, 4), "vessel": rod(1.6, 14)}


@pytest.mark.parametrize("grid_name", GRIDS)
@pytest.mark.parametrize("body", BODIES)
def test_closed_outward_and_of_the_voxels_volume(body, grid_name):
    spacing, direction = GRIDS[grid_name]
    grid = grid_of(spacing, (36, 36, 36), direction)
    mask = BODIES[body](centres(grid)) < 0
    surface = surface_from_mask(mask, grid, name=body)
    report = check_surface(surface, self_intersections=True)
    assert report.closed, report.faults
    assert report.self_intersections == 0
    assert surface.volume == pytest.approx(mask.sum() * grid.voxel_volume, rel=0.01)
    assert surface.volume > 0


@pytest.mark.parametrize("grid_name", ["even", "clinical", "thick", "oblique"])
def test_stair_steps_are_gone(grid_name):
    """A voxel face leans up to 55° from a ball's tangent plane; smoothed, the typical facet leans under 15°."""
    spacing, direction = GRIDS[grid_name]
    grid = grid_of(spacing, (48, 48, 48), direction)
    mask = sphere(18)(centres(grid)) < 0

    def lean(smoothing: int) -> tuple[float, float]:
        surface = surface_from_mask(mask, grid, smoothing=smoothing)
        corner = surface.points[surface.triangles] - np.array([10.0, -20.0, 30.0])
        normal = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0])
        radial = corner.mean(axis=1)
        cosine = np.einsum("ij,ij->i", normal, radial) / np.linalg.norm(normal, axis=1) / np.linalg.norm(radial, axis=1)
        off = np.abs(np.linalg.norm(surface.points - [10, -20, 30], axis=1) - 18)
        return float(np.degrees(np.sqrt((np.arccos(np.clip(cosine, -1, 1)) ** 2).mean()))), float(off.max())

    smooth, distance = lean(40)
    assert smooth < 15 < 30 < lean(0)[0]
    # no vertex strays from the truth by more than the voxels' own uncertainty
    assert distance < max(spacing)


def test_the_border_of_the_scan_closes_the_surface():
    grid = grid_of((1, 1, 1), (20, 20, 20))
    mask = np.ones(grid.shape, dtype=bool)
    mask[:5] = False
    surface = surface_from_mask(mask, grid)
    assert check_surface(surface).closed
    assert surface.volume == pytest.approx(15 * 20 * 20, rel=0.01)


def test_each_tumour_keeps_its_own_volume_and_cavities_stay_hollow():
    grid = grid_of((1, 1, 2), (70, 40, 40))
    p = centres(grid)
    bodies = [sphere(12, (-18, 0, 0)), sphere(3, (14, 0, 0)), sphere(1.7, (28, 5, 0))]
    masks = [b(p) < 0 for b in bodies]
    hollow = masks[0] & ~(sphere(5, (-18, 0, 0))(p) < 0)
    surface = surface_from_mask(hollow | masks[1] | masks[2], grid)
    x = surface.points[:, 0] - 10
    for mask, low, high in ((hollow, -40, 5), (masks[1], 5, 22), (masks[2], 22, 40)):
        chosen = ((x > low) & (x < high))[surface.triangles].all(axis=1)
        a, b, c = (surface.points[surface.triangles[chosen, i]] for i in range(3))
        assert np.einsum("ij,ij->", a, np.cross(b, c)) / 6 == pytest.approx(mask.sum() * 2.0, rel=0.01)
    assert check_surface(surface).components == 4


@pytest.mark.parametrize(("body", "edge"), [("ball", 3.0), ("ring", 2.0), ("vessel", 1.5), ("ball", 0.7)])
def test_a_target_edge_length_keeps_volume_and_topology(body, edge):
    grid = grid_of((1, 1, 1), (36, 36, 36))
    mask = BODIES[body](centres(grid)) < 0
    surface = surface_from_mask(mask, grid, edge_length_mm=edge)
    assert check_surface(surface).closed
    assert surface.volume == pytest.approx(mask.sum() * grid.voxel_volume, rel=0.01)
    corner = surface.points[surface.triangles]
    length = np.linalg.norm(corner - np.roll(corner, 1, axis=1), axis=2)
    assert length.mean() == pytest.approx(edge, rel=0.25)
    euler = len(surface.points) - len(surface.triangles) // 2
    assert euler == (0 if body == "ring" else 2)


def _oblique_rod():
    """3 mm of radius on slices of 8 mm: the vessel all but falls apart between them."""
    grid = grid_of((0.6, 0.6, 8), (60, 60, 80))
    return rod(3, 30, (1, 0, 1.0))(centres(grid)) < 0, grid


def _noise():
    mask = np.random.default_rng(0).random((14, 14, 14)) < 0.3
    return mask, Grid(mask.shape, np.eye(4))


@pytest.mark.parametrize(("body", "edge"), [(_oblique_rod, 2.0), (_noise, None), (_noise, 2.0), (_noise, 1.0)])
def test_no_face_crosses_another(body, edge):
    mask, grid = body()
    report = check_surface(surface_from_mask(mask, grid, edge_length_mm=edge), self_intersections=True)
    assert report.closed, report.faults
    assert report.self_intersections == 0


def test_faces_that_cross_keep_the_unremeshed_surface(monkeypatch):
    """Remeshing that always crosses is given up: its component is returned as it was, cut where its edges are long."""
    grid = grid_of((1, 1, 1), (24, 24, 24))
    mask = sphere(8)(centres(grid)) < 0
    before = surface_from_mask(mask, grid)
    honest = remeshing.remesh
    told = []

    def spoilt(points, triangles, edge, *, held):
        told.append(held.mean())
        points, triangles = honest(points, triangles, edge, held=held)
        # a free vertex is pushed through the far side
        free = np.flatnonzero(~(KDTree(before.points[held]).query(points)[0] < 1e-9)) if held.any() else [0]
        moved = points.copy()
        for vertex in free[:1]:
            moved[vertex] += 2.5 * (points.mean(axis=0) - points[vertex])
        return moved, triangles

    monkeypatch.setattr(remeshing, "remesh", spoilt)
    monkeypatch.setattr(surface_module, "relaxed_apart", lambda points, triangles: points)
    after = surface_from_mask(mask, grid, edge_length_mm=3.0)
    assert told[0] == 0 < told[1] <= told[-1] == 1
    assert check_surface(after, self_intersections=True).self_intersections == 0
    assert len(after.triangles) == len(before.triangles)


def test_voxels_that_meet_in_an_edge_or_a_corner_give_a_manifold():
    rng = np.random.default_rng(3)
    noise = rng.random((12, 12, 12)) < 0.4
    filled = well_composed(noise)
    assert (filled & noise).sum() == noise.sum()
    quads = voxel_net(filled).quads
    edges = np.sort(np.stack([quads, np.roll(quads, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 2).all()
    # without the repair there are edges of four faces
    raw = voxel_net(noise).quads
    edges = np.sort(np.stack([raw, np.roll(raw, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    assert (np.unique(edges, axis=0, return_counts=True)[1] == 4).any()


def test_an_oblique_vessel_between_thick_slices_stays_whole():
    grid = grid_of((0.8, 0.8, 5.0), (60, 40, 60))
    mask = rod(2.0, 24, (1.0, 0.0, 0.85))(centres(grid)) < 0
    assert pieces(mask)[1] == 1
    surface = surface_from_mask(mask, grid)
    assert check_surface(surface).components == 1


def test_small_pieces_go_only_when_told():
    grid = grid_of((1, 1, 1), (40, 30, 30))
    p = centres(grid)
    mask = (sphere(8, (-8, 0, 0))(p) < 0) | (sphere(1.5, (12, 0, 0))(p) < 0)
    assert check_surface(surface_from_mask(mask, grid)).components == 2
    assert check_surface(surface_from_mask(mask, grid, drop_below_mm3=100)).components == 1


def test_groups_hold_their_parts_and_absent_labels_are_named():
    labels = liver_like()
    surfaces = surfaces_from_labels(labels, {"liver": ("liver",), "inside": ("liver_tumor", "liver_vessels")})
    voxel = labels.grid.voxel_volume
    assert surfaces["liver"].volume == pytest.approx((labels.labels > 0).sum() * voxel, rel=0.01)
    assert surfaces["inside"].volume == pytest.approx((labels.labels > 10).sum() * voxel, rel=0.01)
    with pytest.raises(SegmentationError, match="spleen"):
        surfaces_from_labels(labels, ("spleen",))


def test_wrong_input_is_named():
    grid = Grid((4, 4, 4), np.eye(4))
    with pytest.raises(MeshError, match="no voxel"):
        surface_from_mask(np.zeros((4, 4, 4), dtype=bool), grid, name="liver")
    with pytest.raises(GeometryError, match="does not fit"):
        surface_from_mask(np.ones((4, 4, 5), dtype=bool), grid)
    with pytest.raises(MeshError, match="not positive"):
        surface_from_mask(np.ones((4, 4, 4), dtype=bool), grid, edge_length_mm=0)
