"""Whether an equilibrium is stable: a minimum of the energy, or a saddle that any disturbance leaves."""

from __future__ import annotations

import enum

import numpy as np

from .solution import State
from .system import NodalField, System, Tangent

PROBE_TOLERANCE = 1e-3


class Stability(enum.Enum):
    """What is known of an equilibrium."""

    stable = "stable"
    unstable = "unstable"
    unknown = "not known"


def stability(system: System, state: State, tangent: Tangent | None = None) -> Stability:
    """Looks for negative curvature in the tangent at a state with conjugate gradients.

    Started from slow and rough patterns at once, they are a Lanczos process that finds a negative eigenvalue before
    they settle (Golub and Van Loan, *Matrix Computations*, section 10.3). Where the tangent is not symmetric, or they
    do not settle, nothing is known. A tangent of nearly the same state, if given, spares its assembly.
    """
    if not (system.symmetric and system.definite):
        return Stability.unknown
    tangent = tangent or system.linearize(system.field_of(state), state.load_fraction)
    outcome = tangent.solve(probe(system) * system.free, PROBE_TOLERANCE)
    if outcome.indefinite:
        return Stability.unstable
    return Stability.stable if outcome.converged else Stability.unknown


def probe(system: System) -> NodalField:
    """(nodes, 3): quadratic polynomials of the position with fixed random coefficients, and noise of like size."""
    place = np.asarray(system.points)
    place = (place - place.mean(axis=0)) / max(float(np.ptp(place, axis=0).max()), 1e-300)
    draw = np.random.default_rng(0)
    slow = np.hstack([np.ones((len(place), 1)), place, place**2, place * np.roll(place, 1, axis=1)])
    pattern = slow @ draw.standard_normal((slow.shape[1], 3))
    return system.array(pattern + pattern.std() * draw.standard_normal(place.shape))
