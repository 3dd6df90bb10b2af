"""What a fit says of one number: the most probable value, intervals, and how much of it the data told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .posterior import Posterior
from .setting import Unknown


@dataclass(frozen=True)
class Estimate:
    """One number found.

    Attributes:
        name, unit: what it is.
        value: the most probable.
        interval_68, interval_95: (low, high), of one and 1.96 standard deviations of Laplace's approximation.
        explained: share of the prior's variance that the data removed (of a natural unit's where there is no prior).
        young: of a factor on a stiffness, Young's modulus of what was given [Pa], at small strain, where it has one.
    """

    name: str
    unit: str
    value: float
    interval_68: tuple[float, float]
    interval_95: tuple[float, float]
    explained: float
    young: float | None = None

    def __str__(self) -> str:
        (low, high), value = self.interval_95, self._rounded()
        told = f"{self.name}: {value:.5g} {self.unit} (95 %: {low:.5g} to {high:.5g})"
        if self.young is None:
            return told
        low, value, high = (1e-3 * self.young * factor for factor in (low, value, high))
        return f"{told}, E = {value:.4g} kPa ({low:.4g} to {high:.4g})"

    def _rounded(self) -> float:
        """The value to a thousandth of its distance from the interval's ends: digits below say nothing."""
        low, high = self.interval_95
        step = 1e-3 * min(self.value - low, high - self.value)
        if not (np.isfinite(step) and step > 0.0):
            return self.value
        return round(self.value, -round(float(np.log10(step)))) + 0.0


def estimates(posterior: Posterior, unknowns: Sequence[Unknown], spans: Sequence[slice]) -> list[Estimate]:
    """Of every number that has a name; the intervals of one known by a range end where the range does."""
    found = []
    for unknown, span in zip(unknowns, spans, strict=True):
        mean, spread = posterior.mean[span], posterior.spread[span]
        for k, reported in enumerate(unknown.report(mean)):
            places = np.clip(mean[k] + np.array([0.0, -1.0, 1.0, -1.96, 1.96]) * spread[k], *unknown.bounds)
            at = [float(reported.value(place)) for place in places]
            share = float(np.clip(1.0 - spread[k] ** 2, 0.0, 1.0))
            inner, outer = (at[1], at[2]), (at[3], at[4])
            found.append(Estimate(reported.name, reported.unit, at[0], inner, outer, share, reported.young))
    return found
