"""The load-free shape of a body that was seen under load: inverse design.

A scan shows x. Sought is X, so that the loads carry it to x: R(u = x − X, reference X) = 0.

    found = unloaded_shape(problem)          # `problem` has the loads and supports, on the scanned shape
    found.problem, found.state               # the load-free body, and its equilibrium in the scanned shape
    found.miss                               # m: how far from the scan a solve from rest ends, at most

Rounds of forward solves come first (`fixed_point`), while each brings the shape closer; where they do not, Newton's
method on X (`newton_on_shape`) has its turn; where that finds no first step, rounds again, however slow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import equinox as eqx
import numpy as np
from jaxtyping import Float

from ...imaging.errors import SolverError
from ...imaging.progress import Progress, part, silent
from ..precision import require_float64
from . import given
from .carried import Placing, carried_to, has_fibers, moved_to
from .fixed_point import FixedPoint
from .floating import check_held
from .history import FOREVER, advanced, materials_of, remembers, stepped, with_materials
from .inverse_system import LoadFree
from .model import MM
from .newton_on_shape import newton_on_shape
from .problem import Problem
from .solution import State
from .static import require_held, solve
from .supports import Springs

__all__ = ["Unloaded", "moved_to", "unloaded_shape"]

ACCURACY = 1e-4
"""m: how far from the scan the loaded shape may end."""
CLOSE = 0.3
"""Share of the accuracy within which the fixed point's rounds bring the loaded shape: they are not solved exactly."""
METHODS = ("auto", "newton", "fixed point")


@dataclass(frozen=True, eq=False)
class Unloaded:
    """A load-free body.

    Attributes:
        problem: the body on its load-free shape, with the loads and supports.
        state: its equilibrium: in the scanned shape, or as far from it as the last round of the fixed point ended.
        offset: load-free minus scanned position, m.
        miss: largest distance [m] of the scanned shape from where a solve from rest ends; NaN where it was not tried.
        residual: ‖residual‖ / force scale of `state`.
        iterations: Newton iterations, or solves of the fixed point.
        method: "newton" or "fixed point".
    """

    problem: Problem
    state: State
    offset: Float[np.ndarray, "nodes 3"]
    miss: float
    residual: float
    iterations: int
    method: str


def unloaded_shape(
    problem: Problem,
    *,
    method: str = "auto",
    beds_at_rest: str = "unloaded",
    fibers: str = "scan",
    relaxed: bool = True,
    load_steps: int = 1,
    tolerance: float = 1e-8,
    accuracy: float = ACCURACY,
    verify: bool = True,
    progress: Progress = silent,
) -> Unloaded:
    """The shape X without load that the loads of a problem bring to the shape it is given in.

    Springs and ligaments are at rest in the load-free shape, beds there or in the scan; beds have the normals and areas
    of the load-free shape. Held nodes stay where the scan shows them, less their prescribed motion. Material parameters
    belong to elements and go along; fibres are lines of tissue.

    Args:
        problem: loads and supports on the scanned shape.
        method: "newton", "fixed point", or "auto": Newton's method where the fixed point comes closer too slowly.
        beds_at_rest: "unloaded", or "scan": beds (`Springs`) that exert nothing on the scanned shape, so that other
            supports carry the load; the problem found has their `rest` at its own displacement.
        fibers: where directions of materials were seen: "scan", so that the loads turn those of the load-free body into
            them; or "unloaded": they are those of the load-free body.
        relaxed: whether the body has been under its load for long, so that its Prony series have relaxed; otherwise it
            answers as it does at once, or to the seconds that `history.stepped` gave it.
        load_steps: of the inverse and of the verifying solve; steps that fail are halved.
        tolerance: on ‖residual‖ / force scale of the scanned shape by Newton's method, at best that of rounds.
        accuracy: m; a loaded shape further from the scan is an error.
        verify: solve from rest, without the inverse solution's help, and measure `miss`.

    Raises:
        SolverError: no load-free shape was found, or loading it leads to another shape than the scanned one.
    """
    require_float64()
    require_held(problem, "unloaded_shape")
    given.tolerance(tolerance, "unloaded_shape")
    given.whole(load_steps, "load steps", "unloaded_shape")
    given.number(accuracy, "an accuracy", "unloaded_shape", above=0.0, advice="Give m")
    _check_words(method, beds_at_rest, fibers)
    place = carried_to if fibers == "scan" and has_fibers(problem) else moved_to
    loaded = problem if beds_at_rest == "unloaded" else _without_beds(problem)
    if len(problem.model.pressure_corners) or problem.moving():
        method = "fixed point"  # unknown pressures and contact searches have no inverse tangent here
    duration = FOREVER if relaxed and remembers(problem.model) else None
    loaded = loaded if duration is None else stepped(loaded, duration)
    search, check = part(progress, 0.0, 0.7), part(progress, 0.7, 1.0)

    def finished(found: LoadFree, how: str) -> Unloaded:
        offset = np.asarray(found.problem.model.points) - np.asarray(problem.model.points)
        found = _remembering(found, problem, place)
        body = found.problem if beds_at_rest == "unloaded" else _with_beds(found, problem)
        result = Unloaded(body, found.state, offset, np.nan, found.residual, found.iterations, how)
        return _verified(result, problem, (load_steps, duration), accuracy, check) if verify else result

    def rounds(patient: bool) -> LoadFree | None:
        way = FixedPoint(loaded, load_steps, tolerance, patient=patient, place=place, duration=duration)
        return way.search(CLOSE * accuracy, search)

    if method == "auto":
        try:
            if (found := rounds(patient=False)) is not None:
                return finished(found, "fixed point")
        except SolverError:
            pass  # Newton's method may find a shape that rounds came close to but do not load again from rest
    if method != "fixed point":
        if (found := newton_on_shape(loaded, load_steps, tolerance, search, place)) is not None:
            return finished(found, "newton")
        if method == "newton":
            advice = "Use method='fixed point': its rounds need no tangent there"
            raise SolverError("Newton's method finds no way from the scan", where="unloaded_shape", advice=advice)
    found = rounds(patient=True)
    assert found is not None  # it raises where there is none
    return finished(found, "fixed point")


def _check_words(method: str, beds_at_rest: str, fibers: str) -> None:
    """Each choice is one there is; raises where it is not."""
    if method not in METHODS:
        raise SolverError(f"no method is named {method!r}", where="unloaded_shape", advice=f"Use one of {METHODS}")
    if beds_at_rest not in ("unloaded", "scan"):
        raise SolverError(f"beds cannot be at rest in {beds_at_rest!r}", where="unloaded_shape", advice="Use scan")
    if fibers not in ("scan", "unloaded"):
        advice = "Use scan or unloaded"
        raise SolverError(f"fibres cannot be seen in {fibers!r}", where="unloaded_shape", advice=advice)


def _remembering(found: LoadFree, problem: Problem, place: Placing) -> LoadFree:
    """With the problem's materials at rest, and in the state what they remember of the load."""
    if not remembers(problem.model):
        return found
    past = found.state.materials or materials_of(advanced(found.problem, found.state))
    body = with_materials(found.problem, materials_of(place(problem, found.problem.model.points)))
    return found._replace(problem=body, state=replace(found.state, materials=past))


def _verified(
    found: Unloaded, problem: Problem, way: tuple[int, float | None], accuracy: float, progress: Progress
) -> Unloaded:
    """Loads the body from rest, in so many steps and seconds, and measures where it ends."""
    load_steps, duration = way
    solution = solve(found.problem, load_steps=load_steps, tolerance=1e-8, duration=duration, progress=progress)
    solution.require_converged()
    scanned = np.asarray(problem.model.points)
    ended = np.asarray(found.problem.model.points) + np.asarray(solution.final.displacement)
    miss = np.linalg.norm(ended - scanned, axis=1)
    if miss.max() > accuracy:
        worst = int(np.argmax(miss))
        raise SolverError(
            f"loading the load-free shape ends {miss.max() / MM:.3g} mm from the scan",
            where=f"node {worst} at {np.round(scanned[worst] / MM, 2)} mm",
            advice="The load has more than one balance here; use more load steps",
        )
    return replace(found, miss=float(miss.max()))


def _without_beds(problem: Problem) -> Problem:
    """The problem that is left where beds exert nothing; raises where the body floats then."""
    others = [support for support in problem.supports if not isinstance(support, Springs)]
    left = replace(problem, supports=tuple(others))
    check_held(left)
    return left


def _with_beds(found: LoadFree, problem: Problem) -> Problem:
    """The load-free body on the problem's supports, beds at rest where it is loaded."""

    def rested(support: Any) -> Any:
        if not isinstance(support, Springs):
            return support
        return eqx.tree_at(lambda s: s.rest, support, found.state.displacement, is_leaf=lambda leaf: leaf is None)

    return replace(found.problem, supports=tuple(rested(support) for support in problem.supports))
