"""The phantom's organs: where they lie, how large they are, that they hold together."""

from dataclasses import replace
from math import pi

import numpy as np
import pytest
from scipy import ndimage

from preop.imaging.anatomy import SEGMENTS
from preop.imaging.phantom import Aneurysm, PhantomParameters, make_phantom

ORGANS = (
    *("body", "lung_left", "lung_right", "spine", "ribs", "pelvis", "liver", "liver_tumor", "gallbladder", "spleen"),
    *("portal_vein_intrahepatic", "hepatic_vein", "portal_vein", "inferior_vena_cava", "kidney_left", "kidney_right"),
    *("aorta", "iliac_artery_left", "iliac_artery_right", "aortic_thrombus"),
)
SEVERAL_PIECES = {"ribs", "pelvis", "liver_tumor", "portal_vein_intrahepatic", "hepatic_vein"}
TEXTBOOK = PhantomParameters(shape=(200, 200, 225))
TOUCHING = np.ones((3, 3, 3))


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(TEXTBOOK)


def millilitres(phantom, name):
    return phantom.labels.mask(name).sum() * phantom.labels.grid.voxel_volume / 1000


def largest_share(mask):
    """Share of a mask that is in its largest piece."""
    sizes = np.bincount(ndimage.label(mask, TOUCHING)[0].ravel())[1:]
    return sizes.max() / sizes.sum()


@pytest.mark.parametrize("name", ORGANS)
def test_every_structure_is_there(phantom, name):
    assert phantom.labels.mask(name).any()


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        # adults, in mL; anatomy textbooks and CT volumetry
        ("liver", 1200, 1800),
        ("spleen", 100, 315),
        ("kidney_left", 100, 230),
        ("kidney_right", 100, 230),
        ("gallbladder", 15, 60),
        ("aorta", 100, 260),
        ("lung_left", 400, 2200),
        ("inferior_vena_cava", 60, 160),
    ],
)
def test_volumes_are_those_of_adults(phantom, name, low, high):
    assert low < millilitres(phantom, name) < high


@pytest.mark.parametrize("name", sorted(set(ORGANS) - SEVERAL_PIECES))
def test_an_organ_is_one_piece(phantom, name):
    mask = phantom.labels.labels > 0 if name == "body" else phantom.labels.mask(name)
    # Voxel centres can miss the bridge to a corner where two organs close in; the thrombus runs out to nothing.
    assert largest_share(mask) > (0.99 if name == "aortic_thrombus" else 0.9998)


@pytest.mark.parametrize(
    ("name", "stem"), [("portal_vein_intrahepatic", "portal_vein"), ("hepatic_vein", "inferior_vena_cava")]
)
def test_liver_vessels_hang_together_through_their_stem(phantom, name, stem):
    tree = phantom.labels.only(name)
    labelled, _ = ndimage.label(tree | phantom.labels.only(stem), TOUCHING)
    sizes = np.bincount(labelled[tree])[1:]
    # The other tree may cross a twig; all but crumbs belong to one piece.
    assert sizes.max() > 0.97 * sizes.sum()
    assert (tree & ndimage.binary_dilation(~phantom.labels.mask("liver"), iterations=3)).sum() < 0.1 * tree.sum()


def test_blood_flows_from_the_chest_to_both_groins(phantom):
    """One tube from the top slice to the bottom slice on both sides."""
    assert ndimage.label(phantom.labels.mask("aorta"))[1] == 1
    assert phantom.labels.only("aorta")[:, :, -1].any()
    assert phantom.labels.only("iliac_artery_left")[:, :, 0].any()
    assert phantom.labels.only("iliac_artery_right")[:, :, 0].any()


def centre(phantom, name):
    return phantom.labels.grid.points_from_index(np.argwhere(phantom.labels.mask(name)).mean(axis=0))


def test_organs_lie_where_anatomy_puts_them(phantom):
    """LPS: +x is the patient's left, +y the back, +z the head."""
    at = {name: centre(phantom, name) for name in ORGANS}
    assert at["liver"][0] < -30
    assert at["spleen"][0] > 60
    assert at["spleen"][1] > 20
    assert at["kidney_right"][0] < 0 < at["kidney_left"][0]
    assert at["kidney_right"][2] < at["kidney_left"][2]
    assert at["inferior_vena_cava"][0] < at["aorta"][0]
    assert at["aorta"][1] < at["spine"][1]
    assert at["gallbladder"][1] < at["liver"][1]
    assert at["pelvis"][2] < at["kidney_right"][2] < at["lung_right"][2]
    assert at["iliac_artery_right"][0] < 0 < at["iliac_artery_left"][0]


def test_nothing_pokes_out_of_the_body(phantom):
    """Two millimetres of skin lie between every organ and the air; the scan's end slices cut through."""
    labels = phantom.labels.labels
    air = ndimage.binary_dilation(labels == 0, np.ones((3, 3, 1)))
    assert set(np.unique(labels[air])) <= {0, SEGMENTS["body"].label}


def test_the_liver_touches_its_neighbours(phantom):
    """As in life there is no free fat all around: wall, kidney and gallbladder lie against it."""
    grown = ndimage.binary_dilation(phantom.labels.mask("liver"), iterations=3)
    for name in ("gallbladder", "inferior_vena_cava", "ribs", "lung_right", "kidney_right"):
        near = grown if name != "kidney_right" else ndimage.binary_dilation(grown, iterations=2)
        assert (near & phantom.labels.mask(name)).any(), name


@pytest.mark.parametrize(
    ("name", "low", "high"),
    [
        ("liver", 100, 120),
        ("spleen", 110, 130),
        ("aorta", 150, 175),
        ("gallbladder", 0, 20),
        ("kidney_left", 160, 200),
        ("lung_left", -900, -780),
        ("aortic_thrombus", 35, 60),
        ("liver_tumor", 35, 75),
        ("inferior_vena_cava", 125, 155),
    ],
)
def test_labels_and_hu_agree_in_the_portal_phase(phantom, name, low, high):
    inside = ndimage.binary_erosion(phantom.labels.only(name), TOUCHING)
    assert low < np.median(phantom.volume.voxels[inside]) < high


def test_landmarks_lie_in_what_they_name(phantom):
    labels, grid = phantom.labels, phantom.labels.grid
    for landmark, name in (
        ("tumour_1", "liver_tumor"),
        ("tumour_2", "liver_tumor"),
        ("liver_edge", "liver"),
        ("kidney_left", "kidney_left"),
        ("kidney_right", "kidney_right"),
        ("aneurysm_centre", "aorta"),
        ("iliac_left", "iliac_artery_left"),
        ("iliac_right", "iliac_artery_right"),
    ):
        i, j, k = np.rint(grid.index_from_points(phantom.landmarks[landmark])).astype(int)
        assert labels.mask(name)[i, j, k], landmark


def test_voxels_agree_with_closed_forms(phantom):
    truth = phantom.truth
    tumours = phantom.labels.only("liver_tumor")
    labelled, count = ndimage.label(tumours)
    assert count == 2
    volumes = sorted(np.bincount(labelled.ravel())[1:] * phantom.labels.grid.voxel_volume / 1000)
    expected = sorted(truth[f"tumour_{n}_volume_ml"] for n in (1, 2))
    assert volumes == pytest.approx(expected, rel=0.05)
    assert millilitres(phantom, "aortic_thrombus") == pytest.approx(truth["aneurysm_thrombus_volume_ml"], rel=0.05)
    k = round(float(phantom.labels.grid.index_from_points(phantom.landmarks["aneurysm_centre"])[2]))
    section = phantom.labels.only("aorta")[:, :, k] | phantom.labels.only("aortic_thrombus")[:, :, k]
    area = section.sum() * np.prod(phantom.volume.spacing[:2])
    assert 2 * np.sqrt(area / pi) == pytest.approx(truth["aneurysm_maximum_outer_diameter_mm"], rel=0.03)
    assert truth["aneurysm_maximum_outer_diameter_mm"] == pytest.approx(54.0, abs=0.1)


def test_resolutions_agree_on_volumes(phantom):
    coarse = make_phantom(replace(TEXTBOOK, shape=(128, 128, 128)))
    for name, tolerance in (
        ("liver", 0.01),
        ("spleen", 0.02),
        ("kidney_left", 0.02),
        ("aorta", 0.03),
        ("liver_tumor", 0.04),
    ):
        assert millilitres(coarse, name) == pytest.approx(millilitres(phantom, name), rel=tolerance), name


def test_parameters_move_the_anatomy(phantom):
    small = replace(TEXTBOOK, shape=(100, 100, 112), noise_hu=0.0)
    plain = make_phantom(small)
    larger = replace(small, liver_scale=1.1, spleen_scale=1.2, kidney_scale=1.15, body_half_axes_mm=(185.0, 130.0))
    grown = make_phantom(replace(larger, aneurysm=Aneurysm(maximum_diameter=68.0)))
    for name in ("liver", "spleen", "kidney_left", "aortic_thrombus"):
        assert millilitres(grown, name) > 1.1 * millilitres(plain, name), name
    assert grown.truth["aneurysm_maximum_outer_diameter_mm"] == pytest.approx(68.0, abs=0.1)
    healthy = make_phantom(replace(small, aneurysm=None))
    assert not healthy.labels.mask("aortic_thrombus").any()
    assert largest_share(healthy.labels.mask("aorta")) == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 11, 12, 13])
def test_many_patients_are_all_whole(seed):
    """With variation every seed is another patient, and each has all its organs in one piece within its skin."""
    patient = make_phantom(replace(TEXTBOOK, shape=(134, 134, 150), seed=seed, variation=1.0, noise_hu=0.0))
    for name in ("liver", "spleen", "kidney_left", "kidney_right", "gallbladder", "aorta", "inferior_vena_cava"):
        assert largest_share(patient.labels.mask(name)) > 0.9998, name
    assert 900 < millilitres(patient, "liver") < 2300
    assert 100 < millilitres(patient, "spleen") < 350
    labels = patient.labels.labels
    air = ndimage.binary_dilation(labels == 0, np.ones((3, 3, 1)))
    assert set(np.unique(labels[air])) <= {0, SEGMENTS["body"].label}
    i, j, k = np.rint(patient.labels.grid.index_from_points(patient.landmarks["liver_edge"])).astype(int)
    assert patient.labels.mask("liver")[i, j, k]


@pytest.mark.slow
def test_variation_makes_different_patients():
    volumes = [
        millilitres(make_phantom(replace(TEXTBOOK, shape=(64, 64, 72), seed=s, variation=1.0)), "liver")
        for s in range(4)
    ]
    assert np.std(volumes) > 30
