"""Hertz's contact on small meshes; finer ones are cases of the verification."""

from __future__ import annotations

import pytest

from preop.engine.tissue.verification import hertz
from preop.imaging.progress import silent

RINGS = 8
LIMIT = (RINGS * hertz.INNER / hertz.FINE) ** -1.5 + 0.015
"""Order 3/2 at the edge of contact with 3.2 elements over its radius; a/R and the penalty's penetration."""


@pytest.mark.slow
@pytest.mark.parametrize("make", [hertz.ball_on_plane, hertz.ball_on_ball])
def test_force_radius_and_peak(make) -> None:
    found = hertz.compute(make(RINGS, 6, "T10"), silent).values
    assert found["force"] == pytest.approx(hertz.FORCE, rel=LIMIT)
    assert found["contact radius"] == pytest.approx(hertz.CONTACT, rel=LIMIT)
    assert found["peak pressure"] == pytest.approx(hertz.PEAK, rel=LIMIT)
