"""`register`: lays a preoperative model on a sparse intraoperative surface.

Unknown are the pose and the loads on the hidden side, which decide the deformation; the surface seen is compared with
the nearest places of the model's outline. Most probable values by `all_at_once`, uncertainty of any target by Laplace's
approximation.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation

from ....imaging.errors import SolverError
from ....imaging.progress import Progress, silent
from ...precision import require_float64
from .. import given
from ..fitting.location import locate
from ..fitting.observation import positive_noise, refuse_far, vectors
from ..model import Model
from .all_at_once import Found, Search
from .free_body import FreeBody
from .hidden_loads import load_basis
from .misfit import Errors, Pose
from .noise import roughness
from .outline import Outline
from .rigid import Rigid, align_from_many

SEEN_SHARE = 0.2
"""Spread of tractions where the surface is seen, over that where it is hidden."""
WEIGHT_SHARE = 0.4
"""RMS displacement of a change of weight, over that of the tractions."""
NEAR, FAR = 0.008, 0.025
"""m: a place of the surface nearer than the first to a point seen is seen, farther than the second is hidden."""
FACTORS = (0.5, 1.0, 2.0, 4.0)
"""Of `Prior.displacement`, over which answers are averaged."""
SUBCAPSULAR = 0.5
"""Element sizes that a target may lie outside of the mesh: its facets cut corners of the organ."""
UNLIKELY = 5.0
"""Wider priors are not tried once the evidence has fallen by so much."""
FAR_OFF = 3.0
"""Median distance of the points, over what is expected of one, at which they are no points of this organ."""
BEYOND = 5.0
"""Widths of the pose's prior at which a pose is refused."""
MOST_POINTS = 1500
"""Points used, drawn from all that were seen: more of them, a few millimetres apart, err together."""


@dataclass(frozen=True)
class Prior:
    """What is assumed before anything is seen.

    Attributes:
        displacement: RMS displacement of the median node [m] from the loads.
        length: over which tractions vary [m].
        modes: patterns per component of traction.
        found: whether the data may double `displacement`, twice at most, by evidence.
        pose: standard deviations of rotation [rad] and shift [m], each about each axis, of the frame of the points
            against the model's.
        unfollowed: standard deviation [m] of what the model cannot follow (segmentation, stiffness, small loads), and
            the distance [m] over which it is alike.
    """

    displacement: float = 0.01
    length: float = 0.05
    modes: int = 60
    found: bool = True
    pose: tuple[float, float] = (0.1, 0.015)
    unfollowed: tuple[float, float] = (0.001, 0.02)

    def check(self) -> None:
        """Raise where a number is not possible.

        Raises:
            SolverError: one is not.
        """
        for name in ("displacement", "length"):
            value = given.number(getattr(self, name), f"a {name}", "prior", above=0.0, advice="Give m")
            if value > 1.0:
                raise SolverError(f"a {name} of {value:g} m is not possible", where="prior", advice="Give m, not mm")
        given.whole(self.modes, "modes", "prior")
        for name, advice in (("pose", "Give rad and m"), ("unfollowed", "Give m and m")):
            pair = given.array(getattr(self, name), name, "prior", (2,), advice=advice)
            if not ((np.asarray(pair) > 0) & (np.asarray(pair) < np.pi)).all():
                raise SolverError(f"{name} must be positive and small, not {pair}", where="prior", advice=advice)


@dataclass(frozen=True, eq=False)
class Registration:
    """A registered model.

    Attributes:
        states: displacement, pose, loads and their covariance, for each width of the loads' prior.
        widths: RMS displacement of the median node [m] that each assumes.
        probability: of each width, by evidence; all alike before anything is seen.
        rigid: the alignment before deformation, for comparison.
        model: the preoperative model.
        noise: standard deviation of the points along the surface's normal [m], given or found.
        visible_share: of the outline, by area, that lies near what was seen.
        pose_width: of the prior, rad and m.
    """

    states: tuple[Found, ...]
    widths: Float[np.ndarray, " w"]
    probability: Float[np.ndarray, " w"]
    rigid: Rigid
    model: Model
    noise: float
    visible_share: float
    pose_width: Float[np.ndarray, "6"]

    @property
    def found(self) -> Found:
        """The state of the most probable width."""
        return self.states[int(self.probability.argmax())]

    @property
    def statement(self) -> str:
        """What the surface seen cannot tell."""
        explained = 1.0 - np.diag(self.found.covariance)[6:]
        return (
            f"{100 * self.visible_share:.0f} % of the surface was seen. It determines {explained.sum():.1f} of "
            f"{len(explained)} patterns of load; of the others the prior speaks: a change of the median node by "
            f"{1e3 * float(self.probability @ self.widths):.0f} mm (RMS)."
        )

    def targets(self, points: Float[NDArray, "k 3"]) -> tuple[Float[np.ndarray, "k 3"], Float[np.ndarray, "k 3 3"]]:
        """Where points of the preoperative model [m] now are [m], and their covariance [m²].

        Means over the widths; the covariance holds how far the widths disagree (Hoeting et al., Stat Sci 14:382, 1999).

        Raises:
            SolverError: a point lies outside of the model.
        """
        rest = vectors(points, "targets", "targets")
        nodes, weights, _ = locate(self.model, rest, "targets", outside=SUBCAPSULAR)
        each = [self._placed(found, rest, nodes, weights) for found in self.states]
        places = np.array([place for place, _ in each])
        mean = np.einsum("w,wki->ki", self.probability, places)
        apart = places - mean
        covariance = np.einsum("w,wkij->kij", self.probability, np.array([spread for _, spread in each]))
        return mean, covariance + np.einsum("w,wki,wkj->kij", self.probability, apart, apart)

    def _placed(self, found: Found, rest: NDArray, nodes: NDArray, weights: NDArray) -> tuple[NDArray, NDArray]:
        """Positions and covariance for one width."""
        now = rest + np.einsum("km,kmi->ki", weights, found.displacement[nodes])
        turn = found.pose.rotation.as_matrix()
        by_turn = -np.einsum("ij,kjl->kil", turn, _cross(now - found.pose.pivot)) * self.pose_width[:3]
        by_shift = np.broadcast_to(np.diag(self.pose_width[3:]), by_turn.shape)
        by_loads = np.einsum("ij,km,kmjn->kin", turn, weights, found.slope[nodes], optimize=True)
        rate = np.concatenate([by_turn, by_shift, by_loads], axis=2)
        return found.pose.seen_from_model(now), np.einsum(
            "kin,nm,kjm->kij", rate, found.covariance, rate, optimize=True
        )


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
        points: [m] on the surface as it is now, any part of it, any number, in no order; outliers may be among them.
        surface: the model's facet set.
        outline: the organ's fine surface, carried by the model; what was seen is compared with it. None: with the
            facets; how far those lie off the organ then belongs into `Prior.unfollowed`.
        noise: standard deviation of each coordinate of the points [m]; None: found from how rough their cloud is.
        prior: what is assumed.
        progress: told of each step.

    Raises:
        SolverError: NaN, fewer than 20 points, points far from the model, no convergence.
    """
    require_float64()
    prior = prior or Prior()
    if not isinstance(model, Model):
        raise SolverError(f"a {type(model).__name__} is no model", where="register", advice="Make one: Model.from_mesh")
    prior.check()
    seen = vectors(points, "points", "register")
    _spread_out(seen, model)
    seen = np.unique(seen, axis=0)
    rest = np.asarray(model.points)
    refuse_far(seen, rest, "register", reach=0.6)
    outline = outline or Outline.of_facets(model, surface)
    outline.check(model)
    sigma = _noise(noise, seen, rest)
    progress(0.0, "rigid alignment")
    rigid = align_from_many(seen, outline.points, outline.triangles)
    search = _search(model, surface, outline, _thinned(seen), sigma, rigid, prior)
    states, widths = _over_widths(search, _first_pose(rigid, rest.mean(axis=0)), prior, progress)
    evidence = np.array([one.evidence for one in states])
    probability = np.exp(evidence - evidence.max())
    best = states[int(evidence.argmax())]
    _refuse_misfit(best, sigma, prior)
    near = _distance_to_seen(best.pose.model_from_seen(seen), outline.moved(best.displacement)) < NEAR
    share = _area_share(outline.points, outline.triangles, near)
    return Registration(
        tuple(states), widths, probability / probability.sum(), rigid, model, sigma, share, search.pose_width
    )


def _noise(noise: float | None, seen: NDArray, rest: NDArray) -> float:
    """As given, or read off the points.

    Raises:
        SolverError: not a length that points of this body can err by.
    """
    size = float(np.ptp(rest, axis=0).max())
    if positive_noise(noise, "register") is None:
        return roughness(seen)
    assert noise is not None
    if not 1e-6 < noise < 0.1 * size:
        raise SolverError(
            f"a noise of {noise:g} m is not possible for a body of {size:.3g} m",
            where="register",
            advice="Give metres: 0.001 for 1 mm",
        )
    return float(noise)


def _refuse_misfit(found: Found, noise: float, prior: Prior) -> None:
    """Student's law would leave out all points of another organ and answer all the same.

    Raises:
        SolverError: half of the points stay off the surface, or the pose lies where its prior hardly reaches.
    """
    left, expected = float(np.median(np.abs(found.distance))), float(np.hypot(noise, prior.unfollowed[0]))
    if left > FAR_OFF * expected:
        raise SolverError(
            f"half of the points stay {1e3 * left:.1f} mm or more off the surface; {1e3 * expected:.1f} mm fit",
            where="register",
            advice="Check that they belong to this organ, their noise and their frame",
        )
    turn, shift = found.pose.rotation.magnitude() / prior.pose[0], np.linalg.norm(found.pose.shift) / prior.pose[1]
    if max(turn, shift) > BEYOND:
        raise SolverError(
            f"the frame of the points lies {np.degrees(found.pose.rotation.magnitude()):.0f}° and "
            f"{1e3 * np.linalg.norm(found.pose.shift):.0f} mm away, beyond Prior.pose",
            where="register",
            advice="Place the points roughly first, or give a wider Prior.pose",
        )


def _search(
    model: Model, surface: str, outline: Outline, seen: NDArray, noise: float, rigid: Rigid, prior: Prior
) -> Search:
    """The body, the patterns of load that its hidden side calls for, and the law of errors."""
    rest = np.asarray(model.points)
    distance = _distance_to_seen(rigid.model_from_seen(seen), rest)
    share = SEEN_SHARE + (1 - SEEN_SHARE) * np.clip((distance - NEAR) / (FAR - NEAR), 0.0, 1.0)
    body = FreeBody(model, surface, _young(model))
    basis = load_basis(model, surface, share, prior.length, prior.modes)
    moved = body.compliance(np.zeros_like(rest)).times(basis)
    scale = np.full(basis.shape[2], 1.0 / _median_size(moved[:, :, :-3]))
    weight = _median_size(moved[:, :, -3:])
    scale[-3:] = WEIGHT_SHARE / weight if weight > 0 else 0.0
    turn, shift = prior.pose
    errors = Errors(seen, noise, *prior.unfollowed)
    return Search(body, outline, basis * scale, seen, errors, np.array([turn] * 3 + [shift] * 3))


def _over_widths(search: Search, pose: Pose, prior: Prior, progress: Progress) -> tuple[list[Found], NDArray]:
    """States for growing widths of the loads' prior, each started from the one before; and the widths [m].

    Raises:
        SolverError: none settles.
    """
    found: list[Found] = []
    widths: list[float] = []
    refused: SolverError | None = None
    displacement, loads = np.zeros_like(np.asarray(search.body.model.points)), np.zeros(search.basis.shape[2])
    for factor in FACTORS if prior.found else (1.0,):
        width = factor * prior.displacement
        try:
            one = search.run(width, pose, displacement, loads * (widths[-1] / width if widths else 1.0), progress)
        except SolverError as error:
            refused = error
            continue
        found, widths = [*found, one], [*widths, width]
        displacement, loads, pose = one.displacement, one.loads, one.pose
        if one.evidence < max(each.evidence for each in found) - UNLIKELY:
            break
    if not found:
        raise refused or SolverError("nothing settled", where="register")
    return found, np.array(widths)


def _first_pose(rigid: Rigid, pivot: NDArray) -> Pose:
    """The alignment, about another pivot: the mean of the nodes, where Qᵀu = 0 leaves the body."""
    turn = Rotation.from_rotvec(rigid.rotation)
    return Pose(turn, turn.apply(pivot - rigid.pivot) + rigid.pivot - pivot + rigid.translation, pivot)


def _thinned(seen: NDArray) -> NDArray:
    if len(seen) <= MOST_POINTS:
        return seen
    return seen[np.sort(np.random.default_rng(0).choice(len(seen), MOST_POINTS, replace=False))]


def _spread_out(seen: NDArray, model: Model) -> None:
    """Enough points, over a patch: a pose cannot be told from a point or a line."""
    advice = "Give 20 or more, over a patch of the surface"
    if len(np.unique(seen, axis=0)) < 20 <= len(seen) and np.ptp(seen, axis=0).max() > 0:
        raise SolverError("fewer than 20 points are left without copies", where="register", advice=advice)
    if len(seen) < 20:
        raise SolverError(f"{len(seen)} points are too few", where="register", advice=advice)
    widths = np.linalg.svd(seen - seen.mean(axis=0), compute_uv=False) / np.sqrt(len(seen))
    if widths[1] < 1e-3 * float(np.ptp(np.asarray(model.points), axis=0).max()):
        raise SolverError("the points lie on one place or line", where="register", advice=advice)


def _young(model: Model) -> float:
    """Young's modulus [Pa] of the softest block's first element, by a small stretch at constant volume: E ≈ 3 μ."""
    stretch = jnp.diag(jnp.array([1.001, 1.001**-0.5, 1.001**-0.5]))[:, :, None]
    found = []
    for block in model.blocks:
        if block.element.dimension == 3:
            piola = np.asarray(jax.tree.map(lambda leaf: leaf[:1].T, block.material).first_piola(stretch))
            found.append(abs(float((piola[0, 0] - piola[1, 1])[0] / 1e-3)))
    return min(found)


def _median_size(slope: NDArray) -> float:
    """Median over nodes of the RMS displacement: thin lobes, which move much, do not set the scale."""
    return float(np.median(np.sqrt((slope**2).sum(axis=(1, 2)))))


def _cross(vectors: NDArray) -> NDArray:
    """(k, 3, 3) matrices of v ×."""
    x, y, z = vectors.T
    zero = np.zeros_like(x)
    return np.stack([np.stack([zero, -z, y], -1), np.stack([z, zero, -x], -1), np.stack([-y, x, zero], -1)], axis=1)


def _distance_to_seen(points: NDArray, rest: NDArray) -> NDArray:
    """Of each node to the nearest point [m]."""
    return cKDTree(points).query(rest)[0]


def _area_share(points: NDArray, facets: NDArray, near: NDArray) -> float:
    corner = points[facets]
    area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1)
    return float((area * near[facets].mean(axis=1)).sum() / area.sum())
