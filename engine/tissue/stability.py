"""Whether an equilibrium is stable: a minimum of the energy, or a saddle that any disturbance leaves."""

from __future__ import annotations

import enum

import numpy as np
from scipy import linalg

from .newton import PROBE_TOLERANCE, dot, norm
from .solution import State
from .system import NodalField, System, Tangent

INVERSE_STEPS = 8
"""Lanczos steps of inverse iteration: the modes nearest to zero appear in the first few."""


class Stability(enum.Enum):
    """What is known of an equilibrium."""

    stable = "stable"
    unstable = "unstable"
    unknown = "not known"


def stability(system: System, state: State, tangent: Tangent | None = None) -> Stability:
    """Looks for negative curvature in the tangent at a state with conjugate gradients.

    Started from slow and rough patterns at once, they are a Lanczos process that finds a negative eigenvalue before
    they settle (Golub and Van Loan, *Matrix Computations*, section 10.3). Where the tangent is not symmetric, or they
    do not settle, nothing is known. With unknown pressures the tangent has negative eigenvalues anyway: see
    `saddle_stability`. A tangent of nearly the same state, if given, spares its assembly.
    """
    if not system.symmetric:
        return Stability.unknown
    tangent = tangent or system.linearize(system.field_of(state), state.load_fraction)
    if not system.definite:
        return saddle_stability(tangent, probe(system) * displacements(system))
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


def displacements(system: System) -> NodalField:
    """1 where a component is a free displacement, 0 where it is held or a pressure."""
    field = np.array(system.free)
    field[system.nodes :] = 0.0
    return field


def saddle_stability(tangent: Tangent, start: NodalField) -> Stability:
    """The sign of the softest modes of K x = λ M x with M the identity of free displacements and zero for pressures.

    All finite λ are positive at a minimum of the energy that the pressures leave. Lanczos steps on K⁻¹M find those
    nearest to zero first (Ericsson and Ruhe 1980), where an equilibrium loses stability. `start` is zero where M is.
    """
    mask = 1.0 * (start != 0.0)
    vectors, alphas, betas = [start / norm(start)], [], []
    for _ in range(INVERSE_STEPS):
        outcome = tangent.solve(vectors[-1], PROBE_TOLERANCE)
        if not outcome.converged:
            return Stability.unknown
        image = outcome.solution * mask
        alphas.append(dot(vectors[-1], image))
        for vector in vectors:
            image = image - dot(vector, image) * vector
        betas.append(norm(image))
        if betas[-1] <= PROBE_TOLERANCE * abs(alphas[0]):
            break
        vectors.append(image / betas[-1])
    values = linalg.eigvalsh_tridiagonal(np.array(alphas), np.array(betas[: len(alphas) - 1]))
    return Stability.unstable if values[0] < -PROBE_TOLERANCE * np.abs(values).max() else Stability.stable
