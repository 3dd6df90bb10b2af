"""Segmenters as plug-ins, grids of any orientation, and notes that notice what is wrong with a mask."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from preop.imaging.anatomy import BY_LABEL, SEGMENTS
from preop.imaging.errors import SegmentationError
from preop.imaging.segmentation import registry
from preop.imaging.segmentation.base import Needs, Seed, Segmentation, SegmentationRequest, Segmenter
from preop.imaging.segmentation.canonical import canonical
from preop.imaging.segmentation.classical import ClassicalSegmenter
from preop.imaging.segmentation.quality import assess, assess_all
from preop.imaging.segmentation.resample import Pyramid
from preop.imaging.volume import Grid, ImageVolume, LabelMap


def _grid(shape=(60, 60, 60), spacing=(2.0, 2.0, 2.0)) -> Grid:
    return Grid(shape, np.diag([*spacing, 1.0]))


def _ball(grid: Grid, centre: tuple[float, float, float], radius: float) -> np.ndarray:
    index = np.indices(grid.shape).reshape(3, -1).T
    away = np.linalg.norm(grid.points_from_index(index) - centre, axis=1)
    return (away < radius).reshape(grid.shape)


# ---- requests and plug-ins


def test_seed_needs_a_point_or_a_box():
    with pytest.raises(SegmentationError, match="neither"):
        Seed()
    with pytest.raises(SegmentationError, match="three numbers"):
        Seed(point=np.array([1.0, np.nan, 0.0]))
    with pytest.raises(SegmentationError, match="that enclose a volume"):
        Seed(box=(np.zeros(3), np.array([10.0, 0.0, 10.0])))


def test_seed_box_corners_in_any_order():
    box = Seed(box=(np.array([5.0, -1.0, 2.0]), np.array([0.0, 4.0, 9.0]))).box
    assert box is not None
    np.testing.assert_array_equal(box[0], [0.0, -1.0, 2.0])
    np.testing.assert_array_equal(box[1], [5.0, 4.0, 9.0])


def test_unknown_phase_is_refused():
    with pytest.raises(SegmentationError, match="phase"):
        SegmentationRequest(phase="venous")  # type: ignore[arg-type]


@pytest.fixture
def everywhere_liver(monkeypatch):
    monkeypatch.setattr(registry, "_REGISTERED", {})

    @registry.register("everywhere")
    class Everywhere(Segmenter):
        title = "labels every voxel liver"
        needs = Needs(packages=("no_such_package_here",))
        gives = ("liver",)

        def segment(self, volume, request=None, progress=lambda fraction, message: None):
            labels = np.full(volume.grid.shape, SEGMENTS["liver"].label, dtype=np.uint16)
            return Segmentation(LabelMap(labels, volume.grid, BY_LABEL), (), True, "portal", "")

    return Everywhere


def test_registered_segmenter_is_found_by_name(everywhere_liver):
    assert "everywhere" in registry.segmenters()
    assert isinstance(registry.segmenter("everywhere"), everywhere_liver)


def test_missing_package_is_named_before_work_starts(everywhere_liver):
    volume = ImageVolume(np.zeros((8, 8, 8), np.float32), _grid((8, 8, 8)))
    with pytest.raises(SegmentationError, match="no_such_package_here is not installed"):
        registry.segmenter("everywhere").check(volume)


def test_taken_name_and_foreign_class_are_refused(everywhere_liver):
    with pytest.raises(SegmentationError, match="taken"):
        registry.register("classical")(everywhere_liver)
    with pytest.raises(SegmentationError, match="not a Segmenter"):
        registry.register("number")(int)  # type: ignore[type-var]


def test_unknown_name_lists_what_there_is():
    with pytest.raises(SegmentationError, match="classical"):
        registry.segmenter("nonsense")


def test_entry_points_are_offered_and_loaded_late(monkeypatch):
    class Point:
        name = "learned"
        loads = 0

        def load(self):
            self.loads += 1
            raise ModuleNotFoundError("No module named 'torch'")

    point = Point()
    monkeypatch.setattr(registry, "entry_points", lambda group: [point] if group == "preop.segmenters" else [])
    assert "learned" in registry.segmenters()
    assert point.loads == 0
    with pytest.raises(SegmentationError, match=r"learned: it cannot be loaded .*torch"):
        registry.segmenter("learned")


def test_listing_segmenters_imports_no_heavy_library():
    code = (
        "import sys; from preop.imaging.segmentation.registry import segmenters; assert 'classical' in segmenters();"
        "print([m for m in ('SimpleITK', 'skimage', 'scipy.ndimage', 'vtk', 'jax') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True)
    assert done.stdout.strip() == "[]"


# ---- scans that are not what is needed


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"modality": "MR", "unit": ""}, "needs a CT scan, this one is MR"),
        ({"unit": ""}, "Hounsfield"),
    ],
)
def test_wrong_scan_is_refused_in_one_line(change, words):
    volume = ImageVolume(np.zeros((20, 20, 40), np.float32), _grid((20, 20, 40)), **change)
    with pytest.raises(SegmentationError, match=words) as caught:
        ClassicalSegmenter().segment(volume)
    assert "\n" not in caught.value.line()


def test_thin_slab_is_refused():
    volume = ImageVolume(np.zeros((20, 20, 5), np.float32), _grid((20, 20, 5)))
    with pytest.raises(SegmentationError, match="covers 10 mm"):
        ClassicalSegmenter().segment(volume)


def test_air_only_is_refused():
    volume = ImageVolume(np.full((40, 40, 40), -1000.0, np.float32), _grid((40, 40, 40)))
    with pytest.raises(SegmentationError, match="no body"):
        ClassicalSegmenter().segment(volume)


def test_unknown_wish_names_what_can_be_had():
    volume = ImageVolume(np.zeros((40, 40, 40), np.float32), _grid((40, 40, 40)))
    with pytest.raises(SegmentationError, match=r"does not give uterus.*lung_left"):
        ClassicalSegmenter().segment(volume, SegmentationRequest(wanted=("uterus",)))


# ---- grids


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)])
@pytest.mark.parametrize("flips", [(), (0,), (1, 2), (0, 1, 2)])
def test_permuted_and_flipped_grids_turn_back_exactly(order, flips):
    random = np.random.default_rng(1)
    affine = np.zeros((4, 4))
    affine[3, 3] = 1.0
    for axis, lps in enumerate(order):
        affine[lps, axis] = (0.7, 0.9, 2.5)[lps] * (-1 if lps in flips else 1)
    affine[:3, 3] = (10.0, -20.0, 300.0)
    volume = ImageVolume(random.normal(size=(5, 6, 7)).astype(np.float32), Grid((5, 6, 7), affine))
    turned = canonical(volume)
    np.testing.assert_allclose(turned.volume.grid.direction, np.eye(3), atol=1e-12)
    for index in ((0, 0, 0), (4, 5, 6), (1, 2, 3)):
        at = np.round(turned.volume.grid.index_from_points(volume.grid.points_from_index(index))).astype(int)
        assert turned.volume.voxels[tuple(at)] == volume.voxels[index]
    labels = random.integers(0, 40, size=turned.volume.grid.shape).astype(np.uint16)
    np.testing.assert_array_equal(turned.forward(turned.back(labels)), labels)


def test_sheared_grid_is_resampled_and_labels_come_back():
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    affine[1, 2] = 2.0 * np.tan(np.radians(18.5))
    grid = Grid((50, 60, 40), affine)
    truth = _ball(grid, (50.0, 80.0, 40.0), 25.0)
    turned = canonical(ImageVolume(np.where(truth, 100.0, -1000.0).astype(np.float32), grid))
    assert turned.order is None
    np.testing.assert_allclose(turned.volume.grid.direction, np.eye(3), atol=1e-12)
    back = turned.back((turned.volume.voxels > -450.0).astype(np.uint16)) > 0
    assert back.shape == grid.shape
    assert 2 * (back & truth).sum() / (back.sum() + truth.sum()) > 0.95


@pytest.mark.parametrize("spacing", [(0.6, 0.6, 5.0), (2.5, 2.5, 2.5), (4.0, 3.0, 1.0)])
def test_coarse_grid_covers_the_same_space_and_keeps_the_mean(spacing):
    shape = (31, 37, 23)
    grid = _grid(shape, spacing)
    pyramid = Pyramid.over(grid, 2.5)
    both = [g.points_from_index([[-0.5] * 3, np.array(g.shape) - 0.5]) for g in (grid, pyramid.coarse)]
    np.testing.assert_allclose(both[0], both[1], atol=1e-9)
    field = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    if all(s <= 2.5 for s in spacing):
        assert pyramid.down(field).mean() == pytest.approx(field.mean(), abs=1e-4)
    ramp = grid.points_from_index(np.indices(shape).reshape(3, -1).T)[:, 0].reshape(shape)
    coarse = pyramid.coarse.points_from_index(np.indices(pyramid.coarse.shape).reshape(3, -1).T)[:, 0]
    inner = (slice(2, -2),) * 3
    expected = coarse.reshape(pyramid.coarse.shape)[inner]
    # A voxel is constant inside, so cutting one leaves a small part of a voxel of error.
    np.testing.assert_allclose(pyramid.down(ramp)[inner], expected, atol=0.1)


# ---- notes


def _liver_like(grid: Grid) -> np.ndarray:
    return _ball(grid, (100.0, 100.0, 100.0), 70.0)


def test_sound_mask_is_ok():
    grid = _grid((100, 100, 100))
    note = assess(_liver_like(grid), "liver", grid)
    assert note.level == "ok"
    assert note.plausible
    assert (note.components, note.holes) == (1, 0)
    assert note.volume_ml == pytest.approx(4 / 3 * np.pi * 7.0**3, rel=0.02)


def test_leaky_mask_is_named():
    grid = _grid((100, 100, 100))
    mask = _liver_like(grid)
    for j in range(20, 80, 8):
        mask[:, j : j + 3, 40:60:5] = True
    clean, leaky = assess(_liver_like(grid), "liver", grid), assess(mask, "liver", grid)
    assert leaky.leak > clean.leak + 0.02
    note = assess(mask | _comb(grid), "liver", grid)
    assert note.leak > 0.08
    assert note.level != "ok"
    assert "thin protrusions" in note.text


def _comb(grid: Grid) -> np.ndarray:
    """Sheets 6 mm thick, as left by a leak along muscles."""
    comb = np.zeros(grid.shape, dtype=bool)
    comb[8:92, 8:92:9, 8:92] = True
    comb[8:92, 9:92:9, 8:92] = True
    return comb


def test_too_large_is_not_to_be_trusted():
    grid = _grid((120, 120, 120))
    note = assess(_ball(grid, (120.0, 120.0, 120.0), 100.0), "liver", grid)
    assert note.level == "bad"
    assert not note.plausible
    assert "4.2 L is larger than plausible (800 mL to 2.9 L): leaked; do not trust it" in note.text


def test_too_small_is_bad_unless_the_scan_cut_it():
    grid = _grid((60, 60, 60))
    small = assess(_ball(grid, (60.0, 60.0, 60.0), 30.0), "liver", grid)
    assert small.level == "bad"
    cut = assess(_ball(grid, (60.0, 60.0, 0.0), 50.0), "liver", grid)
    assert cut.touches_border
    assert cut.level == "warn"
    assert "cut off by the scan's edge (bottom)" in cut.text


def test_pieces_and_holes_are_counted():
    grid = _grid((100, 100, 100))
    mask = _liver_like(grid) & ~_ball(grid, (100.0, 100.0, 100.0), 12.0)
    mask |= _ball(grid, (185.0, 185.0, 100.0), 10.0)
    note = assess(mask, "liver", grid)
    assert (note.components, note.holes) == (2, 1)
    assert note.level == "warn"


def test_empty_mask_is_bad():
    grid = _grid()
    note = assess(np.zeros(grid.shape, dtype=bool), "spleen", grid)
    assert note.level == "bad"
    assert "not found" in note.text


def test_fat_in_the_liver_is_noticed():
    grid = _grid((100, 100, 100))
    mask = _liver_like(grid)
    hu = np.full(grid.shape, 100.0, np.float32)
    hu[:, :70, :] = -100.0
    assert "light as fat" in assess(mask, "liver", grid, hu=hu).text


def test_wanted_but_missing_gets_a_note():
    grid = _grid((100, 100, 100))
    labels = np.where(_liver_like(grid), SEGMENTS["liver"].label, 0).astype(np.uint16)
    volume = ImageVolume(np.full(grid.shape, 100.0, np.float32), grid)
    notes = assess_all(LabelMap(labels, grid, BY_LABEL), volume, wanted=("liver", "spleen"), remarks=("no lung",))
    levels = {note.segment: note.level for note in notes}
    assert levels == {"liver": "ok", "spleen": "bad", "scan": "warn"}
