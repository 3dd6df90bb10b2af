"""The planner's measures of an aneurysm against the phantom's anatomy, which is known in formulas."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.integrate import quad

from preop.imaging.anatomy import SEGMENTS
from preop.imaging.phantom import PhantomParameters, make_phantom
from preop.imaging.phantom.aorta import RENAL_Z, Aorta
from preop.imaging.phantom.parameters import Aneurysm
from preop.imaging.phantom.patient import build_patient
from preop.imaging.volume import Grid, LabelMap
from preop.scenes.procedures.vessel_axis import vessel_axis
from preop.scenes.procedures.vessel_measures import SAC_GROWTH, planning_numbers
from preop.scenes.procedures.vessel_wall import VesselWallOptions
from preop.scenes.procedures.vessel_widths import largest_axial_diameter

# Round the aorta only: from 112 mm above the origin to 112 mm below it.
SCAN = PhantomParameters(shape=(100, 100, 140), spacing_mm=(1.6, 1.6, 1.6), noise_hu=0.0, phase="arterial")
PATIENTS = {
    "textbook": SCAN,
    "other": replace(SCAN, seed=3, variation=1.0),
    "large": replace(SCAN, aneurysm=Aneurysm(32.0, 25.0, 66.0, 64.0, 18.0, 17.0, 32.0)),
}


@cache
def scanned(name: str) -> tuple[LabelMap, Aorta, tuple[float, float, float]]:
    """The labels, the formulas behind them, and the origin of the lower renal artery."""
    aorta = build_patient(PATIENTS[name]).aorta
    x, y = aorta.centre(RENAL_Z)
    return make_phantom(PATIENTS[name]).labels, aorta, (float(x), float(y), RENAL_Z)


def measured(labels: LabelMap, **options) -> tuple[dict[str, float], str]:
    numbers, missing = planning_numbers(labels, VesselWallOptions(**options))
    return {one.key: one.value for one in numbers}, " ".join(missing)


def grown(aorta: Aorta, reference: float) -> tuple[float, float]:
    """Heights between which the aorta is wider than the growth that ends a neck allows."""
    z = np.linspace(aorta.bifurcation_z, RENAL_Z, 20001)
    wider = z[aorta.outer_radius(z) > SAC_GROWTH * reference]
    return float(wider.min()), float(wider.max())


@pytest.mark.parametrize("name", PATIENTS)
def test_diameters_are_those_of_the_anatomy(name):
    """Within a millimetre: voxels are 1.6 mm."""
    labels, aorta, renal = scanned(name)
    found, missing = measured(labels, renal_mm=renal)
    anatomy = aorta.frame.parameters.aneurysm
    assert anatomy is not None
    assert missing == ""
    assert found["max_diameter_mm"] == pytest.approx(anatomy.maximum_diameter, abs=1.0)
    assert found["neck_diameter_mm"] == pytest.approx(anatomy.neck_diameter, abs=1.0)
    for side in ("left", "right"):
        assert found[f"iliac_{side}_diameter_mm"] == pytest.approx(anatomy.iliac_diameter, abs=1.0)


@pytest.mark.parametrize("name", PATIENTS)
def test_the_neck_ends_where_the_diameter_has_grown_by_a_tenth(name):
    """That is a little below the place where the formula's sac begins, and never above it."""
    labels, aorta, renal = scanned(name)
    length = measured(labels, renal_mm=renal)[0]["neck_length_mm"]
    _, top = grown(aorta, float(aorta.outer_radius(RENAL_Z)))
    assert length == pytest.approx(RENAL_Z - top, abs=2.5)
    assert aorta.sac[0] == pytest.approx(RENAL_Z - length, abs=7.0)
    moved = measured(labels, renal_mm=(renal[0], renal[1], RENAL_Z - 10.0))[0]["neck_length_mm"]
    assert moved == pytest.approx(length - 10.0, abs=2.0)


@pytest.mark.parametrize("name", PATIENTS)
def test_the_sac_holds_the_volume_of_the_formula_between_its_ends(name):
    labels, aorta, _ = scanned(name)
    heights = np.linspace(aorta.sac[0], RENAL_Z + 60.0, 2001)
    low, high = grown(aorta, float(aorta.outer_radius(heights).min()))
    volume = quad(lambda z: np.pi * float(aorta.outer_radius(z)) ** 2, low, high, limit=200)[0] / 1000
    assert measured(labels)[0]["sac_ml"] == pytest.approx(volume, rel=0.05)


def test_what_is_not_segmented_is_absent_and_the_reason_told():
    labels, aorta, renal = scanned("textbook")
    found, missing = measured(labels)
    assert "neck_length_mm" not in found
    assert "options.renal_mm" in missing
    assert found["diameter_above_sac_mm"] == pytest.approx(2 * aorta.neck_radius, abs=1.0)

    left = SEGMENTS["iliac_artery_left"].label
    without = labels.with_labels(np.where(labels.labels == left, 0, labels.labels).astype(np.uint16))
    found, missing = measured(without, renal_mm=renal)
    assert "iliac_left_diameter_mm" not in found
    assert "iliac_right_diameter_mm" in found
    assert "does not have the left iliac artery" in missing

    found, missing = measured(labels, renal_mm=(renal[0] + 90, renal[1], renal[2]))
    assert "neck_length_mm" not in found
    assert "does not lie beside the aorta" in missing

    widest = (aorta.sac[0] + aorta.sac[1]) / 2
    found, missing = measured(labels, renal_mm=(renal[0], renal[1] - 10, widest + 10))
    assert "neck_length_mm" not in found
    assert "is a sac already" in missing


def test_a_healthy_aorta_has_neither_sac_nor_neck():
    labels = make_phantom(replace(SCAN, aneurysm=None)).labels
    found, missing = measured(labels)
    assert {"sac_ml", "neck_length_mm", "diameter_above_sac_mm"}.isdisjoint(found)
    assert "no aneurysm" in missing
    assert found["max_diameter_mm"] < 30
    assert measured(labels.with_labels(np.zeros_like(labels.labels)))[0] == {}


def test_a_sac_that_leaves_the_scan_has_no_volume():
    labels, aorta, _ = scanned("textbook")
    for cut, why in ((_cut(labels, 2, (aorta.sac[0] + aorta.sac[1]) / 2 - 10), "lower end is not in the scan"),
                     (_cut(labels, 1, -30.0), "a part of it lies outside the scan")):  # fmt: skip
        found, missing = measured(cut)
        assert "sac_ml" not in found
        assert why in missing
    assert "max_diameter_mm" not in found
    assert "leaves the scan where it is widest" in missing


def _cut(labels: LabelMap, axis: int, low: float) -> LabelMap:
    """A scan of what lies above a height, or behind a depth (LPS mm)."""
    first = int(np.ceil((low - labels.grid.origin[axis]) / labels.grid.spacing[axis]))
    kept = [slice(first, None) if one == axis else slice(None) for one in range(3)]
    affine = np.array(labels.grid.affine)
    affine[axis, 3] += first * labels.grid.spacing[axis]
    part = labels.labels[tuple(kept)]
    return LabelMap(part, Grid(part.shape, affine), labels.segments)


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.8, 0.8, 2.5)])
def test_a_leaning_tube_is_measured_across_its_axis(spacing):
    """20 mm wide and 45° oblique: 28 mm in an axial slice."""
    i, j, k = (int(n) for n in np.ceil(np.array([110, 50, 80]) / spacing))
    grid = Grid((i, j, k), np.diag([*spacing, 1.0]))
    points = grid.points_from_index(np.moveaxis(np.indices((i, j, k)), 0, -1)) - np.array([55.0, 25.0, 40.0])
    along = np.array([1.0, 0.0, 1.0]) / np.sqrt(2)
    across = np.linalg.norm(points - (points @ along)[..., None] * along, axis=-1)
    mask = (across < 10) & (np.abs(points @ along) < 40)
    axis = vessel_axis(mask, grid)
    assert axis is not None
    assert axis.points[0, 2] > axis.points[-1, 2], "from above down"
    sections = [one for one in axis.sections()[25:45] if one is not None]
    assert np.mean([one.mean_mm for one in sections]) == pytest.approx(20.0, abs=0.5)
    assert np.mean([one.widest_mm for one in sections]) == pytest.approx(20.0, abs=1.0)
    assert largest_axial_diameter(mask, grid) == pytest.approx(20 * np.sqrt(2), abs=0.5)
