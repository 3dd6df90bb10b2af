"""The end of a path at a given load, between a state below it and one above.

Newton's method at that load finds it where the path is smooth. Where a stiff contact closes in between, a guess on the
chord is deep in it or far off, and Newton's method fails. Cylinders do not mind, as the load is theirs to choose: the
two states are drawn together along the path by the secant method on its arc, and by halves where one of them stays.
"""

from __future__ import annotations

import numpy as np

from .arc_length_corrector import Corrector, Direction, Point

CYLINDERS = 40
"""More than halvings by which a step of usual length would become round-off."""
WITHIN = 0.05
"""Of the way between two states: a secant does not go nearer to either."""


def at_load(corrector: Corrector, below: Point, above: Point, until: float) -> Point | None:
    """The point of the path at the load fraction `until`, to the corrector's tolerance; None where it is not found.

    Args:
        corrector: of the path, with multipliers as they are at `above`.
        below, above: neighbours on the path, the first at a lower load fraction.
    """
    stayed, shorter = 0, 1.0
    for _ in range(CYLINDERS):
        chord = Direction(above.displacement - below.displacement, above.fraction - below.fraction)
        secant, length, known = (
            (until - below.fraction) / chord.rise,
            corrector.norm(chord.way),
            corrector.system.problem,
        )
        guess = below.displacement + secant * chord.way
        found = corrector.at_load(guess, until)
        if found is not None and corrector.norm(found.displacement - guess) <= length:
            return found
        corrector.system.use(known)
        share = 0.5 if abs(stayed) > 1 else float(np.clip(secant, WITHIN, 1.0 - WITHIN))
        found, _ = corrector.settled(below, chord, shorter * share * length)
        if found is None:
            corrector.system.use(known)
            shorter *= 0.5
        elif abs(found.fraction - until) <= corrector.tolerance * until:
            return found
        elif found.fraction < until:
            below, stayed, shorter = found, max(stayed, 0) + 1, 1.0
        else:
            above, stayed, shorter = found, min(stayed, 0) - 1, 1.0
    return None
