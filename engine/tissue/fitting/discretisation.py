"""What the mesh does to an answer: the same fit on two or three meshes, and the finest with wider intervals.

    fits = [fit(body(h), unknowns, observations) for h in (8e-3, 5e-3, 3.5e-3)]
    found = over_meshes(fits)
    print(found.statement)

Grid convergence index (Roache, AIAA J 36:696, 1998): the finest answer is off by at most G = s |x₂ − x₁| / (rᵖ − 1),
x₁ on the finest mesh of size h₁, r = h₂/h₁. Of three meshes whose answers close in on one another, p is the observed
order and s = 1.25; of two, or where they do not, p is the order given and s = 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from .. import given
from ..fields import element_volumes
from .estimate import estimates
from .fit import Fit

SAFETY, SAFETY_GUESSED = 1.25, 3.0
TOLD = 0.1
"""Share of a number's spread from which on what the mesh does to it is told."""
LOWEST = 0.5
"""Observed order below which the answers do not close in."""


@dataclass(frozen=True)
class GridConvergence:
    """Of one number.

    Attributes:
        sizes, values: from coarse to fine.
        order: that the bound and the limit are made with: the observed one where it is not above the one given.
        observed: of three meshes that close in; None of others.
        bound: G, how far off the finest may be.
        limit: what Richardson's extrapolation comes to.
    """

    sizes: tuple[float, ...]
    values: tuple[float, ...]
    order: float
    observed: float | None
    bound: float
    limit: float


def grid_convergence(sizes: Sequence[float], values: Sequence[float], order: float = 2.0) -> GridConvergence:
    """Of two or three meshes; of more, the three finest.

    Args:
        sizes: of elements, each finer than the one before.
        values: the answer on each.
        order: of the method, which the observed one may not exceed.

    Raises:
        SolverError: fewer than two meshes, sizes that do not fall, another number of values.
    """
    place = "grid_convergence"
    h = np.asarray(given.array(sizes, "sizes", place, (None,)))[-3:]
    x = np.asarray(given.array(values, "values", place, (len(sizes),)))[-3:]
    order = given.number(order, "an order", place, above=0.0)
    if len(h) < 2 or not (np.diff(h) < 0).all() or not h[-1] > 0:
        raise SolverError(
            f"{len(h)} meshes of sizes {h} show no convergence", where=place, advice="From coarse to fine"
        )
    change, ratio = x[-1] - x[-2], h[-2] / h[-1]
    seen = _observed(h, x) if len(h) == 3 else None
    if seen is not None and seen >= LOWEST:
        p, safety = min(seen, order), SAFETY
    else:
        seen, p, safety = None, order, SAFETY_GUESSED
    left = change / (ratio**p - 1.0)
    return GridConvergence(
        tuple(map(float, h)), tuple(map(float, x)), p, seen, float(safety * abs(left)), float(x[-1] + left)
    )


def _observed(h: NDArray, x: NDArray) -> float | None:
    """p of x = x₀ + c hᵖ; None where the changes turn round or do not shrink."""
    before, after = x[0] - x[1], x[1] - x[2]
    if before * after <= 0.0:
        return None

    def off(p: float) -> float:
        return float((h[0] ** p - h[1] ** p) / (h[1] ** p - h[2] ** p) - before / after)

    low, high = 0.05, 20.0
    if off(low) > 0.0:
        return None
    if off(high) < 0.0:
        return high
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if off(middle) < 0.0 else (low, middle)
    return 0.5 * (low + high)


def element_size(found: Fit) -> float:
    """The edge of a cube as large as the mean element [m]."""
    volumes = np.asarray(element_volumes(found.problem.model))
    return float(volumes.mean() ** (1.0 / 3.0))


def over_meshes(fits: Sequence[Fit], order: float = 2.0) -> Fit:
    """The fit on the finest mesh, G of each number added to its variance as that of a standard deviation.

    Args:
        fits: of the same unknowns and observations, each on a finer mesh than the one before.
        order: of the elements' convergence; 2 is below that of quadratic ones.

    Raises:
        SolverError: fewer than two, or of other unknowns; meshes that do not become finer.
    """
    if len({fit.posterior.mean.shape for fit in fits}) > 1:
        raise SolverError("the fits have different unknowns", where="over_meshes", advice="Fit the same on each mesh")
    sizes = [element_size(fit) for fit in fits]
    means = np.array([fit.posterior.mean for fit in fits]).T
    found = [grid_convergence(sizes, column, order) for column in means]
    finest, added = fits[-1], np.diag([one.bound**2 for one in found])
    posterior = replace(finest.posterior, covariance=finest.posterior.covariance + added)
    told = [finest.statement, *_told(finest, found)]
    return replace(
        finest,
        posterior=posterior,
        estimates=tuple(estimates(posterior, finest.unknowns, finest.spans)),
        statement=" ".join(told),
    )


def _told(finest: Fit, found: Sequence[GridConvergence]) -> list[str]:
    """Of the numbers without a prior, and of those that the mesh moves by a tenth of their spread or more."""
    lengths = ", ".join(f"{1e3 * h:.3g}" for h in found[0].sizes)
    told, silent = [], 0
    for unknown, span in zip(finest.unknowns, finest.spans, strict=True):
        means, spreads = finest.posterior.mean[span], finest.posterior.spread[span]
        reports = zip(unknown.report(means), found[span], spreads, unknown.flat, strict=False)
        for reported, one, spread, flat in reports:
            if not flat and one.bound < TOLD * spread:
                silent += 1
                continue
            values = ", ".join(f"{float(reported.value(v)):.5g}" for v in one.values)
            off = abs(float(reported.value(one.values[-1] + one.bound)) - float(reported.value(one.values[-1])))
            how = f"order {one.order:.1f} assumed"
            if one.observed is not None:
                how = f"order {one.observed:.1f} observed" + (
                    f", counted as {one.order:g}" if one.observed > one.order else ""
                )
            told.append(f"{reported.name} {values} {reported.unit} ({how}; the last is off by {off:.2g} at most)")
    if silent:
        told.append(f"{silent} other numbers move by less than {TOLD:g} of their spread")
    return [f"Elements of {lengths} mm: {'; '.join(told)}. The intervals have it in them."]
