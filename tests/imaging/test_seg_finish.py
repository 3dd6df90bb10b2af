"""The last touches of a segmentation: voids inside organs, the kidney's hilum, holes in notes, pale vertebrae."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from preop.imaging.anatomy import SEGMENTS
from preop.imaging.progress import silent
from preop.imaging.segmentation.base import SegmentationRequest
from preop.imaging.segmentation.body import find as find_body
from preop.imaging.segmentation.bone import find as find_bone
from preop.imaging.segmentation.case import Case
from preop.imaging.segmentation.hilum import opened_at_hilum
from preop.imaging.segmentation.quality import assess
from preop.imaging.segmentation.voids import MOST_ML, fill_voids
from preop.imaging.volume import Grid, ImageVolume

ID = {name: segment.label for name, segment in SEGMENTS.items()}


def _ball(grid: Grid, middle: tuple[float, float, float], radius: float) -> np.ndarray:
    axes = [step * np.arange(n) - at for step, n, at in zip(grid.spacing, grid.shape, middle, strict=True)]
    x, y, z = np.meshgrid(*axes, indexing="ij", sparse=True)
    return x**2 + y**2 + z**2 < radius**2


def _grid(size: int = 64, step: float = 2.0) -> Grid:
    return Grid((size, size, size), np.diag([step, step, step, 1.0]))


# ---- voids


def _liver(grid: Grid) -> np.ndarray:
    labels = np.full(grid.shape, ID["body"], dtype=np.uint16)
    labels[_ball(grid, (64.0, 64.0, 64.0), 50.0)] = ID["liver"]
    return labels


def test_small_voids_go_to_what_touches_them_most():
    grid = _grid()
    labels = _liver(grid)
    labels[_ball(grid, (80.0, 64.0, 64.0), 12.0)] = ID["liver_tumor"]
    whole = labels.copy()
    labels[40, 32, 32] = 0  # inside the tumour
    labels[20, 32, 32:34] = ID["body"]  # inside the parenchyma
    fill_voids(labels, grid)
    np.testing.assert_array_equal(labels, whole)


def test_a_void_larger_than_stated_stays_and_is_counted():
    grid = _grid()
    labels = _liver(grid)
    radius = (2.0 * MOST_ML * 1000.0 * 3 / (4 * np.pi)) ** (1 / 3)
    labels[_ball(grid, (64.0, 64.0, 64.0), radius)] = ID["body"]
    before = labels.copy()
    fill_voids(labels, grid)
    np.testing.assert_array_equal(labels, before)
    assert assess(labels == ID["liver"], "liver", grid).holes == 1


@pytest.mark.parametrize("inside", ["inferior_vena_cava", "portal_vein", "gallbladder"])
def test_another_structure_inside_an_organ_is_not_swallowed(inside):
    grid = _grid()
    labels = _liver(grid)
    labels[30:32, 32, 32] = ID[inside]
    labels[32, 32, 32] = 0  # a void between the two
    before = labels.copy()
    fill_voids(labels, grid)
    np.testing.assert_array_equal(labels, before)


def test_what_is_open_is_no_void():
    grid = _grid()
    labels = _liver(grid)
    labels[32, 32, 32:] = ID["body"]  # a channel to the surface
    labels[:, :, 50:] = 0
    labels[32, 31, 49] = 0  # a pit where the scan was cut
    cut = np.ascontiguousarray(labels[:, :, :50])
    before = cut.copy()
    fill_voids(cut, Grid((64, 64, 50), grid.affine))
    np.testing.assert_array_equal(cut, before)


def test_voids_between_lumen_and_thrombus_are_closed():
    grid = _grid()
    labels = np.full(grid.shape, ID["body"], dtype=np.uint16)
    labels[_ball(grid, (64.0, 64.0, 64.0), 30.0)] = ID["aortic_thrombus"]
    labels[_ball(grid, (64.0, 64.0, 64.0), 16.0)] = ID["aorta"]
    whole = labels.copy()
    labels[40, 32, 32] = 0
    fill_voids(labels, grid)
    assert set(np.unique(labels)) == set(np.unique(whole))
    assert (labels != whole).sum() <= 1


# ---- holes in notes


def _kidney(grid: Grid, holes: list[tuple[float, float, float]], radius: float) -> np.ndarray:
    mask = _ball(grid, (64.0, 64.0, 64.0), 34.0)
    for hole in holes:
        mask &= ~_ball(grid, hole, radius)
    return mask


def test_a_renal_sinus_is_no_doubt():
    grid = _grid()
    note = assess(_kidney(grid, [(64.0, 64.0, 64.0)], 10.0), "kidney_left", grid)
    assert note.holes == 1
    assert note.level == "ok"


def test_more_holes_than_a_sinus_has_are_told():
    grid = _grid()
    spread = [(64.0 + a, 64.0 + b, 64.0) for a in (-14.0, 14.0) for b in (-14.0, 14.0)]
    note = assess(_kidney(grid, spread, 6.0), "kidney_left", grid)
    assert note.level == "warn"
    assert "4 holes inside it" in note.text
    large = assess(_kidney(grid, [(64.0, 64.0, 64.0)], 27.0), "kidney_left", grid)
    assert "1 hole inside it" in large.text


def test_one_hole_in_a_liver_is_told_in_the_singular():
    grid = Grid((100, 100, 100), np.diag([2.0, 2.0, 2.0, 1.0]))
    mask = _ball(grid, (100.0, 100.0, 100.0), 70.0) & ~_ball(grid, (100.0, 100.0, 100.0), 12.0)
    text = assess(mask, "liver", grid).text
    assert "1 hole inside it" in text
    assert "1 holes" not in text


# ---- hilum


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_hilum_opens_and_vein_is_cut_but_a_cyst_stays(side):
    """A right kidney (side -1) has the spine at larger x, since x grows to the left."""
    grid = _grid(80, 1.0)
    ball = _ball(grid, (40.0, 40.0, 40.0), 28.0)
    i, j, k = np.indices(grid.shape)
    medial = -side * (i - 40)
    notch = ball & (medial > 4) & (np.hypot(j - 40, k - 40) < 7)
    vein = (medial > 0) & (medial < 39) & (np.hypot(j - 40, k - 40) < 2.5)
    cyst = ball & _ball(grid, (40.0 + 22.0 * side, 40.0, 40.0), 8.0)
    kidney = ball & ~notch
    hu = np.full(grid.shape, -100.0, dtype=np.float32)
    hu[kidney | vein] = 200.0
    hu[cyst] = 5.0
    case = Case.of(ImageVolume(hu, grid), SegmentationRequest())
    found = opened_at_hilum(case, ball | vein, side)
    assert not found[vein & (medial > 34)].any()
    assert found[notch & ~ndimage.binary_dilation(vein, iterations=2)].mean() < 0.35
    assert found[cyst].mean() > 0.9
    assert found[kidney].mean() > 0.97


def test_a_dark_kidney_is_not_emptied():
    """Fluid all through it is disease, not a sinus."""
    grid = _grid(80, 1.0)
    ball = _ball(grid, (40.0, 40.0, 40.0), 28.0)
    hu = np.full(grid.shape, -100.0, dtype=np.float32)
    hu[ball & (np.indices(grid.shape)[0] < 36)] = 200.0
    hu[ball & (np.indices(grid.shape)[0] >= 36)] = 5.0
    case = Case.of(ImageVolume(hu, grid), SegmentationRequest())
    assert opened_at_hilum(case, ball, -1.0).sum() > 0.9 * ball.sum()


# ---- bone


def test_pale_vertebral_bodies_are_bone_and_the_aorta_before_them_is_not():
    """Bodies as bright as blood and without a bright shell, as in thick slices; only the arches are compact."""
    step = 1.5
    shape = (160, 130, 60)
    x, y = np.meshgrid(step * (np.arange(160) - 80), step * (np.arange(130) - 65), indexing="ij")
    hu = np.where((x / 115) ** 2 + (y / 92) ** 2 < 1, -100.0, -1000.0)
    hu = np.where((x / 105) ** 2 + (y / 82) ** 2 < 1, 60.0, hu)
    body = np.hypot(x / 22, (y - 15) / 15) < 1
    canal = np.hypot(x, y - 41) < 9
    arch = (np.hypot(x / 17, (y - 43) / 17) < 1) & ~canal & ~body
    aorta = np.hypot(x + 8, y + 15) < 11
    hu = np.where(body | aorta, 240.0, np.where(arch, 700.0, np.where(canal, 30.0, hu)))
    rng = np.random.default_rng(1)
    volume = np.repeat(hu[:, :, None], shape[2], axis=2) + rng.normal(0, 8, shape)
    volume = ndimage.gaussian_filter(volume, 0.5)
    grid = Grid(shape, np.diag([step, step, step, 1.0]))
    case = Case.of(ImageVolume(volume.astype(np.float32), grid), SegmentationRequest())
    case.masks.update(find_body(case, silent))
    found = find_bone(case, silent)["bone"]
    inner = slice(6, -6)
    assert found[body][:, inner].mean() > 0.9
    assert found[aorta][:, inner].mean() < 0.05
