"""The sizes told are those of the stretch that is computed, the whole vessel's beside them."""

from __future__ import annotations

import re

import numpy as np
import pytest
from analytic_solids import centres, grid_of

from preop.imaging.anatomy import BY_LABEL, SEGMENTS
from preop.imaging.volume import LabelMap
from preop.meshing.wall import vessel_wall
from preop.scenes.procedures.vessel_size import Stretch, size_numbers
from preop.scenes.procedures.vessel_wall import VesselWallOptions
from preop.scenes.procedures.wall_measures import away_from_ends, is_short, short_note

AORTA, CLOT = SEGMENTS["aorta"].label, SEGMENTS["aortic_thrombus"].label


def stepped() -> LabelMap:
    """A tube of 24 mm whose upper part is 40 mm wide, with 4 mm of clot around the lumen below."""
    grid = grid_of((1, 1, 1), (60, 60, 200), origin=(0, 0, 0))
    x, y, z = np.moveaxis(centres(grid, (0, 0, 0)), -1, 0)
    radius = np.hypot(x, y)
    lumen = np.where(z > 20, radius < 20, radius < np.where(np.abs(z + 50) < 20, 8, 12))
    clot = (radius < 12) & (z < 20) & ~lumen
    return LabelMap(np.select([lumen, clot], [AORTA, CLOT]).astype(np.uint16), grid, BY_LABEL)


@pytest.mark.parametrize("with_box", [True, False])
def test_sizes_are_those_of_the_stretch_and_tell_the_wholes(with_box):
    """By the box, or without one by the thrombus and 30 mm on both sides of it: neither reaches the wide part."""
    labels = stepped()
    box = ((-40.0, -40.0, -90.0), (40.0, 40.0, 0.0)) if with_box else None
    options = VesselWallOptions(box_mm=box, edge_length_mm=4.0)
    stretch = Stretch.of(labels, options)
    numbers = {one.key: one for one in size_numbers(stretch)}
    for key in ("max_axial_diameter_mm", "max_inscribed_diameter_mm"):
        assert numbers[key].value == pytest.approx(24, abs=0.5)
        (whole,) = re.findall(r"all of the vessel that is segmented has ([\d.]+) mm", numbers[key].meaning)
        assert float(whole) == pytest.approx(40, abs=0.5)
    z = centres(labels.grid, (0, 0, 0))[0, 0, :, 2]
    inside = (np.abs(z + 45) < 45) if with_box else (np.abs(z + 50) < 50)
    np.testing.assert_array_equal(stretch.computed, (labels.labels > 0) & inside)
    assert stretch.millilitres(stretch.thrombus)[0] == pytest.approx((labels.labels == CLOT).sum() / 1000)
    lumen = labels.labels == AORTA
    assert numbers["lumen_ml"].value == pytest.approx(lumen[:, :, inside].sum() / 1000)
    (whole,) = re.findall(r"segmented has ([\d.]+) mL", numbers["lumen_ml"].meaning)
    assert float(whole) == pytest.approx(lumen.sum() / 1000, abs=0.05)


def test_the_stretch_is_the_one_of_the_mesh():
    labels = stepped()
    options = VesselWallOptions(edge_length_mm=4.0)
    mesh = vessel_wall(labels, thickness_mm=2.0, layers=1, edge_length_mm=4.0)
    voxels = labels.grid.points_from_index(np.argwhere(Stretch.of(labels, options).computed))
    assert voxels[:, 2].min() - 0.5 == pytest.approx(mesh.points[:, 2].min(), abs=0.5)
    assert voxels[:, 2].max() + 0.5 == pytest.approx(mesh.points[:, 2].max(), abs=0.5)


def test_a_vessel_of_one_width_says_the_whole_has_no_more():
    grid = grid_of((1, 1, 1), (40, 40, 60), origin=(0, 0, 0))
    tube = np.hypot(*np.moveaxis(centres(grid, (0, 0, 0)), -1, 0)[:2]) < 12
    labels = LabelMap(np.where(tube, AORTA, 0).astype(np.uint16), grid, BY_LABEL)
    for number in size_numbers(Stretch.of(labels, VesselWallOptions())):
        assert "all of the vessel that is segmented has no more" in number.meaning


def test_a_vessel_too_short_to_leave_out_its_ends_says_so():
    """18 mm long, held at both ends: nothing of it is 10 mm away from them, and 8 mm is."""
    grid = grid_of((1, 1, 1), (40, 40, 18), origin=(0, 0, 0))
    tube = np.hypot(*np.moveaxis(centres(grid, (0, 0, 0)), -1, 0)[:2]) < 10
    labels = LabelMap(np.where(tube, AORTA, 0).astype(np.uint16), grid, BY_LABEL)
    mesh = vessel_wall(labels, thickness_mm=2.0, edge_length_mm=2.5)
    assert is_short(mesh, 10.0)
    assert away_from_ends(mesh, 10.0).all()
    (note,) = short_note(mesh, 10.0)
    assert "within 10 mm of its held ends" in note
    assert "counted everywhere" in note
    assert not is_short(mesh, 7.0)
    assert short_note(mesh, 7.0) == []
    assert 0 < away_from_ends(mesh, 7.0).mean() < 0.4
