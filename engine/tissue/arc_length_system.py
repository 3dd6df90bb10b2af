"""A problem whose loads and motions grow in proportion, at any load fraction: below none of the load and beyond all.

Schedules and paths end at full load. What they give there is gone on with in proportion, forces and tangent alike:
r(u, λ) = (1 − λ) r(u, 0) + λ r(u, 1) and K(u, λ) = (1 − λ) K(u, 0) + λ K(u, 1), which differ from those of full load
where a load has a stiffness of its own, as a pressure that follows the surface.
"""

from __future__ import annotations

from dataclasses import replace

from numpy.typing import NDArray

from .host_system import HostSystem, HostTangent
from .system import Evaluation


class ProportionalSystem(HostSystem):
    """Of a problem that `arc_length_problem.check_traceable` let pass."""

    def prescribed(self, fraction: float) -> NDArray:
        """Prescribed displacement (nodes, 3) m, zero where free."""
        if 0.0 <= fraction <= 1.0:
            return super().prescribed(fraction)
        return (1.0 - fraction) * super().prescribed(0.0) + fraction * super().prescribed(1.0)

    def evaluate(self, displacement: NDArray, fraction: float) -> Evaluation:
        """Forces, energy and the smallest det F."""
        if 0.0 <= fraction <= 1.0:
            return super().evaluate(displacement, fraction)
        low, high = self.ends(displacement)
        return blended(low, high, fraction)

    def ends(self, displacement: NDArray) -> tuple[Evaluation, Evaluation]:
        """Under none of the load, and under all of it."""
        return super().evaluate(displacement, 0.0), super().evaluate(displacement, 1.0)

    def linearize(self, displacement: NDArray, fraction: float, *, tissue_alone: bool = False) -> HostTangent:
        """The assembled tangent; outside load fractions of 0 to 1 it takes two assemblies."""
        if 0.0 <= fraction <= 1.0:
            return super().linearize(displacement, fraction, tissue_alone=tissue_alone)
        low = super().linearize(displacement, 0.0, tissue_alone=tissue_alone)
        high = super().linearize(displacement, 1.0, tissue_alone=tissue_alone)
        noise = max(low.round_off, high.round_off)
        return replace(low.plus(fraction, high.plus(-1.0, low)), round_off=noise)


def blended(low: Evaluation, high: Evaluation, fraction: float) -> Evaluation:
    """What is between, and beyond, forces under none of the load and under all of it."""

    def at(first: NDArray | float, last: NDArray | float) -> NDArray | float:
        return (1.0 - fraction) * first + fraction * last

    worst = min(low, high, key=lambda part: part.min_jacobian)
    return Evaluation(
        at(low.internal, high.internal),
        at(low.external, high.external),
        float(at(low.energy, high.energy)),
        worst.min_jacobian,
        worst.worst_element,
        max(low.force_norm, high.force_norm),
    )
