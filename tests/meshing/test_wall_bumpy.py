"""A wall around an aneurysm as a segmentation gives it: voxels, bumps, side stubs and the iliac crotch."""

from __future__ import annotations

import numpy as np
import pytest
from analytic_solids import centres, grid_of, sphere
from scipy import ndimage

from preop.imaging.anatomy import SEGMENTS
from preop.imaging.phantom import PhantomParameters, make_phantom
from preop.imaging.volume import LabelMap
from preop.meshing.extrusion import grow
from preop.meshing.fairing import rounded
from preop.meshing.regions import RegionLattice
from preop.meshing.wall import vessel_wall
from preop.scenes.procedures.vessel_widths import largest_inscribed
from preop.scenes.procedures.wall_measures import wall_thickness

LUMEN, CLOT = SEGMENTS["aorta"].label, SEGMENTS["aortic_thrombus"].label


def roughened(truth: LabelMap, amplitude_mm: float, seed: int) -> LabelMap:
    """The vessel with both its borders moved by a random field, as image noise moves those of a segmentation."""
    rng = np.random.default_rng(seed)
    spacing = truth.grid.spacing

    def moved(mask):
        signed = ndimage.distance_transform_edt(mask, spacing) - ndimage.distance_transform_edt(~mask, spacing)
        field = ndimage.gaussian_filter(rng.standard_normal(mask.shape), 1.0)
        return signed + amplitude_mm * field / field.std() > 0

    lumen = truth.mask(["aorta"])
    outside = moved(lumen | truth.mask(["aortic_thrombus"])) | moved(lumen)
    labels = np.where(outside, CLOT, 0)
    thrombus_slices = truth.mask(["aortic_thrombus"]).any(axis=(0, 1))
    inside = outside & (moved(lumen) | ~thrombus_slices)
    labels[inside] = LUMEN
    return truth.with_labels(labels.astype(np.uint16))


@pytest.mark.slow
def test_a_rough_aneurysm_gets_its_wall():
    truth = make_phantom(PhantomParameters(shape=(128, 128, 128), phase="arterial", noise_hu=0.0)).labels
    mesh = vessel_wall(roughened(truth, 1.5, seed=4), thickness_mm=1.9, layers=1, edge_length_mm=4.0)
    assert sorted(mesh.region_names.values()) == ["aortic_thrombus", "aortic_wall"]
    assert mesh.volumes.min() > 0
    assert {"end_0", "end_1"} <= set(mesh.node_sets)
    thickness = wall_thickness(mesh)
    assert np.median(thickness) == pytest.approx(1.9, rel=0.1)
    assert (thickness > 0.8 * 1.9).mean() > 0.95


def test_a_cleft_is_closed_and_a_plain_tube_is_left_alone():
    """Two tubes 2 mm apart become one where a ball of 3 mm does not pass; beyond the cut they go on."""
    x, y, _ = np.meshgrid(*[np.arange(-20.0, 21)] * 3, indexing="ij")
    tubes = (np.hypot(x - 8, y) < 7) | (np.hypot(x + 8, y) < 7)
    labels = np.pad(np.where(tubes, LUMEN, 0)[1:-1, 1:-1, 1:-1], 1).astype(np.int32)
    faces = [(2, 0), (2, 1)]

    def closed(mask):
        lattice = RegionLattice(np.where(mask, labels, 0), np.eye(4), {LUMEN: "aorta"}, {LUMEN: 1.0})
        return rounded(lattice, 3.0, faces).labels > 0

    middle = np.abs(x) < 2
    assert not (labels[middle & (np.abs(y) < 1)] > 0).any()
    both = closed(labels > 0)
    inside = both[:, :, 1:-1]
    assert inside[20, 20].all()
    assert (inside == inside[:, :, :1]).all()
    one = (labels > 0) & (x > 0)
    assert (closed(one) ^ one).sum() < 0.02 * one.sum()


def test_a_crease_without_a_mean_direction_is_grown_from():
    """A sharp pit: the mean of its normals lies below a facet, and still there is a way out."""
    angle = np.linspace(0, 2 * np.pi, 8, endpoint=False)
    ring = np.column_stack([np.cos(angle), np.sin(angle), np.where(np.arange(8) % 2, 1.2, -1.2)])
    points = np.vstack([[[0, 0, 0]], 3 * ring])
    fan = np.array([[0, i, i % 8 + 1] for i in range(1, 9)], dtype=np.int32)
    wall = grow(points, fan, thickness_mm=0.5, layers=2)
    corner = wall.points[wall.tetrahedra]
    volume = np.einsum("ij,ij->i", corner[:, 1] - corner[:, 0],
                       np.cross(corner[:, 2] - corner[:, 0], corner[:, 3] - corner[:, 0]))  # fmt: skip
    assert volume.min() > 0
    assert wall.thickness.min() > 0.1


def test_an_unlabelled_voxel_inside_does_not_shrink_the_sac():
    grid = grid_of((1, 1, 1), (41, 41, 41))
    ball = sphere(16)(centres(grid)) < 0
    ball[20, 20, 20] = False
    assert largest_inscribed(ball, grid)[0] == pytest.approx(32, abs=0.5)
