"""Real scans that the automatic does not solve: a point brings a liver back, a dissection is not trusted."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from scipy import ndimage

from preop.imaging.labelfile import read_masks
from preop.imaging.scan import read_scan
from preop.imaging.segmentation.base import Seed, Segmentation, SegmentationRequest
from preop.imaging.segmentation.classical import ClassicalSegmenter
from shared_data import shared

pytestmark = [pytest.mark.slow, pytest.mark.shared_data]


def dice(first: np.ndarray, second: np.ndarray) -> float:
    return float(2 * (first & second).sum() / (first.sum() + second.sum()))


def variants() -> ModuleType:
    """The module that makes other patients of a scan; it belongs to the benchmarks, which are no package."""
    file = Path(__file__).resolve().parents[2] / "benchmarks" / "patient_variants.py"
    spec = importlib.util.spec_from_file_location("patient_variants", file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
@pytest.mark.long
def test_one_point_in_a_huge_tumour_at_the_border_brings_the_liver_to_its_aim() -> None:
    """The tumour of 45 mm radius is as dark as the stomach and bare of liver on one side: it is left out at first."""
    pv = variants()
    scan, truth = (shared(name) for name in ("ct_abdomen_portal_dicom.zip", "ct_abdomen_portal_truth"))
    volume, read = read_scan(scan), read_masks(truth)
    masks = {name: read.mask(name) for name in ("liver", "liver_tumor", "bone")}
    patient = pv.thinned(pv.Patient(volume.voxels, volume.grid, masks), (2, 2, 1))
    patient = pv.with_tumours(1, 45, 55, 7, at_border=True)(patient)
    liver = patient.masks["liver"]

    alone = ClassicalSegmenter().segment(patient.volume, SegmentationRequest(wanted=("liver",))).labels.mask("liver")
    assert dice(alone, liver) < 0.93
    # A person points at the middle of the largest part that is missing.
    deep = ndimage.distance_transform_edt(liver & ~alone, sampling=patient.grid.spacing)
    point = patient.grid.points_from_index(np.array(np.unravel_index(deep.argmax(), deep.shape), dtype=float))
    request = SegmentationRequest(wanted=("liver",), seeds={"liver": Seed(point=point)})
    helped = ClassicalSegmenter().segment(patient.volume, request).labels.mask("liver")
    assert dice(helped, liver) >= 0.93


@pytest.fixture(scope="module")
def dissection() -> tuple[Segmentation, dict[str, np.ndarray]]:
    """A CT angiogram of a dissected thoracic aorta with a stent in its true lumen, and masks of both lumens."""
    folder = shared("cta_aortic_dissection")
    volume = read_scan(folder / "ct_cropped.nii.gz")
    parts = ("aorta", "aorta_true_lumen", "aorta_false_lumen")
    truth = {name: read_scan(folder / f"{name}.nii.gz").voxels > 0 for name in parts}
    return ClassicalSegmenter().segment(volume), truth


def test_a_dissection_is_not_trusted(dissection) -> None:
    result, truth = dissection
    assert not result.trusted
    note = result.note("aorta")
    assert note is not None
    found = result.labels.mask("aorta")
    assert note.level == "bad" or dice(found, truth["aorta"]) > 0.85
    thrombus = result.labels.mask("aortic_thrombus")
    blood = (thrombus & (truth["aorta_true_lumen"] | truth["aorta_false_lumen"])).sum()
    claimed = result.note("aortic_thrombus")
    assert not thrombus.any() or blood < 0.1 * thrombus.sum() or (claimed is not None and claimed.level == "bad")


def test_no_lumen_of_a_dissection_is_called_bone(dissection) -> None:
    """Before lumens were told from marrow half of the stented one was."""
    result, truth = dissection
    bone = result.labels.mask("bone")
    assert bone.any()
    for name in ("aorta_true_lumen", "aorta_false_lumen"):
        assert (bone & truth[name]).sum() < 0.02 * truth[name].sum(), name


def test_the_scan_of_a_chest_says_that_its_aorta_is_not_the_abdominal_one(dissection) -> None:
    result, _ = dissection
    assert any(n.segment == "scan" and "not the abdominal aorta" in n.text for n in result.notes)
