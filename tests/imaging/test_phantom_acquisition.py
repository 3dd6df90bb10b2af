"""Noise, texture, phases, and that a seed decides everything."""

from dataclasses import replace

import numpy as np
import pytest

from preop.imaging.errors import ScanError
from preop.imaging.phantom import Aneurysm, PhantomParameters, Tumour, make_phantom
from preop.imaging.phantom import phantom as phantom_module
from preop.imaging.phantom.acquisition import Texture, noise_slice, noise_transfer

SMALL = PhantomParameters(shape=(64, 64, 48))
CLEAN = replace(SMALL, noise_hu=0.0, texture=0.0, blur_mm=0.0)


@pytest.fixture(scope="module")
def small():
    return make_phantom(SMALL)


def test_noise_has_the_asked_deviation_and_a_ct_spectrum():
    shape, spacing = (256, 256), (0.8, 0.8)
    transfer = noise_transfer(shape, spacing)
    slices = np.stack([noise_slice(k, shape, transfer, seed=3) for k in range(12)])
    assert slices.std() == pytest.approx(1.0, rel=0.02)
    assert abs(slices.mean()) < 1e-3
    power = (np.abs(np.fft.fft2(slices)) ** 2).mean(axis=0)
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256, 0.8), np.fft.fftfreq(256, 0.8)))
    low, middle, high = (
        power[(frequency > a) & (frequency < b)].mean() for a, b in ((0, 0.02), (0.1, 0.25), (0.5, 0.62))
    )
    # Filtered back-projection: little power near zero frequency (ramp) and little at the end (kernel).
    assert low < 0.3 * middle
    assert high < 0.1 * middle


def test_noise_is_correlated_in_plane_and_not_between_slices():
    shape = (256, 256)
    transfer = noise_transfer(shape, (0.8, 0.8))
    a, b = (noise_slice(k, shape, transfer, seed=5) for k in (0, 1))
    assert np.corrcoef(a[:, :-1].ravel(), a[:, 1:].ravel())[0, 1] > 0.4
    assert abs(np.corrcoef(a.ravel(), b.ravel())[0, 1]) < 0.02


def test_the_volume_carries_the_noise_that_was_asked_for():
    quiet = replace(SMALL, noise_hu=0.0)
    loud = replace(SMALL, noise_hu=20.0)
    added = make_phantom(loud).volume.voxels - make_phantom(quiet).volume.voxels
    inside = make_phantom(quiet).volume.voxels > -900
    assert added[inside].std() == pytest.approx(20.0, rel=0.03)


def test_texture_stays_with_the_patient_when_the_grid_changes():
    low, high = np.array([-50.0, -50, -50]), np.array([50.0, 50, 50])
    texture = Texture(low, high, seed=2)
    axis = np.arange(-20.0, 20.0, 1.0)
    fine = texture.sample(axis, axis, axis)
    assert np.allclose(fine[::4, ::4, ::4], texture.sample(axis[::4], axis[::4], axis[::4]), atol=1e-5)
    assert 0.5 < fine.std() < 1.5


def test_the_same_seed_gives_the_same_voxels_and_another_one_does_not(small):
    again = make_phantom(SMALL)
    assert np.array_equal(again.volume.voxels, small.volume.voxels)
    assert np.array_equal(again.labels.labels, small.labels.labels)
    other = make_phantom(replace(SMALL, seed=2))
    assert not np.array_equal(other.volume.voxels, small.volume.voxels)


def test_the_division_into_slabs_leaves_no_trace(small, monkeypatch):
    monkeypatch.setattr(phantom_module, "SLAB_VOXELS", 64 * 64 * 7)
    again = make_phantom(SMALL)
    assert np.array_equal(again.labels.labels, small.labels.labels)
    assert np.allclose(again.volume.voxels, small.volume.voxels, atol=1e-2)


def test_a_coarse_scan_is_the_average_of_a_fine_one():
    """Eight voxels of half the size average to the coarse voxel, but for curvature within it."""
    coarse = make_phantom(CLEAN).volume.voxels
    fine = make_phantom(replace(CLEAN, shape=(128, 128, 96))).volume.voxels
    average = fine.reshape(64, 2, 64, 2, 48, 2).mean(axis=(1, 3, 5))
    assert coarse.mean() == pytest.approx(average.mean(), abs=1.5)
    # Sampling at voxel centres instead of averaging misses this by a factor of about three.
    sampled = fine[::2, ::2, ::2]
    assert np.abs(coarse - average).mean() < 0.35 * np.abs(sampled - average).mean()


def test_blur_keeps_the_mean():
    blurred = make_phantom(replace(CLEAN, blur_mm=1.5)).volume.voxels
    sharp = make_phantom(CLEAN).volume.voxels
    assert blurred.mean() == pytest.approx(sharp.mean(), abs=0.05)
    assert np.abs(np.diff(blurred, axis=0)).mean() < np.abs(np.diff(sharp, axis=0)).mean()


def test_phases_enhance_as_contrast_flows():
    mean = {}
    for phase in ("native", "arterial", "portal"):
        scan = make_phantom(replace(CLEAN, shape=(96, 96, 64), phase=phase))
        mean[phase] = {
            n: float(np.median(scan.volume.voxels[scan.labels.only(n)]))
            for n in ("aorta", "liver", "spleen", "kidney_left", "gallbladder")
        }
    assert mean["native"]["aorta"] < 60
    assert mean["arterial"]["aorta"] > 280
    assert 140 < mean["portal"]["aorta"] < 200
    assert mean["native"]["liver"] < mean["arterial"]["liver"] < mean["portal"]["liver"]
    assert mean["arterial"]["spleen"] > mean["arterial"]["liver"] + 30
    assert abs(mean["arterial"]["gallbladder"] - mean["native"]["gallbladder"]) < 3


def test_the_phantom_tells_its_progress():
    heard = []
    make_phantom(SMALL, progress=lambda fraction, message: heard.append((fraction, message)))
    fractions = [f for f, _ in heard]
    assert fractions == sorted(fractions)
    assert (fractions[0], fractions[-1]) == (0.0, 1.0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"phase": "late"},
        {"shape": (128, 128)},
        {"shape": (8, 128, 128)},
        {"noise_hu": -1.0},
        {"spacing_mm": (1.0, 0.0, 1.0)},
    ],
)
def test_impossible_parameters_are_refused(wrong):
    with pytest.raises(ScanError):
        PhantomParameters(**wrong)


def test_impossible_lesions_are_refused():
    with pytest.raises(ScanError, match="aneurysm"):
        Aneurysm(maximum_diameter=15.0)
    with pytest.raises(ScanError, match="aneurysm"):
        Aneurysm(thrombus_thickness=40.0)
    with pytest.raises(ScanError, match="tumour"):
        Tumour((0.0, 0.0, 0.0), (5.0, 5.0, 0.0))


def test_a_tumour_outside_of_the_liver_is_refused():
    outside = Tumour((90.0, 0.0, -100.0), (10.0, 10.0, 10.0))
    with pytest.raises(ScanError, match="outside the liver"):
        make_phantom(replace(SMALL, tumours=(outside,)))
