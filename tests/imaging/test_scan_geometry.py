"""Order, spacing, orientation and irregularities of DICOM stacks."""

from __future__ import annotations

import numpy as np
import pytest
from dicom_files import even, make_slice, picture, save, write_series

from preop.imaging.errors import GeometryError, ScanError
from preop.imaging.inspect import inspect_scan
from preop.imaging.labelfile import write_volume
from preop.imaging.scan import read_scan


def test_order_comes_from_geometry_and_the_affine_is_exact(tmp_path):
    write_series(tmp_path, even(7))
    volume = read_scan(tmp_path)
    assert volume.voxels.shape == (16, 12, 7)
    for k in range(7):
        # picture[row, column] is voxel (column, row), rescaled by -1024.
        np.testing.assert_array_equal(volume.voxels[:, :, k], picture(k).T - 1024.0)
    # PixelSpacing is (between rows, between columns) = (0.75, 0.5).
    expected = [[0.5, 0, 0, -10], [0, 0.75, 0, -20], [0, 0, 2, -7], [0, 0, 0, 1]]
    np.testing.assert_allclose(volume.affine, expected, atol=1e-12)
    assert volume.unit == "HU"
    assert volume.grid.frame_of_reference_uid == "1.2.3.9"
    assert volume.notes == ()


def test_files_written_from_head_to_foot_give_the_same_volume(tmp_path):
    write_series(tmp_path / "up", even(6))
    write_series(tmp_path / "down", even(6)[::-1], pixels=lambda k: picture(5 - k))
    up, down = read_scan(tmp_path / "up"), read_scan(tmp_path / "down")
    np.testing.assert_array_equal(up.voxels, down.voxels)
    up.grid.require_same(down.grid)


@pytest.mark.parametrize("seed", range(4))
def test_oblique_stack_has_every_voxel_where_the_header_puts_it(tmp_path, seed):
    random = np.random.default_rng(seed)
    turn, _ = np.linalg.qr(random.normal(size=(3, 3)))
    row, column = turn[:, 0], turn[:, 1]
    normal = np.cross(row, column)
    origin = random.normal(size=3) * 100
    positions = [origin + 1.25 * k * normal for k in range(5)]
    orientation = [f"{x:.12g}" for x in (*row, *column)]
    write_series(tmp_path, positions, ImageOrientationPatient=orientation, seed=seed)
    volume = read_scan(tmp_path)
    for i, j, k in ((0, 0, 0), (3, 2, 4), (15, 11, 2)):
        # PS3.3 C.7.6.2.1.1: position + column index · row direction · Δ + row index · column direction · Δ.
        place = positions[k] + i * 0.5 * row + j * 0.75 * column
        np.testing.assert_allclose(volume.grid.points_from_index((i, j, k)), place, atol=1e-6)
        assert volume.voxels[i, j, k] == picture(k)[j, i] - 1024.0


def test_missing_slice_is_named_and_stops(tmp_path):
    positions = even(60, step=1.6, start=100.0)
    del positions[40]
    write_series(tmp_path, positions)
    with pytest.raises(ScanError) as caught:
        read_scan(tmp_path)
    line = caught.value.line()
    assert "slice 41 is missing between z=162.40 and z=165.60 mm: gap 3.20 mm, expected 1.60" in line
    assert "\n" not in line


def test_several_missing_slices_are_counted(tmp_path):
    positions = even(30, step=1.0, start=0.0)
    write_series(tmp_path, [p for k, p in enumerate(positions) if k not in (10, 11, 12, 20)])
    with pytest.raises(ScanError, match=r"slices 11 to 13 are missing .*; slice 21 is missing"):
        read_scan(tmp_path)


def test_uneven_spacing_stops_and_names_the_gaps(tmp_path):
    heights = [0, 2, 4, 6, 8, 9.3, 12, 15, 18, 21]
    write_series(tmp_path, [(0, 0, z) for z in heights])
    with pytest.raises(ScanError, match=r"uneven: gaps from 1.30 to 3.00 mm"):
        read_scan(tmp_path)


def test_a_drifting_gap_is_not_taken_for_even(tmp_path):
    """Each gap is within a few hundredths of the next, but the stack ends 4 mm off an even one."""
    heights = np.cumsum(np.linspace(0.9, 1.1, 81))
    write_series(tmp_path, [(0, 0, z) for z in heights])
    with pytest.raises(ScanError, match="uneven"):
        read_scan(tmp_path)


def test_positions_rounded_to_a_tenth_of_a_millimetre_are_even(tmp_path):
    heights = [round(1.25 * k, 1) for k in range(40)]
    write_series(tmp_path, [(0, 0, z) for z in heights])
    volume = read_scan(tmp_path)
    assert volume.spacing[2] == pytest.approx(1.25, abs=1e-3)
    assert any("scatter" in note for note in volume.notes)


def test_resampling_on_request_interpolates_on_the_true_positions(tmp_path):
    """A picture that is linear in z must be reproduced exactly by linear interpolation, gap or not."""
    heights = [0.0, 2.0, 4.0, 10.0, 12.0, 14.0, 15.0, 16.0]

    def linear(k: int) -> np.ndarray:
        return np.full((12, 16), 100 * heights[k], np.int16)

    write_series(tmp_path, [(0, 0, z) for z in heights], pixels=linear)
    volume = read_scan(tmp_path, resample_uneven=True)
    z = volume.grid.points_from_index(np.array([[0, 0, k] for k in range(volume.voxels.shape[2])]))[:, 2]
    np.testing.assert_allclose(np.diff(z), 2.0)
    np.testing.assert_allclose(volume.voxels[3, 5], 100 * z - 1024, atol=1e-3)
    assert any("resampled linearly" in note for note in volume.notes)
    assert any("missing" in note or "uneven" in note for note in volume.notes)


def test_gantry_tilt_gives_a_sheared_grid_and_a_note(tmp_path):
    tilt = np.radians(15)
    orientation = [1, 0, 0, 0, np.cos(tilt), -np.sin(tilt)]
    positions = [(-10.0, -20.0, 5.0 * k) for k in range(8)]
    write_series(tmp_path, positions, ImageOrientationPatient=[f"{x:.10g}" for x in orientation])
    volume = read_scan(tmp_path)
    assert not volume.grid.is_orthogonal
    np.testing.assert_allclose(volume.grid.points_from_index((0, 0, 3)), positions[3], atol=1e-6)
    np.testing.assert_allclose(volume.affine[:3, 2], (0, 0, 5), atol=1e-9)
    assert any("tilted by 15.0°" in note for note in volume.notes)


def test_straightened_tilt_puts_a_plane_back_where_it_is(tmp_path):
    """Values are linear in space, so a right straightening reproduces them wherever the grid is inside the slices."""
    tilt = np.radians(12)
    row, column = np.array([1.0, 0, 0]), np.array([0, np.cos(tilt), -np.sin(tilt)])
    positions = np.array([(-10.0, -20.0, 2.0 * k) for k in range(30)])
    slope = np.array([3.0, 7.0, -5.0])

    def values(k: int) -> np.ndarray:
        j, i = np.mgrid[0:12, 0:16]
        points = positions[k] + 0.5 * i[..., None] * row + 0.75 * j[..., None] * column
        return np.round(points @ slope).astype(np.int16)

    orientation = [f"{x:.12g}" for x in (*row, *column)]
    write_series(tmp_path, list(positions), pixels=values, ImageOrientationPatient=orientation, RescaleIntercept="0")
    volume = read_scan(tmp_path, straighten_tilt=True)
    assert volume.grid.is_orthogonal
    index = np.argwhere(volume.voxels > -1000)
    expected = volume.grid.points_from_index(index) @ slope
    found = volume.voxels[tuple(index.T)]
    # Rounding to integers costs 0.5; nothing else may be lost on a linear picture.
    assert np.abs(found - expected).max() < 1.0
    assert len(index) > 0.7 * 16 * 12 * 30
    assert any("straightened" in note for note in volume.notes)
    assert not any("so is the grid" in note for note in volume.notes)


@pytest.mark.parametrize("digits", [3, 4, 6])
@pytest.mark.parametrize("seed", range(4))
def test_rounded_direction_cosines_give_a_grid_that_can_be_written(tmp_path, digits, seed):
    """Whatever rotation is rounded, each voxel stays within a tenth of itself and nothing is interpolated."""
    from scipy.spatial.transform import Rotation

    rotation = Rotation.from_rotvec(np.random.default_rng(seed).normal(size=3) * 0.05).as_matrix()
    positions = [(-10.0, -20.0, 5.0) + 2.0 * k * rotation[:, 2] for k in range(30)]
    cosines = [f"{x:.{digits}f}" for x in rotation[:, :2].T.ravel()]
    write_series(tmp_path / "in", positions, ImageOrientationPatient=cosines)
    volume = read_scan(tmp_path / "in", straighten_tilt=True)
    assert volume.grid.shape == (16, 12, 30)
    assert volume.grid.is_orthogonal
    corners = np.array([(i, j, k) for i in (0, 15) for j in (0, 11) for k in (0, 29)])
    true = (-10.0, -20.0, 5.0) + corners * (0.5, 0.75, 2.0) @ rotation.T
    assert np.linalg.norm(volume.grid.points_from_index(corners) - true, axis=1).max() < 0.05
    assert not any("tilt" in note for note in volume.notes)
    write_volume(tmp_path / "out.nii.gz", volume)


@pytest.mark.parametrize(("degrees", "is_tilt"), [(0.03, False), (0.09, True)])
def test_one_threshold_says_what_is_a_tilt(tmp_path, degrees, is_tilt):
    """What is noted is straightened, and what is straightened is noted."""
    positions = [(-10.0, -20.0 + 2.0 * k * np.tan(np.radians(degrees)), 2.0 * k) for k in range(40)]
    write_series(tmp_path, positions)
    sheared, straight = read_scan(tmp_path), read_scan(tmp_path, straighten_tilt=True)
    assert sheared.grid.is_orthogonal != is_tilt
    assert straight.grid.is_orthogonal
    assert any(f"tilted by {degrees:.1f}°" in note for note in sheared.notes) == is_tilt
    assert any(f"the tilt of {degrees:.1f}° was straightened" in note for note in straight.notes) == is_tilt


def test_sideways_scatter_is_no_volume(tmp_path):
    positions = [(0.0 if k != 4 else 3.0, 0, 2.0 * k) for k in range(9)]
    write_series(tmp_path, positions)
    with pytest.raises(ScanError, match="sideways"):
        read_scan(tmp_path)


@pytest.mark.parametrize(
    ("orientation", "words"),
    [
        ((0, 0, 0, 0, 1, 0), "zero vector"),
        ((1, 0, 0, 0.3, 0.954, 0), "perpendicular"),
        ((2, 0, 0, 0, 1, 0), "unit vectors"),
    ],
)
def test_nonsense_orientation_is_refused(tmp_path, orientation, words):
    write_series(tmp_path, even(5), ImageOrientationPatient=list(orientation))
    with pytest.raises((ScanError, GeometryError), match=words):
        read_scan(tmp_path)


def test_identical_copy_of_a_slice_is_used_once(tmp_path):
    write_series(tmp_path, even(6))
    save(make_slice(even(6)[2], picture(2)), tmp_path / "again")
    volume = read_scan(tmp_path)
    assert volume.voxels.shape[2] == 6
    assert any("twice" in note for note in volume.notes)


def test_the_same_file_twice_is_a_copy(tmp_path):
    files = write_series(tmp_path, even(6))
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "x").write_bytes(files[3].read_bytes())
    volume = read_scan(tmp_path)
    assert volume.voxels.shape[2] == 6
    assert any("1 file left out: the same SOP instance" in note for note in volume.notes)


def test_contradicting_slices_at_one_place_stop(tmp_path):
    write_series(tmp_path, even(6))
    save(make_slice(even(6)[2], picture(2) + 1), tmp_path / "other")
    with pytest.raises(ScanError, match="two different slices are at the same place"):
        read_scan(tmp_path)


def test_slices_shifted_sideways_are_not_told_to_resample(tmp_path):
    """Advice must work: resampling cannot mend a patient who was moved on the table."""
    positions = [(-10.0 + (30 if k > 9 else 0), -20.0, 2.0 * k) for k in range(20)]
    write_series(tmp_path, positions)
    with pytest.raises(ScanError, match="beside a straight line, so they are no one volume") as caught:
        read_scan(tmp_path)
    assert "resample_uneven" not in caught.value.line()
    assert inspect_scan(tmp_path).problem == caught.value.line()
    with pytest.raises(ScanError, match="no one volume"):
        read_scan(tmp_path, resample_uneven=True)
