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
from ..fitting.fit import Fit, fit
from ..fitting.location import locate
from ..fitting.observation import finite, refuse_far
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
        displacement: RMS displacement of the surface [m] that the loads are first scaled to; the data then scale it.
        length: over which tractions vary [m].
        stiffness_spread, stiffness_length: of the logarithm of the stiffness about the model's own, and [m].
        modes, stiffness_modes: patterns per component of traction, and of stiffness.
        found: whether the data scale `displacement` (empirical Bayes).
        pose: standard deviations of the rotation [rad] and shift [m] about the rigid alignment.
    """

    displacement: float = 0.015
    length: float = 0.03
    stiffness_spread: float = 0.4
    stiffness_length: float = 0.06
    modes: int = 80
    stiffness_modes: int = 16
    found: bool = True
    pose: tuple[float, float] = (0.2, 0.03)


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
    seen = finite(points, "points", "register").reshape(-1, 3)
    if len(seen) < 20:
        raise SolverError(f"{len(seen)} points are too few", where="register", advice="Give 20 or more, over a patch")
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


def roughness(points: Float[NDArray, "n 3"]) -> float:
    """Noise of points on a smooth surface [m], from their distance to the plane through their 12 nearest neighbours.

    Each plane is fitted without its point; its own error adds 3/12 of the variance. The median ignores outliers.
    """
    near = cKDTree(points).query(points, k=min(13, len(points)))[1][:, 1:]
    around = points[near]
    middle = around.mean(axis=1)
    normal = np.linalg.svd(around - middle[:, None])[2][:, 2]
    height = np.einsum("ni,ni->n", points - middle, normal)
    return max(float(1.4826 * np.median(np.abs(height)) / np.sqrt(1.0 + 3.0 / near.shape[1])), 2e-4)


def _setting(model: Model, surface: str, rigid: Rigid) -> tuple[Setting, NDArray]:
    """The body held by weak springs, its unknown forces at zero, in the pose of the rigid alignment."""
    nodes = np.asarray(model.nodes_of(surface))
    size = float(np.linalg.norm(np.ptp(np.asarray(model.points), axis=0)))
    problem = model.problem(
        loads=[NodalForces(surface, np.zeros((len(nodes), 3)))],
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
    """The basis such that tractions move the surface by the RMS displacement given, and weight by a share of it."""
    from ..fitting.equilibria import Equilibria
    from ..solution import State

    loads = HiddenLoads(basis, nodes)
    rest = State(1.0, jnp.zeros_like(model.points))
    slope = Equilibria(setting, [loads]).slope(np.zeros(loads.size), rest)[nodes]
    square = (slope**2).sum(axis=1).mean(axis=0)
    wanted = displacement * np.where(np.arange(loads.size) < loads.size - 3, 1.0, WEIGHT_SHARE)
    whole = np.where(np.arange(loads.size) < loads.size - 3, square[:-3].sum(), square[-3:].sum())
    return basis * (wanted / np.sqrt(whole))


def _distance_to_seen(points: NDArray, rest: NDArray) -> NDArray:
    """Of each node to the nearest point [m]."""
    return cKDTree(points).query(rest)[0]


def _area_share(points: NDArray, facets: NDArray, near: NDArray) -> float:
    corner = points[facets]
    area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1)
    return float((area * near[facets].mean(axis=1)).sum() / area.sum())
