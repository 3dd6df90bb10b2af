"""Noise that is not given, found beside the unknown numbers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .least_squares import LeastSquares, Linear, Point
from .posterior import Posterior

LEAST = 1e-12


def first_noises(squares: LeastSquares, point: Point) -> None:
    """Noise to begin with where none is given: what is left at the first guess; and design effects there."""
    raw_width = squares.widths()
    squares.weigh(point)
    for k, observation in enumerate(squares.observations):
        if observation.noise is None:
            raw = point.residuals[k] * raw_width[k]
            squares.noises[k] = max(size_of(raw, observation.robust), LEAST)


def update(squares: LeastSquares, point: Point, linear: Linear, posterior: Posterior) -> tuple[Point, float]:
    """Noise that makes the evidence stationary (MacKay, Neural Computation 4:415, 1992), and its relative change."""
    change = 0.0
    for k, observation in enumerate(squares.observations):
        if observation.noise is not None:
            continue
        used = posterior.freedom(linear.jacobians(squares.widths())[k], point.weights[k])
        raw = point.residuals[k] * squares.widths()[k]
        count = len(raw) / squares.effects[k]
        share = max(count - used, 1.0) / count
        noise = max(size_of(raw, observation.robust) / np.sqrt(share), LEAST)
        change = max(change, abs(np.log(noise / squares.noises[k])))
        squares.noises[k] = noise
    return squares.at(point.coordinates, point.states), change


def size_of(residual: NDArray, robust: bool) -> float:
    """Standard deviation about zero; of the core of the residuals where there may be outliers."""
    if robust:
        return float(1.4826 * np.median(np.abs(residual)))
    return float(np.sqrt((residual**2).mean()))
