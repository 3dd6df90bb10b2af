"""Vessel walls: thickness, open ends, lumen, and a crotch where the wall must give way."""

from __future__ import annotations

import numpy as np
import pytest
from analytic_solids import aneurysm, centres, grid_of, sphere

from preop.imaging.anatomy import SEGMENTS
from preop.imaging.errors import MeshError
from preop.meshing.mesh import SurfaceMesh
from preop.meshing.sets import facet_normals
from preop.meshing.surface import surface_from_mask
from preop.meshing.wall import vessel_wall, wall_mesh


def test_a_shell_around_a_ball_has_its_volume():
    grid = grid_of((1, 1, 1), (40, 40, 40))
    ball = surface_from_mask(sphere(14)(centres(grid)) < 0, grid, edge_length_mm=2.0)
    wall = wall_mesh(ball, thickness_mm=2.0, layers=2)
    radius = (3 * ball.volume / 4 / np.pi) ** (1 / 3)
    assert wall.volumes.sum() == pytest.approx(4 / 3 * np.pi * ((radius + 2) ** 3 - radius**3), rel=0.03)
    assert wall.volumes.min() > 0
    assert len(wall.tetrahedra) == 6 * len(ball.triangles)
    assert SurfaceMesh(wall.points, wall.facet_sets["inner"]).volume == pytest.approx(-ball.volume, rel=1e-9)
    assert not wall.node_sets


@pytest.fixture(scope="module")
def with_thrombus():
    return vessel_wall(aneurysm(), thickness_mm=1.5, layers=1, edge_length_mm=4.0)


def test_wall_and_thrombus_are_one_conforming_solid(with_thrombus):
    mesh = with_thrombus
    assert sorted(mesh.region_names.values()) == ["aortic_thrombus", "aortic_wall"]
    labels = aneurysm()
    thrombus = labels.only("aortic_thrombus").sum() * labels.grid.voxel_volume
    inside = mesh.region == SEGMENTS["aortic_thrombus"].label
    assert mesh.volumes[inside].sum() == pytest.approx(thrombus, rel=0.1)
    assert any(name.startswith("interface_") for name in mesh.facet_sets)


def test_the_lumen_is_pressurised_from_within(with_thrombus):
    """Normals point out of the solid, into the lumen; their flux is that of a closed lumen less its two ends."""
    mesh = with_thrombus
    facets = mesh.facet_sets["lumen"]
    normal, corner = facet_normals(mesh.points, facets), mesh.points[facets]
    middle = corner.mean(axis=1)
    inward = np.einsum("ij,ij->i", normal[:, :2], middle[:, :2] - [0, 1])
    assert (inward < 0).mean() > 0.99
    labels = aneurysm()
    lumen = labels.mask("aorta").sum() * labels.grid.voxel_volume
    vector = np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]) / 2
    # ∫ (x, y) · n over the side of a tube along z is twice its volume
    flux = -np.einsum("ij,ij->", middle[:, :2], vector[:, :2]) / 2
    assert flux == pytest.approx(lumen, rel=0.05)


def test_both_ends_are_open_and_flat(with_thrombus):
    mesh = with_thrombus
    assert sorted(mesh.node_sets) == ["end_0", "end_1"]
    heights = [mesh.points[mesh.node_sets[name], 2] for name in ("end_0", "end_1")]
    assert np.ptp(heights[0]) < 1e-6
    assert np.ptp(heights[1]) < 1e-6
    assert heights[0].mean() - heights[1].mean() == pytest.approx(80, abs=1)


def test_the_wall_has_its_thickness(with_thrombus):
    """Outer facets lie a wall's thickness from the vessel's outside, whose shape is known."""
    mesh = with_thrombus
    outer = np.unique(mesh.facet_sets["outer"])
    x, y, z = mesh.points[outer].T
    bulge = np.exp(-((z / 16.0) ** 2))
    slope = 16 * bulge * z / 16.0**2
    height = (np.hypot(x, y) - (8 + 8 * bulge)) / np.sqrt(1 + slope**2)
    assert np.median(height) == pytest.approx(1.5, abs=0.25)


def test_without_thrombus_the_wall_alone_remains():
    mesh = vessel_wall(aneurysm(thrombus=False), thickness_mm=1.5, layers=2, edge_length_mm=4.0)
    assert list(mesh.region_names.values()) == ["aortic_wall"]
    assert len(mesh.facet_sets["lumen"]) == len(mesh.facet_sets["outer"])
    assert len(mesh.node_sets) == 2


def test_impossible_walls_are_named():
    labels = aneurysm()
    with pytest.raises(MeshError, match="outside the scan"):
        vessel_wall(labels, roi_mm=((500, 500, 500), (600, 600, 600)))
    grid = grid_of((1, 1, 1), (20, 20, 20))
    ball = surface_from_mask(sphere(6)(centres(grid)) < 0, grid, edge_length_mm=2.0)
    with pytest.raises(MeshError, match="not possible"):
        wall_mesh(ball, thickness_mm=-1)
