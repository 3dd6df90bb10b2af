"""Signs that an answer is not what it looks like: data against the prior, against the model, against each other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from ....imaging.errors import SolverError
from .correlation import Together
from .noise import size_of
from .posterior import Posterior
from .setting import Unknown

CONFLICT = 3.0
"""Standard deviations of what the prior expects of one number, beyond which data and prior contradict each other."""
DROWNED = 0.5
"""Noise found over the motion that the model explains, from which on it is told: a fifth of the square is noise."""
WORSE = 4.0
"""Standard deviations by which the motion found must go against the data to be refused."""
MEDIAN_EFFICIENCY = 0.37
"""Of the median of |r| as a measure of the width of a normal law (Huber and Ronchetti 2009, section 5.1)."""


@dataclass(frozen=True)
class Leftover:
    """Of one observation at the best numbers.

    Attributes:
        label, unit: of the observation.
        given: the noise given; None where it was found.
        noise: given or found.
        robust: whether outliers lose their weight.
        residual: (m,) model − seen.
        motion: (m,) what the body's motion explains of what was seen; of a force, the force.
        moves: whether `motion` is a motion, so that the body at rest is an answer to compare with.
        effect: n over the effective number of residuals, as given.
    """

    label: str
    unit: str
    given: float | None
    noise: float
    robust: bool
    residual: NDArray
    motion: NDArray
    moves: bool = True
    effect: float = 1.0


def conflicts(posterior: Posterior, unknowns: Sequence[Unknown], spans: Sequence[slice]) -> list[str]:
    """Numbers further from their prior's mean than prior and data together lead one to expect.

    Before the data are seen, the best value of ξ is spread as `Posterior.expected` says (the prior predictive check
    of Box, J R Stat Soc A 143:383, 1980; Evans and Moshonov, Bayesian Anal 1:893, 2006): by 1 where the data tell
    all, by less where they are weak.
    """
    told = []
    away = np.abs(posterior.mean) / posterior.expected
    for unknown, span in zip(unknowns, spans, strict=True):
        held = ~unknown.flat
        limit = norm.isf(norm.sf(CONFLICT) / max(int(held.sum()), 1))
        beyond = np.flatnonzero((away[span] > limit) & held)
        names = [reported.name for reported in unknown.report(posterior.mean[span])]
        if not beyond.size:
            continue
        for k in beyond if len(names) == unknown.size else beyond[[np.argmax(away[span][beyond])]]:
            name = names[k] if len(names) == unknown.size else f"strongest pattern of the {unknown.label}"
            told.append(_conflict(name, abs(posterior.mean[span][k]), away[span][k]))
    return told


def _conflict(name: str, off: float, away: float) -> str:
    weak = "" if away < 1.5 * off else f", {away:.2g} times as far as data this weak should bring it"
    return (
        f"The best {name} lies {off:.2g} standard deviations of its prior from the prior's mean{weak}: data and prior "
        "contradict each other. Check the unit and the frame of the data, or widen the prior."
    )


def misfit(left: Leftover) -> list[str]:
    """What the best numbers leave unexplained: residuals well above the noise that was given for them.

    Of n residuals of that noise the RMS over the noise is 1 with a standard deviation of 1/√(2n); of the core of
    residuals, where outliers are left out, it is 1/√(2n · 0.37).
    """
    if left.given is None:
        return []
    count = len(left.residual) * (MEDIAN_EFFICIENCY if left.robust else 1.0)
    ratio = size_of(left.residual, left.robust) / left.given
    if ratio <= 1.0 + max(5.0 / np.sqrt(2 * count), 0.5):
        return []
    return [
        f"What was seen of {left.label} is missed by {ratio:.2g} times its noise: no values of these unknowns "
        "explain it, and the intervals are too narrow. Look for something else that differs, or a larger noise."
    ]


def drowned(left: Leftover) -> list[str]:
    """Noise found that is as large as what the body's motion explains of the same data."""
    signal = float(np.sqrt((left.motion**2).mean()))
    if left.given is not None or left.noise <= DROWNED * signal:
        return []
    what = "motion" if left.moves else "force"
    ratio = f"{left.noise / signal:.2g} times" if signal > 0.0 else "not small against"
    return [
        f"Of {left.label} {_in_unit(left.noise, left.unit)} is left, {ratio} the {what} that the model explains of it "
        f"({_in_unit(signal, left.unit)}): this may be no noise but a wrong unit, frame, support or load. Give the "
        "noise of the sensor, so that the fit can tell."
    ]


def refuse_worse(left: Leftover) -> None:
    """No answer where the noise is not given and the body as given matches the data better than the motion found.

    With s the motion and r the residuals: |r − s|² < |r|², by more than errors of this noise (s · r has the standard
    deviation |s| σ).

    Raises:
        SolverError: it does.
    """
    if left.given is not None or not left.moves:
        return
    along, length = float(left.motion @ left.residual), float(np.linalg.norm(left.motion))
    if 2.0 * along > length**2 and along > WORSE * length * left.noise * np.sqrt(left.effect):
        still = size_of(left.residual - left.motion, left.robust)
        raise SolverError(
            f"the body at rest matches {left.label} better ({_in_unit(still, left.unit)} is left) than the best motion "
            f"of the model ({_in_unit(size_of(left.residual, left.robust), left.unit)})",
            where="fit",
            advice="Check sign, unit and frame of the data, loads and supports; or give the noise of the sensor",
        )


def alike(label: str, count: int, one: Together, factor: float, *, widened: bool) -> str:
    """What residuals that go together do to the intervals."""
    said = (
        f"What is left of {label} goes together over {_in_unit(one.length, 'm')}: its {count} residuals count as "
        f"{max(count / one.effect, 1.0):.0f}"
    )
    if widened:
        done = f"the intervals are up to {factor:.2g} times as wide for it, and may still be too narrow"
        return f"{said}, and {done}. Give correlation={one.length:.2g}, or make unknown what the model lacks."
    return f"{said}, and the intervals are too narrow, by up to {factor:.2g}. Give correlation={one.length:.2g}."


def _in_unit(value: float, unit: str) -> str:
    return f"{1e3 * value:.3g} mm" if unit == "m" else f"{value:.3g} {unit}"
