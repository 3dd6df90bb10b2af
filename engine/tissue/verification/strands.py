"""Strands: a cable that hangs, and two bars that snap through."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from ....imaging.progress import Progress
from .. import fields
from ..loads import Gravity
from ..materials import Strand
from ..model import Model
from ..parts import Part
from ..prescribed import Prescribed
from ..static import solve
from ..supports import Fixed
from .case import Case, Computed, Quantity
from .limits import model, order, round_off
from .probes import describe

LINKS, HALF, LENGTH, AREA, DENSITY, PULL = 32, 0.5, 1.3, 1e-6, 2000.0, 9.81
WEIGHT = DENSITY * AREA * PULL
"""N/m. The cable bears 10⁴ times that for a stretch of one."""
LONGER = 1.002
"""The line it starts from, over its length: taut from the beginning. Mass goes with that line."""
EASE = 1e4


def catenary() -> float:
    """a of y = a cosh(x/a) with 2 a sinh(d/a) = S [m]."""
    return float(brentq(lambda a: 2 * a * np.sinh(HALF / a) - LENGTH, 0.1, 2.0, xtol=1e-14))


def _parabola(sag: float, links: int) -> tuple[NDArray, float]:
    """Points at equal distances along a parabola, so that mass is spread evenly, and its length."""
    x = HALF * np.linspace(-1, 1, 20001)
    z = sag * ((x / HALF) ** 2 - 1)
    run = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(z)))])
    at = np.interp(np.linspace(0, run[-1], links + 1), run, x)
    return np.stack([at, 0 * at, sag * ((at / HALF) ** 2 - 1)], axis=1), float(run[-1])


def _hanging(progress: Progress) -> Computed:
    scale = catenary()
    points, _ = _parabola(float(brentq(lambda s: _parabola(s, 2)[1] - LONGER * LENGTH, 0.1, 1.0)), LINKS)
    sizes = np.linalg.norm(np.diff(points, axis=0), axis=1)
    cable = Strand(EASE * WEIGHT, AREA, (LENGTH / LINKS) / sizes, cable=True)
    pairs = np.stack([np.arange(LINKS), np.arange(1, LINKS + 1)], axis=1)
    body = Model.from_parts(points, [Part("L2", pairs, cable, DENSITY)], node_sets={"ends": np.array([0, LINKS])})
    posed = body.problem(loads=[Gravity((0.0, 0.0, -PULL))], supports=[Fixed("ends")])
    state = solve(posed, max_iterations=60, progress=progress).final
    low = points[LINKS // 2, 2] + float(state.displacement[LINKS // 2, 2])
    sideways = abs(float(fields.reaction_forces(posed, state)[0, 0]))
    values = {"sag": points[0, 2] - low, "pull along x": sideways / (WEIGHT * scale * LONGER)}
    return Computed(values, describe(posed))


SPAN, RISE, STIFFNESS, STEPS = 1.0, 0.3, 1e3, 8
"""Half a span, rise of the top [m], and EA [N] of two bars; they are pressed down by 1.6 rises."""
DEPTH = 1.6 * RISE


def force_of_bars(down: float) -> float:
    """P = 2 EA (ℓ₀ − ℓ)/ℓ₀ (h − v)/ℓ [N]."""
    height, rest = RISE - down, np.hypot(SPAN, RISE)
    length = np.hypot(SPAN, height)
    return float(2 * STIFFNESS * (rest - length) / rest * height / length)


def _truss(progress: Progress) -> Computed:
    points = np.array([[-SPAN, 0, 0], [SPAN, 0, 0], [0, 0, RISE]])
    bars = Part("L2", np.array([[0, 2], [2, 1]]), Strand(STIFFNESS, 1e-4))
    body = Model.from_parts(points, [bars], node_sets={"feet": np.array([0, 1]), "top": np.array([2])})
    down = Prescribed("top", (0.0, 0.0, -DEPTH), components="yz")
    posed = body.problem(supports=[Fixed("feet")], prescribed=[down])
    values = {}
    for state in solve(posed, load_steps=STEPS, progress=progress).require_converged().states:
        name = f"P/EA at {state.load_fraction * DEPTH / RISE:.1f} rises"
        values[name] = -float(fields.reaction(posed, state, "top")[2]) / STIFFNESS
    return Computed(values, describe(posed))


_MESH = order(2, LINKS / 2, "half the cable")
_EASE = model(1 / EASE * catenary() * 2 / HALF, "the cable stretches by its tension over EA")
_PARTS = [(k + 1) * 1.6 / STEPS for k in range(STEPS)]

CASES = (
    Case(
        "strand-catenary",
        "the catenary y = a cosh(x/a), 2 a sinh(d/a) = S; it pulls sideways with w a",
        (
            Quantity("sag", catenary() * (np.cosh(HALF / catenary()) - 1), _MESH + _EASE, "m"),
            Quantity("pull along x", 1.0, _MESH + _EASE),
        ),
        _hanging,
        quick=True,
    ),
    Case(
        "strand-truss",
        "von Mises' truss, pressed through its snap: P = 2 EA (ℓ₀ − ℓ)/ℓ₀ (h − v)/ℓ",
        tuple(
            Quantity(
                f"P/EA at {rises:.1f} rises", force_of_bars(rises * RISE) / STIFFNESS, round_off(), measure="absolute"
            )
            for rises in _PARTS
        ),
        _truss,
        quick=True,
    ),
)
