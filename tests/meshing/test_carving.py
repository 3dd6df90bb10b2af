"""Vessels carved from a lattice: volume filled, borders met, cuts that conform, nothing left to chance."""

from __future__ import annotations

import numpy as np
import pytest
from analytic_solids import aneurysm, centres, grid_of, rod

from preop.imaging.anatomy import BY_LABEL, SEGMENTS
from preop.imaging.volume import LabelMap
from preop.meshing.body_centred import body_centred_lattice
from preop.meshing.carving import carve
from preop.meshing.distance_field import distance_field
from preop.meshing.ends import trim_to_open
from preop.meshing.level_cut import cut_at_level
from preop.meshing.mesh import signed_volumes
from preop.meshing.relaxation import relaxed, tetrahedron_quality
from preop.meshing.sets import all_facets, boundary_facets
from preop.meshing.wall import vessel_wall


def test_the_lattice_fills_its_box_with_two_shapes_of_tetrahedra():
    low, high = np.array([-3.0, 0.0, 5.0]), np.array([9.0, 8.0, 25.0])
    points, cells = body_centred_lattice(low, high, 4.0)
    volumes = signed_volumes(points, cells)
    assert volumes.sum() == pytest.approx(np.prod(high - low), rel=1e-12)
    # a whole one is a twelfth of a cube, one at the border half of that
    np.testing.assert_allclose(np.unique(np.round(volumes, 9)), [64 / 24, 64 / 12])
    facets, _ = boundary_facets(cells)
    assert ((points[facets] == low) | (points[facets] == high)).all(axis=1).any(axis=1).all()


@pytest.mark.parametrize("seed", range(3))
def test_a_cut_conforms_and_keeps_the_volume(seed):
    """A random linear field, some of its nodes put exactly on the level, as snapping does."""
    rng = np.random.default_rng(seed)
    points, cells = body_centred_lattice(np.zeros(3), np.full(3, 4.0), 1.0)
    normal = rng.standard_normal(3)
    normal /= np.linalg.norm(normal)

    def field(places):
        return (places - 2.0) @ normal

    value = field(points)
    value[np.abs(value) < 0.15] = 0.0
    cut = cut_at_level(points, cells, value, field)
    volumes = signed_volumes(cut.points, cut.tetrahedra)
    assert volumes.min() > 0
    assert volumes.sum() == pytest.approx(64.0, rel=1e-12)
    corner = cut.value[cut.tetrahedra]
    assert (corner[cut.side > 0] >= 0).all()
    assert (corner[cut.side < 0] <= 0).all()
    # every facet has a neighbour, but for those of the box: no diagonal differs from its neighbour's
    facets, _, paired = all_facets(cut.tetrahedra)
    place = cut.points[facets[paired < 0]]
    assert ((place == 0.0) | (place == 4.0)).all(axis=1).any(axis=1).all()
    fresh = cut.points[len(points) :]
    np.testing.assert_allclose(field(fresh), 0, atol=1e-9)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 0.8, 0.8)])
def test_the_distance_keeps_a_tubes_radius_and_loses_its_steps(spacing):
    """An oblique tube of 6 mm: the zero level keeps the radius within a tenth of a voxel, and the normal."""
    axis = np.array([0.3, 0.5, 1.0]) / np.linalg.norm([0.3, 0.5, 1.0])
    grid = grid_of(spacing, (44, 44, 44), origin=(0, 0, 0))
    inside = rod(6.0, 100.0, axis)(centres(grid, (0, 0, 0))) < 0
    faces = [(a, s) for a in range(3) for s in (0, 1)]
    field = distance_field(inside, grid.spacing, smoothing_mm=(1.2, 1.2), margin_mm=4.0, open_faces=faces)
    rng = np.random.default_rng(0)
    across = np.cross(axis, rng.standard_normal((2000, 3)))
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    start = rng.uniform(-10, 10, (2000, 1)) * axis + 6.0 * across
    centre = -grid.origin
    found = field.projected(start + centre) - centre
    radial = found - np.outer(found @ axis, axis)
    radius = np.linalg.norm(radial, axis=1)
    assert radius.mean() == pytest.approx(6.0, abs=0.1 * spacing[0])
    assert radius.std() < 0.1 * spacing[0]
    slope = field.gradients(found + centre)
    cosine = -np.einsum("ij,ij->i", slope, radial) / radius / np.linalg.norm(slope, axis=1)
    assert np.degrees(np.sqrt(np.mean(np.arccos(np.clip(cosine, -1, 1)) ** 2))) < 5.0


def test_relaxing_makes_no_element_worse_and_stays_on_the_outline():
    grid = grid_of((1, 1, 1), (30, 30, 30), origin=(0, 0, 0))
    radius = np.linalg.norm(centres(grid, (0, 0, 0)), axis=-1)
    outline = distance_field(radius < 12, grid.spacing, smoothing_mm=(1.2, 1.2), margin_mm=6.0)
    lumen = distance_field(radius < 7, grid.spacing, smoothing_mm=(1.2, 1.2), margin_mm=6.0)
    carved = carve(outline, lumen, (np.full(3, -3.0), np.full(3, 32.0)), [], 3.5)
    even = relaxed(carved, outline, lumen)
    before, after = (tetrahedron_quality(c.points, c.tetrahedra[c.inside]) for c in (carved, even))
    assert after.min() >= before.min()
    assert np.percentile(after, 5) > np.percentile(before, 5)
    assert np.abs(outline.values(even.points[np.unique(even.outline)])).max() < 0.05
    shell = signed_volumes(even.points, even.tetrahedra[even.inside]).sum()
    assert shell == pytest.approx(4 / 3 * np.pi * (12**3 - 7**3), rel=0.03)


def test_the_same_labels_give_the_same_wall():
    first, second = (vessel_wall(aneurysm(), thickness_mm=1.5, edge_length_mm=4.0) for _ in range(2))
    np.testing.assert_array_equal(first.points, second.points)
    np.testing.assert_array_equal(first.tetrahedra, second.tetrahedra)


def test_wall_elements_stand_in_columns_over_the_outer_facets():
    mesh = vessel_wall(aneurysm(thrombus=False), thickness_mm=1.5, layers=2, edge_length_mm=4.0)
    outer = mesh.points[mesh.facet_sets["outer"]].mean(axis=1)
    centre = mesh.points[mesh.tetrahedra].mean(axis=1)
    own = outer[np.arange(len(centre)) % len(outer)]
    assert np.linalg.norm(centre - own, axis=1).max() < 4.0


def test_a_thrombus_tapers_to_nothing():
    """Where it ends, its inner border meets the wall, and the pressurised surface goes on without a step."""
    labels = aneurysm()
    mesh = vessel_wall(labels, thickness_mm=1.5, layers=1, edge_length_mm=3.0)
    clot = mesh.tetrahedra[mesh.region == SEGMENTS["aortic_thrombus"].label]
    wall = np.unique(mesh.tetrahedra[mesh.region == SEGMENTS["aortic_wall"].label])
    lumen = mesh.facet_sets["lumen"]
    edges = np.sort(np.stack([lumen, np.roll(lumen, -1, axis=1)], axis=2).reshape(-1, 2), axis=1)
    of_clot = np.isin(lumen, np.unique(clot)).all(axis=1)
    bare = np.isin(lumen, wall).all(axis=1) & ~of_clot
    rim = np.intersect1d(lumen[of_clot], lumen[bare])
    assert len(rim) > 10
    assert np.isin(rim, wall).all()
    # the pressurised surface goes on over the rim without a gap: its only free edges are those of the two ends
    distinct, count = np.unique(edges, axis=0, return_counts=True)
    ends = np.unique(np.concatenate(list(mesh.node_sets.values())))
    assert count.max() == 2
    assert np.isin(distinct[count == 1], ends).all()


def test_an_oblique_end_is_cut_back_to_a_full_section():
    """A tube cut at a slant inside the grid: after trimming, its first slice is a whole one."""
    grid = grid_of((1, 1, 1), (30, 30, 80), origin=(0, 0, 0))
    x, y, z = np.moveaxis(centres(grid, (0, 0, 0)), -1, 0)
    tube = (np.hypot(x, y) < 9) & (z > -30 + x)
    labels = LabelMap(np.where(tube, SEGMENTS["aorta"].label, 0).astype(np.uint16), grid, BY_LABEL)
    section = (trim_to_open(labels, 2.0).labels > 0).sum(axis=(0, 1))
    assert section[0] >= 0.55 * section.max()
    assert section[-1] == section.max()
