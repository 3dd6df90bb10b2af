"""Overlap, surface distances and volumes against closed forms and a brute-force computation."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from preop.imaging.anatomy import SEGMENTS
from preop.imaging.compare import agreement, compare_labels, only_in_labels, surface_of
from preop.imaging.errors import GeometryError, SegmentationError
from preop.imaging.masks import MaskSet
from preop.imaging.volume import Grid, LabelMap


def grid(shape, spacing=(1.0, 1.0, 1.0), shear=0.0, uid="") -> Grid:
    affine = np.diag([*spacing, 1.0])
    affine[1, 2] = shear
    return Grid(shape, affine, uid)


def ball(shape, spacing, centre, radius):
    axes = np.meshgrid(*(np.arange(n) * s for n, s in zip(shape, spacing, strict=True)), indexing="ij")
    return sum((x - c) ** 2 for x, c in zip(axes, centre, strict=True)) <= radius**2


def box(shape, low, high):
    mask = np.zeros(shape, bool)
    mask[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return mask


def labels_of(shape, masks, spacing=(1.0, 1.0, 1.0), uid=""):
    labels = np.zeros(shape, np.uint16)
    for name, mask in masks.items():
        labels[mask] = SEGMENTS[name].label
    return LabelMap(labels, grid(shape, spacing, uid=uid), {SEGMENTS[n].label: SEGMENTS[n] for n in masks})


def test_box_shifted_by_two_voxels_has_closed_form_values():
    """10×10×10 voxels shifted by 2 along x, spacing 1.5: overlap 8/10, and 2 voxels between the shifted faces."""
    shape, spacing = (20, 16, 16), (1.5, 1.0, 2.0)
    a, b = box(shape, (2, 3, 3), (12, 13, 13)), box(shape, (4, 3, 3), (14, 13, 13))
    found = agreement("liver", a, b, grid(shape, spacing))
    assert found.dice == pytest.approx(0.8)
    assert found.jaccard == pytest.approx(800 / 1200)
    assert found.hausdorff_95_mm == pytest.approx(3.0)
    assert found.volume_ml == pytest.approx(1000 * 3.0 / 1000)
    assert found.difference_ml == pytest.approx(0.0)


def test_concentric_balls():
    """Radii 20 and 23 mm: every surface point of one is 3 mm from the other, to about half a voxel."""
    shape, spacing = (64, 64, 64), (0.8, 0.8, 0.8)
    centre = (25.2, 25.2, 25.2)
    a, b = ball(shape, spacing, centre, 20.0), ball(shape, spacing, centre, 23.0)
    found = agreement("liver", a, b, grid(shape, spacing))
    assert found.mean_surface_distance_mm == pytest.approx(3.0, abs=0.4)
    assert found.hausdorff_95_mm == pytest.approx(3.0, abs=0.8)
    # Dice of concentric balls: 2 r³ / (r³ + R³).
    assert found.dice == pytest.approx(2 * 20**3 / (20**3 + 23**3), abs=0.005)
    assert found.volume_ml == pytest.approx(4 / 3 * math.pi * 20**3 / 1000, rel=0.01)
    assert found.difference_percent == pytest.approx(100 * (20**3 / 23**3 - 1), abs=0.5)


def brute_force(a, b, affine):
    """Straight from the definition: all pairs of surface voxels, surfaces by looking at six neighbours one by one."""

    def surface(mask):
        points = []
        for index in np.argwhere(mask):
            for axis in range(3):
                for step in (-1, 1):
                    other = index.copy()
                    other[axis] += step
                    outside = (other < 0).any() or (other >= mask.shape).any()
                    if outside or not mask[tuple(other)]:
                        points.append(tuple(index))
        return np.array(sorted(set(points))) @ affine[:3, :3].T

    pa, pb = surface(a), surface(b)
    distance = np.linalg.norm(pa[:, None] - pb[None], axis=-1)
    to_b, to_a = distance.min(axis=1), distance.min(axis=0)
    hd95 = max(np.percentile(to_b, 95), np.percentile(to_a, 95))
    return hd95, np.concatenate([to_b, to_a]).mean()


@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_brute_force_on_ragged_masks(seed):
    """Random blobs that touch the border, on anisotropic and sheared grids."""
    random = np.random.default_rng(seed)
    shape = (13, 11, 9)
    where = grid(shape, tuple(random.uniform(0.5, 3, 3)), shear=random.uniform(-1, 1))
    smooth = random.normal(size=shape)
    for axis in range(3):
        smooth = smooth + np.roll(smooth, 1, axis)
    a, b = smooth > 0.5, np.roll(smooth, 1, axis=seed % 3) > 0.8
    found = agreement("liver", a, b, where)
    hd95, mean = brute_force(a, b, where.affine)
    assert found.hausdorff_95_mm == pytest.approx(hd95, abs=1e-9)
    assert found.mean_surface_distance_mm == pytest.approx(mean, abs=1e-9)
    assert found.dice == pytest.approx(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_surface_of_a_mask_that_fills_the_image_is_its_border():
    surface = surface_of(np.ones((5, 6, 7), bool))
    inner = np.zeros((5, 6, 7), bool)
    inner[1:-1, 1:-1, 1:-1] = True
    np.testing.assert_array_equal(surface, ~inner)


def test_one_stray_voxel_moves_the_maximum_but_not_the_95th_percentile():
    shape = (40, 40, 40)
    truth = box(shape, (10, 10, 10), (26, 26, 26))
    found = truth.copy()
    found[38, 38, 38] = True
    assert agreement("liver", found, truth, grid(shape)).hausdorff_95_mm == 0.0


def test_empty_sides_are_defined_and_named():
    shape = (6, 6, 6)
    some, none = box(shape, (1, 1, 1), (3, 3, 3)), np.zeros(shape, bool)
    both = agreement("liver", none, none, grid(shape))
    assert math.isnan(both.dice)
    assert both.note == "empty on both sides"
    missed, invented = agreement("liver", none, some, grid(shape)), agreement("liver", some, none, grid(shape))
    assert (missed.dice, missed.note) == (0.0, "empty in the labels")
    assert (invented.dice, invented.note) == (0.0, "empty in the truth")
    assert math.isnan(missed.hausdorff_95_mm)
    assert missed.to_dict()["hausdorff_95_mm"] is None
    assert missed.to_dict()["dice"] == 0.0


def test_wholes_hold_their_parts():
    shape = (20, 20, 20)
    liver, tumor = box(shape, (2, 2, 2), (12, 12, 12)), box(shape, (4, 4, 4), (7, 7, 7))
    ours = labels_of(shape, {"liver": liver})
    truth = labels_of(shape, {"liver": liver, "liver_tumor": tumor})
    found = {one.name: one for one in compare_labels(ours, truth)}
    assert found["liver"].dice == 1.0
    assert found["liver_tumor"].dice == 0.0
    assert "no liver_tumor" in found["liver_tumor"].note


def test_kidneys_are_compared_as_one_too():
    shape = (20, 20, 20)
    sides = {"kidney_left": box(shape, (2, 2, 2), (6, 9, 9)), "kidney_right": box(shape, (12, 2, 2), (16, 9, 9))}
    truth = labels_of(shape, sides)
    names = [one.name for one in compare_labels(truth, truth)]
    assert "kidneys" in names
    assert all(one.dice == 1.0 for one in compare_labels(truth, truth))


def test_the_body_is_everything_inside_the_skin():
    shape = (20, 20, 20)
    body, liver = box(shape, (1, 1, 1), (19, 19, 19)), box(shape, (5, 5, 5), (12, 12, 12))
    ours = labels_of(shape, {"body": body, "liver": liver})
    truth = MaskSet(ours.grid, {"body": SEGMENTS["body"]}, {"body": lambda: body})
    assert compare_labels(ours, truth)[0].dice == 1.0


def test_overlapping_masks_on_a_flipped_grid():
    shape = (16, 14, 12)
    liver = box(shape, (2, 3, 4), (9, 9, 9))
    ours = labels_of(shape, {"liver": liver}, spacing=(1.0, 2.0, 3.0))
    affine = ours.grid.affine.copy()
    affine[:3, 3] += affine[:3, 1] * (shape[1] - 1)
    affine[:3, 1] *= -1
    truth = MaskSet(Grid(shape, affine), {"liver": SEGMENTS["liver"]}, {"liver": lambda: liver[:, ::-1]})
    assert compare_labels(ours, truth)[0].dice == 1.0


def test_labels_that_hold_nothing_of_the_truth_have_dice_0():
    shape = (8, 8, 8)
    cube = box(shape, (1, 1, 1), (4, 4, 4))
    truth = labels_of(shape, {"liver": cube, "spleen": box(shape, (5, 5, 5), (7, 7, 7))})
    nothing = truth.with_labels(np.zeros(shape, np.uint16))
    no_table = LabelMap(np.zeros(shape, np.uint16), truth.grid)
    elsewhere = labels_of(shape, {"aorta": cube})
    for labels in (nothing, no_table, elsewhere):
        found = {one.name: one for one in compare_labels(labels, truth)}
        assert set(found) == {"liver", "spleen"}
        assert found["liver"].dice == found["spleen"].dice == found["liver"].volume_ml == 0.0
        assert found["liver"].truth_volume_ml == pytest.approx(0.027)
        assert found["liver"].note == "the labels have no liver"


@pytest.mark.parametrize(("shift", "told"), [(500.0, "do not overlap"), (7.8, "overlap by only 2.5 %")])
def test_grids_that_hardly_overlap_are_refused_before_any_work(shift, told):
    shape = (8, 8, 8)
    liver = labels_of(shape, {"liver": box(shape, (1, 1, 1), (4, 4, 4))})
    affine = np.eye(4)
    affine[0, 3] = shift

    def never():
        raise AssertionError("no mask may be read")

    far = MaskSet(Grid(shape, affine), {"liver": SEGMENTS["liver"]}, {"liver": never})
    for one, other in ((far, liver), (liver, far)):
        with pytest.raises(GeometryError, match=told):
            compare_labels(one, other)


def test_a_crop_of_the_truths_grid_overlaps_enough():
    shape = (40, 40, 40)
    truth = labels_of(shape, {"liver": box(shape, (11, 11, 11), (13, 13, 13))})
    affine = np.eye(4)
    affine[:3, 3] = 10
    crop = truth.labels[10:14, 10:14, 10:14]
    assert compare_labels(LabelMap(crop, Grid(crop.shape, affine), truth.segments), truth)[0].dice == 1.0


def test_what_only_the_labels_have():
    shape = (8, 8, 8)
    cube = box(shape, (1, 1, 1), (4, 4, 4))
    both = labels_of(shape, {"liver": cube, "kidney_left": box(shape, (5, 5, 5), (7, 7, 7))})
    assert only_in_labels(both, labels_of(shape, {"liver": cube})) == ("kidney_left", "kidneys")


def test_refusals():
    shape = (8, 8, 8)
    cube = box(shape, (1, 1, 1), (4, 4, 4))
    liver, spleen = labels_of(shape, {"liver": cube}), labels_of(shape, {"spleen": cube})
    seven = LabelMap(liver.labels, liver.grid, {SEGMENTS["liver"].label: replace(SEGMENTS["liver"], name="label_7")})
    with pytest.raises(SegmentationError, match=r"no segment in common: labels have label_7; the truth has spleen"):
        compare_labels(seven, spleen)
    with pytest.raises(SegmentationError, match=r"neither side has pancreas\. The truth has: liver"):
        compare_labels(liver, liver, ["pancreas"])
    a, b = (labels_of(shape, {"liver": cube}, uid=uid) for uid in ("1.2", "1.3"))
    with pytest.raises(GeometryError, match="different frames of reference"):
        compare_labels(a, b)


def test_progress_ends_at_one():
    shape = (8, 8, 8)
    said: list[float] = []
    liver = labels_of(shape, {"liver": box(shape, (1, 1, 1), (4, 4, 4))})
    compare_labels(liver, liver, progress=lambda fraction, _: said.append(fraction or 0.0))
    assert said == sorted(said)
    assert said[-1] == 1.0


def test_surfaces_of_two_patients_are_not_measured():
    """Boxes overlap, organs do not: of these the overlap alone is told, and why. With most met all is measured."""
    shape = (40, 30, 20)
    low, high = box(shape, (2, 2, 2), (12, 12, 12)), box(shape, (25, 15, 5), (35, 25, 15))
    met = box(shape, (2, 15, 2), (10, 25, 10))
    one = labels_of(shape, {"liver": low, "spleen": high, "aorta": met})
    other = labels_of(shape, {"liver": high, "spleen": low, "aorta": met})
    found = {agreed.name: agreed for agreed in compare_labels(one, other)}
    assert found["liver"].dice == 0.0
    assert (found["aorta"].dice, found["aorta"].jaccard, found["aorta"].volume_ml) == (1.0, 1.0, met.sum() / 1000)
    assert (found["aorta"].hausdorff_95_mm, found["aorta"].note) == (0.0, "")
    for agreed in (found["liver"], found["spleen"]):
        assert math.isnan(agreed.hausdorff_95_mm)
        assert math.isnan(agreed.mean_surface_distance_mm)
        assert "not measured" in agreed.note
    alone = compare_labels(one, other, ["liver"])[0]
    assert alone.hausdorff_95_mm == pytest.approx(agreement("liver", low, high, one.grid).hausdorff_95_mm)
    kept = labels_of(shape, {"liver": low, "spleen": low & False, "aorta": met})
    assert all("not measured" not in agreed.note for agreed in compare_labels(kept, other))


def test_wholes_do_not_make_two_patients_of_one():
    """One of two segments is missed, and so is the whole that it alone makes up."""
    shape = (40, 30, 20)
    low, high = box(shape, (2, 2, 2), (12, 12, 12)), box(shape, (25, 15, 5), (35, 25, 15))
    met = box(shape, (2, 15, 2), (10, 25, 10))
    one = labels_of(shape, {"kidney_left": low, "aorta": met})
    other = labels_of(shape, {"kidney_left": high, "aorta": met})
    found = {agreed.name: agreed for agreed in compare_labels(one, other)}
    assert found["kidneys"].dice == 0.0
    assert all(agreed.hausdorff_95_mm >= 0 for agreed in found.values())
