"""Whether a point found belongs to the same stretch of path as the one before it.

A curve that bends tells: the way to the new point keeps the direction of the path at both ends of it (Feng, Perić and
Owen 1996, *Comput. Methods Appl. Mech. Eng.* 132:35). Two stretches may run side by side, though, and a step that
leads over to the other bends little. Then the tangent tells: on one path the number of its negative eigenvalues changes
by one at a limit point, where dλ/ds changes its sign, and not at all elsewhere but at bifurcations (Wriggers,
*Nonlinear Finite Element Methods*, 2008, section 7.1).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .arc_length_corrector import Corrector, Direction, Point

GENTLE = 0.85
"""Cosine of the angle between a step and the path at either end of it: one that bends more is cut."""
SHARPEST = 0.5
"""As far as the finest step may bend: at a corner of the path, as where a contact closes."""
FAR_OFF = 0.25
"""Where the load changes otherwise than its slopes at both ends of a step say, by this share, the step has gone on to
another stretch of the path."""
NEAR = 0.1
"""Of the length of an earlier step: a point that is nearer to that step lies on the path already gone."""


class Trail:
    """The path gone so far, and whether a point is its continuation."""

    def __init__(self, corrector: Corrector, start: Point) -> None:
        self.corrector, self.gone = corrector, [start.displacement]

    def add(self, point: Point) -> None:
        """The next point of the path."""
        self.gone.append(point.displacement)

    def goes_on(self, now: Point, along: Direction, found: Point, after: Direction, *, finest: bool) -> bool:
        """Whether the step from one point with its direction to another with its own stays on the path.

        The finest step may do what a coarser one may not: pass a bifurcation or a corner of the path.
        """
        corrector, way = self.corrector, found.displacement - now.displacement
        bend = min(corrector.cosine(way, along.way), corrector.cosine(way, after.way))
        if bend < (SHARPEST if finest else GENTLE) or self._gone_over(found):
            return False
        rise = found.fraction - now.fraction
        return finest or (consistent(along, after) and self._missed(rise, corrector.norm(way), along, after) <= FAR_OFF)

    def _missed(self, rise: float, length: float, along: Direction, after: Direction) -> float:
        """How far the load is off what its slopes at both ends of a step lead to, over what they may do."""
        slopes = [part.rise / max(self.corrector.norm(part.way), 1e-300) for part in (along, after)]
        return abs(rise - 0.5 * length * sum(slopes)) / max(length * max(abs(slope) for slope in slopes), 1e-300)

    def _gone_over(self, found: Point) -> bool:
        """Whether a point lies on a step that led to an earlier point: the path goes back over itself.

        Beyond the end of a step lies what came after it, near to it where later steps were much shorter.
        """
        for first, last in zip(self.gone[:-2], self.gone[1:-1], strict=True):
            way, off = last - first, found.displacement - first
            if self.corrector.dot(off, way) < self.corrector.dot(way, way) and self._distance(off, way) < NEAR:
                return True
        return False

    def _distance(self, off: NDArray, way: NDArray) -> float:
        """From the end of `off` to the stretch `way`, over the length of that."""
        metric = self.corrector
        long = max(metric.norm(way), 1e-300)
        share = float(np.clip(metric.dot(off, way) / long**2, 0.0, 1.0))
        return metric.norm(off - share * way) / long


def consistent(before: Direction, after: Direction) -> bool:
    """Whether negative eigenvalues and the sense of the load change together, as from none or over one limit point."""
    if before.negative is None or after.negative is None:
        return True
    turned = before.rise * after.rise < 0.0
    return abs(after.negative - before.negative) == int(turned)
