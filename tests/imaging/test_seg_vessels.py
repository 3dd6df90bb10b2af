"""Aorta, iliac arteries, thrombus, phase and liver vessels on the phantom, whose anatomy is exact."""

from __future__ import annotations

import numpy as np
import pytest
from test_seg_bone_lungs import dice, run_stages

from preop.imaging.phantom import PhantomParameters, make_phantom
from preop.imaging.progress import silent
from preop.imaging.segmentation import vessels
from preop.imaging.segmentation.follow import Lumen, follow

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def arterial():
    phantom = make_phantom(PhantomParameters(shape=(112, 112, 112), phase="arterial", seed=5, variation=0.5))
    return phantom, run_stages(phantom.volume, "thrombus")


@pytest.fixture(scope="module")
def portal():
    phantom = make_phantom(PhantomParameters(shape=(144, 144, 144), phase="portal", seed=6, variation=0.5))
    return phantom, run_stages(phantom.volume, "thrombus")


def test_arterial_phase_and_lumen(arterial):
    phantom, case = arterial
    assert case.frame.phase == "arterial"
    whole = case.masks["aorta"] | case.masks["iliac_artery_left"] | case.masks["iliac_artery_right"]
    assert dice(whole, phantom.labels.mask("aorta")) > 0.9
    assert dice(case.masks["iliac_artery_left"], phantom.labels.only("iliac_artery_left")) > 0.7
    assert dice(case.masks["iliac_artery_right"], phantom.labels.only("iliac_artery_right")) > 0.7


def test_lumen_hu_is_measured(arterial):
    phantom, case = arterial
    inside = phantom.volume.voxels[phantom.labels.only("aorta")]
    assert case.frame.aorta_hu == pytest.approx(np.percentile(inside, 60), abs=20.0)


def test_portal_phase_and_lumen(portal):
    phantom, case = portal
    assert case.frame.phase == "portal"
    assert dice(case.masks["aorta"], phantom.labels.only("aorta")) > 0.9


@pytest.mark.parametrize("which", ["arterial", "portal"])
def test_thrombus_fills_the_sac(which, request):
    phantom, case = request.getfixturevalue(which)
    assert dice(case.masks["aortic_thrombus"], phantom.labels.only("aortic_thrombus")) > 0.7


def test_healthy_aorta_has_no_thrombus():
    phantom = make_phantom(PhantomParameters(shape=(96, 96, 96), phase="arterial", aneurysm=None, seed=2))
    case = run_stages(phantom.volume, "thrombus")
    assert case.masks["aorta"].any()
    assert case.masks.get("aortic_thrombus", np.zeros(1, dtype=bool)).sum() * case.grid.voxel_volume < 2000.0


def test_native_scan_has_no_lumen_and_says_so():
    phantom = make_phantom(PhantomParameters(shape=(96, 96, 96), phase="native"))
    case = run_stages(phantom.volume, "thrombus")
    assert case.frame.phase == "native"
    assert "aorta" not in case.masks
    assert any("without contrast" in remark for remark in case.remarks)


def test_liver_vessels_inside_the_true_liver(portal):
    phantom, case = portal
    liver = phantom.labels.mask("liver")
    case.masks["liver"] = liver
    found = vessels.find(case, silent)["liver_vessels"]
    assert not (found & ~liver).any()
    assert dice(found, phantom.labels.mask("liver_vessels") & liver) > 0.6


def test_no_vessels_are_claimed_in_an_even_liver(portal):
    phantom, case = portal
    liver = phantom.labels.mask("liver")
    even = phantom.volume.voxels.copy()
    even[liver] = np.random.default_rng(0).normal(100.0, 12.0, int(liver.sum()))
    case.volume.voxels[...] = even
    case.masks["liver"] = liver
    assert vessels.find(case, silent) == {}


def test_following_parts_a_forked_tube_at_the_fork():
    spacing = np.array([1.0, 1.0, 1.0])
    bright = np.zeros((80, 60, 80), dtype=bool)
    i, j = np.indices((80, 60))
    for k in range(80):
        apart = max(40 - k, 0) * 0.45
        radius = 9.0 if k >= 40 else 5.5
        for side in (-1, 1):
            bright[:, :, k] |= np.hypot(i - 40 - side * apart, j - 30) < radius
    course = Lumen(np.tile([40.0, 30.0], (80, 1)), np.full(80, 9.0), np.where(np.arange(80) > 45, 1.0, 0.0))
    found = follow(bright, bright, course, spacing)
    assert set(found) == {"aorta", "iliac_artery_left", "iliac_artery_right"}
    lowest = np.flatnonzero(found["aorta"].any(axis=(0, 1)))[0]
    assert 22 <= lowest <= 36
    left, right = (np.argwhere(found[name])[:, 0].mean() for name in ("iliac_artery_left", "iliac_artery_right"))
    assert left > 45.0 > 35.0 > right
    together = found["aorta"] | found["iliac_artery_left"] | found["iliac_artery_right"]
    assert dice(together, bright) > 0.9


def test_a_side_branch_is_no_bifurcation():
    spacing = np.array([1.0, 1.0, 1.0])
    bright = np.zeros((80, 60, 80), dtype=bool)
    i, j = np.indices((80, 60))
    for k in range(80):
        bright[:, :, k] |= np.hypot(i - 40, j - 30) < 9.0
        if k < 40:
            bright[:, :, k] |= np.hypot(i - 40, j - 30 + min(40 - k, 16)) < 3.5
    course = Lumen(np.tile([40.0, 30.0], (80, 1)), np.full(80, 9.0), np.where(np.arange(80) > 45, 1.0, 0.0))
    found = follow(bright, bright, course, spacing)
    assert set(found) == {"aorta"}
    assert found["aorta"][40, 30, :].all()
