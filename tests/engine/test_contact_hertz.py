"""Hertz's contact on small meshes; finer ones are cases of the verification."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue.solution import State
from preop.engine.tissue.verification import hertz
from preop.imaging.progress import silent

RINGS = 8
LIMIT = (RINGS * hertz.INNER / hertz.FINE) ** -3 + 2 * hertz.SCALE * hertz.CONTACT / hertz.RADIUS + 0.004
"""Order 3 of integrals with 3.2 elements over the radius of contact; a/R twice; the penalty's p/ε over δ."""


@pytest.mark.slow
@pytest.mark.parametrize("make", [hertz.ball_on_plane, pytest.param(hertz.ball_on_ball, marks=pytest.mark.long)])
def test_approach_radius_and_peak(make) -> None:
    found = hertz.compute(make(RINGS, RINGS, "T10", penalty=hertz.PENALTY), silent).values
    assert found["approach"] == pytest.approx(hertz.APPROACH, rel=LIMIT)
    assert found["contact radius"] == pytest.approx(hertz.CONTACT, rel=LIMIT)
    assert found["peak pressure"] == pytest.approx(hertz.PEAK, rel=LIMIT)


def test_the_approach_is_read_off_the_displacement() -> None:
    """A body that follows the half-space and a rigid shift has approached by that shift, whatever it is."""
    pressed = hertz.ball_on_plane(4, 4, "T4", penalty=hertz.PENALTY)
    for shift in (1e-5, 2e-5):
        moved = hertz.far_field(np.asarray(pressed.model.points)) - [0.0, 0.0, shift]
        seen = hertz.approach(pressed, State(1.0, jnp.asarray(moved)))
        assert seen == pytest.approx(2 * shift / hertz.SCALE**2)
