"""`register`: lays a preoperative model on a sparse intraoperative surface.

Unknown are the pose, the loads on the hidden side (which decide the deformation) and how stiffness varies; the
surface seen is compared with the nearest places of the model's. Most probable values by `fitting`, uncertainty of any
target by Laplace's approximation.
"""

from __future__ import annotations

from dataclasses import dataclass

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ....imaging.errors import SolverError
from ....imaging.progress import Progress, silent
from .. import given
from ..fitting.fit import Fit, fit
from ..fitting.location import locate
from ..fitting.observation import refuse_far, vectors
from ..fitting.pose import RigidPose
from ..fitting.setting import Setting, Unknown
from ..fitting.stiffness import StiffnessField
from ..fitting.surface import SurfacePoints
from ..loads.nodal import NodalForces
from ..model import Model
from ..supports import PointSprings
from .hidden_loads import HiddenLoads, load_basis
from .rigid import Rigid, align_from_many

HOLD = 1e-3
"""Springs against free motion, in all: this share of Young's modulus times the body's size."""
SEEN_SHARE = 0.2
"""Spread of tractions where the surface is seen, over that where it is hidden."""
WEIGHT_SHARE = 0.4
"""RMS displacement of a change of weight, over that of the tractions."""
NEAR, FAR = 0.008, 0.025
"""m: a place of the surface nearer than the first to a point seen is seen, farther than the second is hidden."""


@dataclass(frozen=True)
class Prior:
    """What is assumed of the deformation before anything is seen.

    Attributes:
        displacement: RMS displacement of the median node [m] from the loads, before the data scale it.
        length: over which tractions vary [m].
        stiffness_spread, stiffness_length: of the logarithm of the stiffness about the model's own, and [m].
        modes, stiffness_modes: patterns per component of traction, and of stiffness.
        found: whether the data scale `displacement` (empirical Bayes).
        pose: standard deviations of the rotation [rad] and shift [m] about the rigid alignment.
    """

    displacement: float = 0.01
    length: float = 0.05
    stiffness_spread: float = 0.4
    stiffness_length: float = 0.06
    modes: int = 80
    stiffness_modes: int = 16
    found: bool = True
    pose: tuple[float, float] = (0.2, 0.03)

    def check(self) -> None:
        """Raise where a number is not possible.

        Raises:
            SolverError: one is not.
        """
        for name in ("displacement", "length", "stiffness_spread", "stiffness_length"):
            given.number(getattr(self, name), f"a {name.replace('_', ' ')}", "prior", above=0.0, advice="Give m, or 1")
        for name in ("modes", "stiffness_modes"):
            given.whole(getattr(self, name), name.replace("_", " "), "prior")
        given.array(self.pose, "a pose", "prior", (2,), advice="Give rad and m")


@dataclass(frozen=True, eq=False)
class Registration:
    """A registered model.

    Attributes:
        fit: everything that was found; `fit.noises[0]` is the noise of the surface [m].
        rigid: the alignment before deformation, for comparison.
        model: the preoperative model.
        visible_share: of the model's surface, by area, that lies near what was seen.
        unknowns: pose, loads, stiffness.
    """

    fit: Fit
    rigid: Rigid
    model: Model
    visible_share: float
    unknowns: tuple[Unknown, ...]

    @property
    def noise(self) -> float:
        """Standard deviation of the distance between points seen and the surface [m]."""
        return self.fit.noises[0]

    @property
    def statement(self) -> str:
        """What the surface seen cannot tell."""
        return self.fit.statement

    def targets(self, points: Float[NDArray, "k 3"]) -> tuple[Float[np.ndarray, "k 3"], Float[np.ndarray, "k 3 3"]]:
        """Where points of the preoperative model [m] now are [m], and their covariance [m²].

        Raises:
            SolverError: a point lies outside of the model.
        """
        nodes, weights, _ = locate(self.model, np.asarray(points, float), "targets")
        found = self.fit

        def place(coordinates: Array, displacement: Array) -> Array:
            setting = found.setting
            for unknown, span, scale in zip(self.unknowns, found.spans, found.amplitudes, strict=True):
                if isinstance(unknown, RigidPose):
                    change = scale * (coordinates[span] - found.posterior.mean[span])
                    setting = unknown.apply(setting, change)
            moved = (setting.problem.model.points + displacement[: self.model.nodes])[nodes]
            return setting.seen_from_model(jnp.einsum("nm,nmi->ni", jnp.asarray(weights), moved))

        at, moved = jnp.asarray(found.posterior.mean), jnp.asarray(found.state.rows)
        columns = jnp.asarray(np.moveaxis(found.slope, -1, 0))
        slope = jax.vmap(lambda d, s: jax.jvp(place, (at, moved), (d, s))[1])(jnp.eye(len(at)), columns)
        rate = np.moveaxis(np.asarray(slope), 0, -1)
        covariance = np.einsum("kin,nm,kjm->kij", rate, found.posterior.covariance, rate)
        return np.asarray(place(at, moved)), covariance


def register(
    model: Model,
    points: Float[NDArray, "n 3"],
    *,
    surface: str = "surface",
    noise: float | None = None,
    correlation: float = 0.0,
    prior: Prior | None = None,
    progress: Progress = silent,
) -> Registration:
    """The model on the points.

    Args:
        model: preoperative; its frame and the points' may differ by 20° and a few centimetres.
        points: [m] on the surface as it is now, any part of it, any number, in no order; outliers may be among them.
        surface: the model's facet set.
        noise: standard deviation of each coordinate of the points [m]; None: found from how rough their cloud is.
        correlation: distance [m] over which points err together.
        prior: what is assumed of the deformation.

    Raises:
        SolverError: NaN, fewer than 20 points, points far from the model, no convergence.
    """
    prior = prior or Prior()
    if not isinstance(model, Model):
        raise SolverError(f"a {type(model).__name__} is no model", where="register", advice="Make one: Model.from_mesh")
    prior.check()
    seen = vectors(points, "points", "register")
    _spread_out(seen, model)
    rest = np.asarray(model.points)
    refuse_far(seen, rest, "register", reach=0.6)
    facets = model.facets_of(surface)[:, :3]
    progress(0.0, "rigid alignment")
    rigid = align_from_many(seen, rest, facets)
    distance = _distance_to_seen(rigid.model_from_seen(seen), rest)
    share = SEEN_SHARE + (1 - SEEN_SHARE) * np.clip((distance - NEAR) / (FAR - NEAR), 0.0, 1.0)
    setting, nodes = _setting(model, surface, rigid)
    basis = load_basis(model, surface, share, prior.length, prior.modes)
    unknowns = (
        RigidPose(prior.pose),
        HiddenLoads(_scaled(basis, model, surface, setting, nodes, prior.displacement), nodes),
        StiffnessField(model, prior.stiffness_spread, prior.stiffness_length, prior.stiffness_modes),
    )
    observed = SurfacePoints(surface, seen, noise or roughness(seen), robust=True, correlation=correlation, reach=1.0)
    found = fit(
        setting,
        unknowns,
        [observed],
        estimate_amplitude=[unknowns[1]] if prior.found else [],
        tolerance=1e-6,
        iterations=12,
        progress=progress,
    )
    final = found.setting
    back = np.asarray(final.model_from_seen(jnp.asarray(seen)))
    near = _distance_to_seen(back, rest + np.asarray(found.state.displacement)) < NEAR
    return Registration(found, rigid, model, _area_share(rest, facets, near), unknowns)


def _spread_out(seen: NDArray, model: Model) -> None:
    """Enough points, over a patch: a pose cannot be told from a point or a line."""
    advice = "Give 20 or more, over a patch of the surface"
    if len(seen) < 20:
        raise SolverError(f"{len(seen)} points are too few", where="register", advice=advice)
    widths = np.linalg.svd(seen - seen.mean(axis=0), compute_uv=False) / np.sqrt(len(seen))
    if widths[1] < 1e-3 * float(np.ptp(np.asarray(model.points), axis=0).max()):
        raise SolverError("the points lie on one place or line", where="register", advice=advice)


def roughness(points: Float[NDArray, "n 3"]) -> float:
    """Noise of points on a smooth surface [m], from their distance to the quadric through their 20 nearest neighbours.

    Each quadric z = a + bx + cy + dx² + exy + fy², over the plane of the neighbours, is fitted without its point; its
    value there errs by a variance that the fit tells. The median ignores outliers.
    """
    near = cKDTree(points).query(points, k=min(21, len(points)))[1][:, 1:]
    if near.shape[1] < 12:
        return 1e-3
    around = points[near]
    middle = around.mean(axis=1)
    axes = np.linalg.svd(around - middle[:, None])[2]
    local = np.einsum("nkj,nij->nki", around - middle[:, None], axes)
    own = np.einsum("nj,nij->ni", points - middle, axes)
    size = np.sqrt((local[..., :2] ** 2).mean(axis=(1, 2)))[:, None]
    rows, row = _quadric(local / size[:, None]), _quadric((own / size)[:, None])[:, 0]
    inverse = np.linalg.pinv(rows)
    height = own[:, 2] - np.einsum("nc,nck,nk->n", row, inverse, local[..., 2])
    error = np.einsum("nc,nck->nk", row, inverse)
    return max(float(1.4826 * np.median(np.abs(height) / np.sqrt(1.0 + (error**2).sum(axis=1)))), 2e-4)


def _quadric(local: NDArray) -> NDArray:
    x, y = local[..., 0], local[..., 1]
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)


def _setting(model: Model, surface: str, rigid: Rigid) -> tuple[Setting, NDArray]:
    """The body held by weak springs, its unknown forces at zero, in the pose of the rigid alignment."""
    nodes = np.asarray(model.nodes_of(surface))
    size = float(np.linalg.norm(np.ptp(np.asarray(model.points), axis=0)))
    problem = model.problem(
        loads=[NodalForces(surface, np.zeros((len(nodes), 3)))],  # pyright: ignore[reportArgumentType]
        supports=[PointSprings(surface, HOLD * _young(model) * size)],
    )
    base = Setting.of(problem)
    pose = (jnp.asarray(rigid.rotation), jnp.asarray(rigid.translation), jnp.asarray(rigid.pivot))
    return eqx.tree_at(lambda s: (s.rotation, s.translation, s.pivot), base, pose), nodes


def _young(model: Model) -> float:
    """A Young's modulus [Pa] of the first element, from the stress of a small stretch at constant volume: E ≈ 3 μ."""
    block = model.blocks[0]
    material = jax.tree.map(lambda leaf: leaf[:1].T, block.material)
    stretch = jnp.diag(jnp.array([1.001, 1.001**-0.5, 1.001**-0.5]))[:, :, None]
    piola = np.asarray(material.first_piola(stretch))
    return float((piola[0, 0] - piola[1, 1])[0] / 1e-3)


def _scaled(
    basis: NDArray, model: Model, surface: str, setting: Setting, nodes: NDArray, displacement: float
) -> NDArray:
    """The basis such that tractions move the median node by the RMS displacement given, and weight by a share of it."""
    from ..fitting.equilibria import Equilibria
    from ..solution import State

    loads = HiddenLoads(basis, nodes)
    rest = State(1.0, jnp.zeros_like(model.points))
    slope = Equilibria(setting, [loads]).slope(np.zeros(loads.size), rest)
    tractions, weight = slope[:, :, :-3], slope[:, :, -3:]
    scale = np.full(loads.size, displacement / _median_size(tractions))
    scale[-3:] = WEIGHT_SHARE * displacement / _median_size(weight)
    return basis * scale


def _median_size(slope: NDArray) -> float:
    """Median over nodes of the RMS displacement: thin lobes, which move much, do not set the scale."""
    return float(np.median(np.sqrt((slope**2).sum(axis=(1, 2)))))


def _distance_to_seen(points: NDArray, rest: NDArray) -> NDArray:
    """Of each node to the nearest point [m]."""
    return cKDTree(points).query(rest)[0]


def _area_share(points: NDArray, facets: NDArray, near: NDArray) -> float:
    corner = points[facets]
    area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1)
    return float((area * near[facets].mean(axis=1)).sum() / area.sum())
