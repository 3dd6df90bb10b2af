"""What a registration refuses: points that are too few, too many of them off, another organ's, or placed elsewhere."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ..fitting.observation import positive_noise, refuse_far, vectors
from ..model import Model
from .all_at_once import Found
from .noise import roughness
from .prior import Prior

FAR_OFF = 3.0
"""Median distance of the points, over what is expected of one, at which they are no points of this organ."""
BEYOND = 5.0
"""Widths of the pose's prior at which a pose is refused."""
TOO_MUCH = 3.0
"""Times `Prior.displacement` that the median node may move: three standard deviations."""
MANY = 0.25
"""Share of points left out beyond which the widest prior may not be the likeliest: loads then shape another organ."""
FEWEST = 20
"""Points that a pose and a first pattern of deformation need."""


def checked_points(points: object, model: Model) -> NDArray:
    """The points (n, 3) m, each once: enough of them, over a patch, near the model.

    Raises:
        SolverError: NaN, fewer than 20, all on one place or line, or far off.
    """
    given = vectors(points, "points", "register")  # pyright: ignore[reportArgumentType]
    advice = "Give 20 or more, over a patch of the surface"
    seen = np.unique(given, axis=0)
    if len(given) < FEWEST:
        raise SolverError(f"{len(given)} points are too few", where="register", advice=advice)
    rest = np.asarray(model.points)
    widths = np.linalg.svd(seen - seen.mean(axis=0), full_matrices=False, compute_uv=False) / np.sqrt(len(seen))
    if len(widths) < 2 or widths[1] < 1e-3 * float(np.ptp(rest, axis=0).max()):
        raise SolverError("the points lie on one place or line", where="register", advice=advice)
    if len(seen) < FEWEST:
        raise SolverError("fewer than 20 points are left without copies", where="register", advice=advice)
    refuse_far(seen, rest, "register", reach=0.6)
    return seen


def checked_noise(noise: float | None, seen: NDArray, rest: NDArray) -> float:
    """As given, or read off the points.

    Raises:
        SolverError: not a length that points of this body can err by.
    """
    size = float(np.ptp(rest, axis=0).max())
    if positive_noise(noise, "register") is None:
        return roughness(seen)
    assert noise is not None
    if not 1e-6 < noise < 0.1 * size:
        raise SolverError(
            f"a noise of {noise:g} m is not possible for a body of {size:.3g} m",
            where="register",
            advice="Give metres: 0.001 for 1 mm",
        )
    return float(noise)


def refuse_strangers(belong: NDArray) -> None:
    """What is left must be most of what was given, and enough.

    Raises:
        SolverError: fewer than half of the points, or than 20, belong to the organ.
    """
    if belong.sum() < max(0.5 * len(belong), FEWEST):
        raise SolverError(
            f"only {int(belong.sum())} of {len(belong)} points fit one deformed surface of this organ",
            where="register",
            advice="Crop the points to the organ, and check their noise and their frame",
        )


def refuse_doubtful(out: float, width: float, widest: float) -> None:
    """Points of another organ are followed in part by loads as large as can be, and left out for the rest.

    Raises:
        SolverError: more than a quarter was left out (`out`, a share), and the likeliest width [m] is the widest tried.
    """
    if out > MANY and width >= widest > 0.0:
        raise SolverError(
            f"{100 * out:.0f} % of the points fit no deformation of this organ, the others only {1e3 * widest:.0f} mm",
            where="register",
            advice="Crop the points to the organ, give their noise and frame, or give a larger Prior.displacement",
        )


def refuse_size(found: Found, prior: Prior) -> None:
    """Points of another surface that were not told from the organ's are followed by loads without measure.

    Raises:
        SolverError: the median node moves by many times what was assumed.
    """
    median = float(np.median(np.linalg.norm(found.displacement, axis=1)))
    if median > TOO_MUCH * prior.displacement:
        raise SolverError(
            f"the median node would move by {1e3 * median:.0f} mm, Prior.displacement is "
            f"{1e3 * prior.displacement:.0f} mm",
            where="register",
            advice="Crop the points to the organ, give their noise, or give a larger Prior.displacement",
        )


def refuse_misfit(found: Found, prior: Prior) -> None:
    """Student's law would leave out all points of another organ and answer all the same.

    Raises:
        SolverError: half of the points stay off the surface, or the pose lies where its prior hardly reaches.
    """
    left, expected = (
        float(np.median(np.abs(found.misfit.distance))),
        found.errors.law.expected,
    )
    if left > FAR_OFF * expected:
        raise SolverError(
            f"half of the points stay {1e3 * left:.1f} mm or more off the surface; {1e3 * expected:.1f} mm fit",
            where="register",
            advice="Check that they belong to this organ, their noise and their frame",
        )
    turn, shift = found.pose.rotation.magnitude() / prior.pose[0], np.linalg.norm(found.pose.shift) / prior.pose[1]
    if max(turn, shift) > BEYOND:
        raise SolverError(
            f"the frame of the points lies {np.degrees(found.pose.rotation.magnitude()):.0f}° and "
            f"{1e3 * np.linalg.norm(found.pose.shift):.0f} mm away, beyond Prior.pose",
            where="register",
            advice="Place the points roughly first, or give a wider Prior.pose",
        )
