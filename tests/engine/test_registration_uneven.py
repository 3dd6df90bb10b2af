"""What is said of a target where hidden loads have a scale of their own: against the posterior itself and sampling."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from preop.engine.tissue.registration.prior import Prior
from preop.engine.tissue.registration.uneven import SCALES, Mixture, Scales, rescaled

DRAWS = 400_000


def test_patterns_that_the_points_determine_keep_their_widths() -> None:
    """The posterior of two coordinates of pose and five of loads, of which the points see three; their prior 4 wide."""
    seen = np.random.default_rng(1).standard_normal((40, 7)) * [1.0, 1.0, 30.0, 30.0, 30.0, 0.0, 0.0]
    told = seen.T @ seen
    wide = rescaled(np.linalg.inv(told + np.eye(7)), 2, 4.0)
    assert wide == pytest.approx(np.linalg.inv(told + np.diag([1.0] * 2 + [1 / 16] * 5)), rel=1e-9, abs=1e-12)
    narrow = np.linalg.inv(told + np.eye(7))
    assert np.diag(wide)[2:5] == pytest.approx(np.diag(narrow)[2:5], rel=1e-3)
    assert np.diag(wide)[5:] == pytest.approx([16.0, 16.0])


def test_the_scale_is_lognormal() -> None:
    """Median 1 and spread of its logarithm as given, where the range of scales holds them; else alone."""
    scales = Scales.of(0.3)
    assert scales.probability.sum() == pytest.approx(1.0)
    assert scales.probability @ np.log(scales.size) ** 2 == pytest.approx(0.09, rel=0.1)
    assert Scales.of(0.0).size.tolist() == [1.0]
    assert SCALES.min() == 0.5


def test_the_default_is_cut_off_below_a_half() -> None:
    """As `Prior.uneven` and the theory say, against quadrature of the normal law between ln ½ and ln 8."""
    scales = Scales.of(Prior().uneven)
    log = np.linspace(np.log(0.5) - np.log(2) / 4, np.log(8) + np.log(2) / 4, 20001)
    density = norm.pdf(log)
    density /= density.sum()
    assert scales.probability @ np.log(scales.size) == pytest.approx(density @ log, abs=0.02)
    rms = np.sqrt(scales.probability @ np.log(scales.size) ** 2)
    assert rms == pytest.approx(np.sqrt(density @ log**2), abs=0.02)
    assert rms == pytest.approx(0.8, abs=0.05)
    assert scales.size[np.searchsorted(np.cumsum(scales.probability), 0.5)] == pytest.approx(np.sqrt(2))


def test_the_share_beyond_a_plane_is_that_of_draws() -> None:
    draw = np.random.default_rng(3)
    place = np.array([[[0.0, 0.0, 0.0], [1e-3, 0.0, 0.0]], [[2e-3, 1e-3, 0.0], [0.0, 0.0, 1e-3]]])
    root = 1e-3 * draw.standard_normal((2, 2, 2, 3, 3))
    probability = np.array([[0.5, 0.2], [0.2, 0.1]])
    mixture = Mixture(place, root @ root.swapaxes(-1, -2), probability)
    plane, way = np.array([[1e-3, 0.0, 0.0], [0.0, 1e-3, 1e-3]]), np.array([[2.0, 1.0, 0.0], [0.0, -1.0, 3.0]])
    which = draw.choice(4, DRAWS, p=probability.ravel())
    shift = np.einsum("dkij,dkj->dki", root.reshape(4, 2, 3, 3)[which], draw.standard_normal((DRAWS, 2, 3)))
    beyond = (np.einsum("dki,ki->dk", place[which // 2] + shift - plane, way) > 0.0).mean(axis=0)
    assert mixture.beyond(plane, way) == pytest.approx(beyond, abs=4.0 * 0.5 / np.sqrt(DRAWS))
    assert mixture.beyond(plane, 0.0 * way) == pytest.approx([0.5, 0.5])


def test_one_gaussian_has_its_own_quantiles() -> None:
    place, spread = np.array([[[1e-3, 0.0, 0.2]]]), np.diag([1e-6, 4e-6, 9e-6])[None, None, None]
    mixture = Mixture(place, spread, np.ones((1, 1)))
    for share in (0.025, 0.5, 0.9):
        assert mixture.quantile(share)[0] == pytest.approx(place[0, 0] + [1e-3, 2e-3, 3e-3] * norm.ppf([share] * 3))


def test_quantiles_and_moments_are_those_of_draws() -> None:
    """Two widths that disagree by 3 mm and three scales; draws of the mixture, to three standard errors."""
    draw = np.random.default_rng(2)
    place = np.array([[[0.0, 1e-3, 0.0]], [[3e-3, 0.0, 0.0]]])
    size = np.array([[1.0, 2.0, 4.0], [2.0, 4.0, 8.0]])
    probability = np.array([[0.4, 0.2, 0.1], [0.15, 0.1, 0.05]])
    mixture = Mixture(place, 1e-6 * size[:, :, None, None, None] ** 2 * np.eye(3), probability)
    which = draw.choice(6, DRAWS, p=probability.ravel())
    drawn = place[which // 3, 0] + 1e-3 * size.ravel()[which, None] * draw.standard_normal((DRAWS, 3))
    mean, covariance = mixture.moments()
    assert mean[0] == pytest.approx(drawn.mean(axis=0), abs=3e-3 * 4.0 / np.sqrt(DRAWS))
    assert covariance[0] == pytest.approx(np.cov(drawn.T), abs=2e-7)
    for share in (0.025, 0.16, 0.84, 0.975):
        below = (drawn < mixture.quantile(share)).mean(axis=0)
        assert below == pytest.approx([share] * 3, abs=3.0 * np.sqrt(share * (1 - share) / DRAWS))
    gaussian = np.sqrt(covariance[0, 1, 1])
    assert mixture.quantile(0.84)[0, 1] - mean[0, 1] < 0.9 * gaussian
    assert mixture.quantile(0.995)[0, 1] - mean[0, 1] > 1.05 * norm.ppf(0.995) * gaussian
