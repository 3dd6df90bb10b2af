"""`register`: lays a preoperative model on a sparse intraoperative surface.

Unknown are the pose and the loads on the hidden side, which decide the deformation; the surface seen is compared with
the nearest places of the model's outline. Most probable values by `all_at_once`, uncertainty of any target by Laplace's
approximation.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from ....imaging.errors import SolverError
from ....imaging.progress import Progress, silent
from ...precision import require_float64
from ..model import Model
from .all_at_once import Found, Search
from .answer import Registration
from .checks import (
    checked_noise,
    checked_points,
    refuse_doubtful,
    refuse_misfit,
    refuse_size,
    refuse_strangers,
)
from .errors import Errors
from .free_body import FreeBody, softest_young
from .hidden_loads import scaled_patterns
from .misfit import Pose
from .outline import Outline
from .prior import Prior
from .rigid import Rigid, align_from_many
from .sift import Sifted, sifted

SEEN_SHARE = 0.2
"""Spread of tractions where the surface is seen, over that where it is hidden."""
NEAR, FAR = 0.008, 0.025
"""m: a place of the surface nearer than the first to a point seen is seen, farther than the second is hidden."""
FACTORS = (0.5, 1.0, 2.0, 4.0)
"""Of `Prior.displacement`, over which answers are averaged; points are sifted with the first."""
LEAST = 0.25
"""A factor that is tried last, from the state of the first: organs that hardly deform would be said too wide."""
WHAT_BELONGS = 2
"""Which of these widths decides what points may belong: wide enough that deformation is not taken for other tissue."""
UNLIKELY = 5.0
"""Wider priors are not tried once the evidence has fallen by so much."""
MOST_POINTS = 1500
"""Points used, drawn from all that were seen: more of them, a few millimetres apart, err together."""


def register(
    model: Model,
    points: Float[NDArray, "n 3"],
    *,
    surface: str = "surface",
    outline: Outline | None = None,
    noise: float | None = None,
    prior: Prior | None = None,
    progress: Progress = silent,
) -> Registration:
    """The model on the points.

    Args:
        model: preoperative; its frame and that of the points agree to what `Prior.pose` says.
        points: [m] on the surface as it is now, any part of it, any number, in no order; outliers and patches of
            other tissue may be among them, less than half in all.
        surface: the model's facet set.
        outline: the organ's fine surface, carried by the model; what was seen is compared with it. None: with the
            facets; how far those lie off the organ then belongs into `Prior.unfollowed`.
        noise: standard deviation of each coordinate of the points [m]; None: found from how rough their cloud is.
        prior: what is assumed.
        progress: told of each step.

    Raises:
        SolverError: NaN, fewer than 20 points, points far from the model, most of them another surface's, a body in
            pieces, a displacement beyond the prior, no convergence.
    """
    require_float64()
    prior = prior or Prior()
    if not isinstance(model, Model):
        raise SolverError(f"a {type(model).__name__} is no model", where="register", advice="Make one: Model.from_mesh")
    prior.check()
    every = checked_points(points, model)
    outline = outline or Outline.of_facets(model, surface)
    outline.check(model)
    start = _started(model, surface, outline, every, noise, prior, progress)
    answer = _sifted_answer(start, prior, noise is None, True, progress)
    if answer.strained:
        answer = _sifted_answer(start, prior, noise is None, False, progress)
    refuse_misfit(answer.found, prior)
    refuse_doubtful(answer.share_left_out, answer.width, answer.widest)
    refuse_size(answer.found, prior)
    return answer


class _Start(NamedTuple):
    """By rigid alignment: what it found, the pose of the body's mean, and a search with all points."""

    rigid: Rigid
    pose: Pose
    search: Search


def _started(
    model: Model,
    surface: str,
    outline: Outline,
    every: NDArray,
    noise: float | None,
    prior: Prior,
    progress: Progress,
) -> _Start:
    """Loads that all of the points say are hidden, and a search with as many of the points as are used."""
    seen, rest = _thinned(every), np.asarray(model.points)
    errors = Errors.of(seen, checked_noise(noise, seen, rest), prior)
    body = FreeBody(model, surface, softest_young(model))
    progress(0.0, "rigid alignment")
    rigid = align_from_many(seen, outline.points, outline.triangles)
    share = _hidden_share(rigid.model_from_seen(every), rest)
    search = Search(body, outline, scaled_patterns(body, surface, share, prior), seen, errors, prior.pose_width)
    return _Start(rigid, _first_pose(rigid, rest.mean(axis=0)), search)


def _sifted_answer(start: _Start, prior: Prior, shared: bool, in_groups: bool, progress: Progress) -> Registration:
    """By the points that belong. Groups that lie on top are foreign if the rest then asks for small loads alone.

    Where it does not, they were the organ's, pushed forward: to be judged one by one, `in_groups` false.

    Raises:
        SolverError: too few belong; no state settles.
    """
    widths = _tried(prior)
    wide = widths[min(WHAT_BELONGS, len(widths) - 1)]
    found = sifted(start.search, start.pose, widths[0], wide, shared, in_groups, progress)
    refuse_strangers(found.belong)
    return _answered(start, found, _over_widths(found, start.pose, prior, progress), prior)


def _tried(prior: Prior) -> NDArray:
    """Widths of the loads' prior [m], growing; the least comes after them."""
    return prior.displacement * np.array(FACTORS if prior.found else (1.0,))


class _Widths(NamedTuple):
    """The states that settled, and the width of the loads' prior [m] of each."""

    states: list[Found]
    widths: list[float]


def _over_widths(sifted: Sifted, pose: Pose, prior: Prior, progress: Progress) -> _Widths:
    """States for growing widths of the loads' prior, each started from the likely one before.

    The first was found while points were sifted. An unlikely state that was stiffened tells of the search and not of
    its width: the next is tried all the same.

    Raises:
        SolverError: none settles.
    """
    search, found, widths = sifted.search, list[Found](), list[float]()
    refused: SolverError | None = None
    displacement, loads = np.zeros_like(np.asarray(search.body.model.points)), np.zeros(search.basis.shape[2])
    scale = 1.0
    for width in _tried(prior).tolist():
        try:
            one = None if widths else sifted.first
            one = one or search.run(width, pose, displacement, loads * (scale / width), progress)
        except SolverError as error:
            refused = error
            continue
        found, widths = [*found, one], [*widths, width]
        unlikely = one.evidence < max(each.evidence for each in found) - UNLIKELY
        if unlikely and one.stiffened == 0.0:
            break
        if not unlikely:
            displacement, loads, pose, scale = one.displacement, one.loads, one.pose, width
    if not found:
        raise refused or SolverError("nothing settled", where="register")
    return _with_least(_Widths(found, widths), search, prior, progress)


def _with_least(over: _Widths, search: Search, prior: Prior, progress: Progress) -> _Widths:
    """And the state for the least width, from the one for the narrowest; as they are where that is unlikely itself."""
    first, width = over.states[0], over.widths[0]
    if not prior.found or first.evidence < max(one.evidence for one in over.states) - UNLIKELY:
        return over
    least = LEAST * prior.displacement
    try:
        one = search.run(least, first.pose, first.displacement, first.loads * (width / least), progress)
    except SolverError:
        return over
    return _Widths([one, *over.states], [least, *over.widths])


def _answered(start: _Start, sifted: Sifted, over: _Widths, prior: Prior) -> Registration:
    """The states, each as probable as its evidence says."""
    evidence = np.array([one.evidence for one in over.states])
    probability = np.exp(evidence - evidence.max())
    seen, best = start.search.seen, over.states[int(evidence.argmax())]
    return Registration(
        states=tuple(over.states),
        widths=np.array(over.widths),
        probability=probability / probability.sum(),
        rigid=start.rigid,
        model=start.search.body.model,
        errors=sifted.search.errors,
        visible_share=_visible_share(start.search.outline, best, seen[sifted.belong]),
        pose_width=prior.pose_width,
        belonging=seen[sifted.belong],
        left_out=seen[~sifted.belong],
        widest=float(_tried(prior)[-1]) if prior.found else 0.0,
        assumed=prior.displacement if prior.found else 0.0,
        uneven=prior.uneven,
    )


def _first_pose(rigid: Rigid, pivot: NDArray) -> Pose:
    """The alignment, about another pivot: the mean of the nodes, where Qᵀu = 0 leaves the body."""
    turn = Rotation.from_rotvec(rigid.rotation)
    return Pose(turn, turn.apply(pivot - rigid.pivot) + rigid.pivot - pivot + rigid.translation, pivot)


def _thinned(seen: NDArray) -> NDArray:
    if len(seen) <= MOST_POINTS:
        return seen
    return seen[np.sort(np.random.default_rng(0).choice(len(seen), MOST_POINTS, replace=False))]


def _hidden_share(seen: NDArray, rest: NDArray) -> NDArray:
    """s(X) of each node: 1 where hidden, `SEEN_SHARE` where seen."""
    hidden = np.clip((_distance(seen, rest) - NEAR) / (FAR - NEAR), 0.0, 1.0)
    return SEEN_SHARE + (1 - SEEN_SHARE) * hidden


def _distance(points: NDArray, places: NDArray) -> NDArray:
    """Of each place to the nearest point [m]."""
    return cKDTree(points).query(places)[0]


def _visible_share(outline: Outline, found: Found, seen: NDArray) -> float:
    """Of the outline's area, what lies near the points that belong."""
    near = _distance(found.pose.model_from_seen(seen), outline.moved(found.displacement)) < NEAR
    corner = outline.points[outline.triangles]
    area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1)
    return float((area * near[outline.triangles].mean(axis=1)).sum() / area.sum())
