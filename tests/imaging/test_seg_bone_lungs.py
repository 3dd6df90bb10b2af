"""Body, lungs and bone: on the phantom against its exact labels, and on a real scan against manual masks."""

from __future__ import annotations

import numpy as np
import pytest

from preop.imaging.errors import SegmentationError
from preop.imaging.phantom import PhantomParameters, make_phantom
from preop.imaging.progress import silent
from preop.imaging.segmentation.base import Seed, SegmentationRequest
from preop.imaging.segmentation.canonical import canonical
from preop.imaging.segmentation.case import Case
from preop.imaging.segmentation.stages import STAGES
from preop.imaging.volume import Grid, ImageVolume
from shared_data import shared


def run_stages(volume, last, request=None):
    """The case after the stages up to one module."""
    turned = canonical(volume)
    case = Case.of(turned.volume, request or SegmentationRequest())
    for stage in STAGES:
        case.masks.update(stage.find()(case, silent))
        if stage.module == last:
            return case
    raise AssertionError(last)


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


@pytest.fixture(scope="module", params=["portal", "native"])
def phantom_case(request):
    phantom = make_phantom(PhantomParameters(shape=(112, 112, 112), phase=request.param, seed=3, variation=0.5))
    return phantom, run_stages(phantom.volume, "bone")


def test_body_and_lungs_of_the_phantom(phantom_case):
    phantom, case = phantom_case
    truth = phantom.labels
    assert dice(case.masks["body"], truth.labels > 0) > 0.97
    assert dice(case.masks["lung_left"], truth.mask("lung_left")) > 0.95
    assert dice(case.masks["lung_right"], truth.mask("lung_right")) > 0.95


def test_bone_of_the_phantom_in_thick_voxels(phantom_case):
    phantom, case = phantom_case
    assert dice(case.masks["bone"], phantom.labels.mask("bone")) > 0.82


def test_spine_runs_behind_the_vertebral_bodies(phantom_case):
    phantom, case = phantom_case
    spine = phantom.labels.only("spine")
    assert case.frame.spine is not None
    seen = np.isfinite(case.frame.spine[:, 0])
    assert seen.mean() > 0.5
    index = np.argwhere(spine)
    points = phantom.volume.grid.points_from_index(index)
    for k in np.flatnonzero(seen)[5:-5:8]:
        z = case.frame.z.ravel()[k]
        near = points[np.abs(points[:, 2] - z) < 20.0]
        if len(near) > 50:
            assert abs(near[:, 0].mean() - case.frame.spine[k, 0]) < 8.0


def test_diaphragm_heights_are_ordered(phantom_case):
    _, case = phantom_case
    for base, dome in (
        (case.frame.lung_base_left, case.frame.dome_left),
        (case.frame.lung_base_right, case.frame.dome_right),
    ):
        assert base is not None
        assert dome is not None
        assert base < dome


def test_no_lungs_in_the_pelvis_is_a_remark_and_not_an_error():
    phantom = make_phantom(PhantomParameters(shape=(96, 96, 96)))
    k = 30
    grid = phantom.volume.grid
    cut = ImageVolume(phantom.volume.voxels[:, :, :k], Grid((96, 96, k), grid.affine))
    case = run_stages(cut, "bone")
    assert "lung_left" not in case.masks
    assert case.frame.lungs is None
    assert any("no lung" in remark for remark in case.remarks)
    assert case.masks["bone"].any()


def test_seed_outside_the_scan_is_refused():
    phantom = make_phantom(PhantomParameters(shape=(48, 48, 48)))
    request = SegmentationRequest(seeds={"liver": Seed(point=np.array([0.0, 0.0, 1e4]))})
    case = Case.of(canonical(phantom.volume).volume, request)
    with pytest.raises(SegmentationError, match="outside the scan"):
        case.seed("liver")


@pytest.mark.slow
@pytest.mark.shared_data
def test_real_scan_against_manual_masks():
    from preop.imaging.labelfile import read_labels
    from preop.imaging.scan import read_scan

    volume = read_scan(shared("ct_abdomen_portal_dicom.zip"))
    truth = shared("ct_abdomen_portal_truth")
    case = run_stages(volume, "bone")
    turned = canonical(volume)

    def manual(name: str) -> np.ndarray:
        read = read_labels(truth / f"{name}.nii.gz", like=volume.grid)
        return turned.forward(read.labels) > 0

    assert dice(case.masks["body"], manual("skin")) > 0.97
    assert dice(case.masks["lung_left"], manual("leftlung")) > 0.93
    assert dice(case.masks["lung_right"], manual("rightlung")) > 0.93
    assert dice(case.masks["bone"], manual("bone")) > 0.85
