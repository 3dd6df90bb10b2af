"""Partial volume and implicit solids against closed forms."""

from math import pi

import numpy as np
import pytest

from preop.imaging.phantom.render import Layer, Part, Slab, half_space_share, paint
from preop.imaging.phantom.shapes import box, difference, ellipsoid, polyline_tube, rotation, wobbled
from preop.imaging.phantom.tissue import Tissue

TABLE = {"one": Tissue(1.0), "two": Tissue(2.0)}


def painted(part, spacing, extent=40.0, offset=(0.3, -0.7, 0.2)):
    """(values, labels) of one part on an empty cube, 1 or 2 per tissue."""
    axes = [
        np.arange(-extent, extent, s, dtype=np.float32) + np.float32(o) for s, o in zip(spacing, offset, strict=True)
    ]
    x, y, z = axes
    shape = (len(z), len(y), len(x))
    slab = Slab(x, y, z, np.zeros(shape, np.float32), np.zeros(shape, np.uint16), np.zeros(shape, np.float32))
    paint(slab, part, TABLE, spacing)
    return slab.hu, slab.labels


@pytest.mark.parametrize(
    ("value", "slopes", "share"),
    [
        (0.0, (1.0, 1.0, 1.0), 0.5),
        (0.25, (1.0, 0.0, 0.0), 0.25),
        (-0.3, (0.0, 1.0, 0.0), 0.8),
        (0.6, (1.0, 0.0, 0.0), 0.0),
        (-2.0, (1.0, 1.0, 1.0), 1.0),
        # corner tetrahedron: x+y+z < 1/2 cuts off (1/2)³/6
        (1.0, (1.0, 1.0, 1.0), 0.5**3 / 6),
        # triangular prism: x+y < 1/2 cuts off (1/2)²/2
        (0.5, (1.0, 1.0, 0.0), 0.125),
    ],
)
def test_share_of_a_cube_behind_a_plane(value, slopes, share):
    got = half_space_share(np.array([value]), np.array(slopes)[:, None])
    assert got[0] == pytest.approx(share, abs=2e-3)


def test_share_agrees_with_random_sampling():
    rng = np.random.default_rng(0)
    slopes = rng.uniform(0, 2, (3, 40))
    value = rng.uniform(-1.5, 1.5, 40)
    points = rng.uniform(-0.5, 0.5, (60_000, 3))
    sampled = ((points @ slopes + value) < 0).mean(axis=0)
    assert np.abs(half_space_share(value, slopes) - sampled).max() < 0.012


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (2.0, 2.0, 5.0), (3.5, 3.0, 4.0)])
def test_the_mean_is_kept_at_any_resolution(spacing):
    """The sum over voxels is the volume, though voxels are as coarse as a fifth of the radius."""
    turn = rotation(0, 25) @ rotation(2, 40)
    part = Part("p", ellipsoid((1.0, 2.0, -1.5), (24, 17, 20), turn), (Layer(0, "one", 7),))
    values, labels = painted(part, spacing)
    exact = 4 / 3 * pi * 24 * 17 * 20
    assert values.sum() * np.prod(spacing) == pytest.approx(exact, rel=0.006)
    assert (labels == 7).sum() * np.prod(spacing) == pytest.approx(exact, rel=0.03)
    assert values.min() >= 0
    assert values.max() <= 1 + 1e-6


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (3.0, 3.0, 3.0)])
def test_a_shell_thinner_than_a_voxel_keeps_its_volume(spacing):
    """Nested layers share a voxel exactly: a 1.2 mm cortex of HU 2 around HU 1."""
    part = Part("p", ellipsoid((0, 0, 0), (25, 25, 25)), (Layer(0, "two"), Layer(1.2, "one")))
    values, _ = painted(part, spacing)
    outer, inner = 4 / 3 * pi * 25**3, 4 / 3 * pi * 23.8**3
    assert values.sum() * np.prod(spacing) == pytest.approx(2 * outer - inner, rel=0.006)


def test_a_tapered_tube_has_its_closed_form_volume():
    part = Part("p", polyline_tube([[-20, -10, -15], [18, 12, 20]], (8.0, 4.0)), (Layer(0, "one"),))
    values, _ = painted(part, (1.0, 1.0, 1.0))
    length = np.linalg.norm([38, 22, 35])
    # the axis' radius falls linearly; a hemisphere of 8 mm at one end, of 4 mm at the other
    exact = pi * length * (64 + 32 + 16) / 3 + 2 / 3 * pi * (8**3 + 4**3)
    assert values.sum() == pytest.approx(exact, rel=0.01)


def test_a_stretched_tube_is_wider_along_one_axis():
    part = Part("p", polyline_tube([[-15, 0, 0], [15, 0, 0]], 5.0, (1, 1, 2)), (Layer(0, "one", 3),))
    _, labels = painted(part, (1.0, 1.0, 1.0), offset=(0, 0, 0))
    middle = labels[:, :, labels.shape[2] // 2]
    assert (middle.any(axis=1).sum(), middle.any(axis=0).sum()) == (19, 9)


def test_a_difference_keeps_only_what_is_outside():
    solid = difference(ellipsoid((0, 0, 0), (20, 20, 20)), ellipsoid((0, 0, 0), (10, 10, 10)))
    values, _ = painted(Part("p", solid, (Layer(0, "one"),)), (1.0, 1.0, 1.0))
    assert values.sum() == pytest.approx(4 / 3 * pi * (8000 - 1000), rel=0.006)


def test_parts_outside_of_the_slab_change_nothing():
    values, labels = painted(Part("p", ellipsoid((500, 0, 0), (20, 20, 20)), (Layer(0, "one", 1),)), (2.0, 2.0, 2.0))
    assert not values.any()
    assert not labels.any()


def test_the_bounds_hold_what_they_claim():
    solid = wobbled(ellipsoid((0, 0, 0), (20, 15, 10), rotation(1, 30)), 3.0, 25, np.random.default_rng(1))
    axis = np.linspace(-40, 40, 81, dtype=np.float32)
    k, j, i = np.nonzero(solid.distance(axis, axis, axis) < 0)
    inside = np.stack([axis[i], axis[j], axis[k]], axis=1)
    assert (inside >= solid.bounds[0]).all()
    assert (inside <= solid.bounds[1]).all()
    assert box((0, 1), (2, 3), (4, 5)).tolist() == [[0, 2, 4], [1, 3, 5]]
