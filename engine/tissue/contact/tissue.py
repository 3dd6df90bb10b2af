"""Contact between two surfaces of the body, or of one surface with itself."""

from __future__ import annotations

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from .. import given
from ..elements import facet_of
from ..elements.base import FacetElement, Quadrature
from ..model import Model
from ..moving import CHUNK
from ..terms import MovingTerm
from .closest import feature_basis
from .pairs import PairTerm
from .penalty import ONSET_SHARE, default_penalty, facet_sizes
from .points import ContactPoints, contact_points
from .rigid import check_numbers, replace_fields
from .search import Met, not_contact, search
from .surface import Surface, unit


class SlipHistory(eqx.Module):
    """What the points of one surface remember: multiplier [Pa], facet (−1: none), place on it, gap [m] then."""

    multiplier: Float[Array, " points"]
    facet: Int[np.ndarray, " points"]
    place: Float[Array, "points 2"]
    opening: Float[Array, " points"]


class TissueContact(eqx.Module):
    """Two facet sets that may touch, or one that may touch itself: p = ε ρ(λ/ε − g), |t| ≤ μ p.

    | symbol | meaning | unit |
    |---|---|---|
    | `facets` | the set whose points are looked at: the finer or softer one | – |
    | `other` | the set they meet; None is `facets` itself (folds) | – |
    | `both` | look from both sides, each with half of the weight; always so for a surface with itself | – |
    | ε `penalty` | pressure per penetration; None takes 20 times the softer side's stiffness per area | Pa/m |
    | `penetration` | None: penalty method. A length: λ is moved on (Uzawa) until no point is deeper | m |
    | μ `friction` | Coulomb's coefficient; 0 slides freely and keeps the tangent symmetric | – |
    | ε_T `stick` | shear per elastic slip while it sticks; None takes ε | Pa/m |
    | w `onset` | width over which the law is rounded where contact opens; None takes 1e-5 of a facet | m |
    | `refine` | each facet's rule is laid out refine² times over it: pressure is passed on more evenly | – |
    | `reach` | how far, and how deep, a point looks; None takes the mean facet size | m |

    Pressures are per reference area of the surface that looks.
    """

    facets: str = eqx.field(static=True)
    other: str | None = eqx.field(static=True)
    both: bool = eqx.field(static=True)
    penalty: Float[Array, ""] | None
    friction: Float[Array, ""]
    stick: Float[Array, ""] | None
    onset: Float[Array, ""] | None
    penetration: float | None = eqx.field(static=True)
    reach: float | None = eqx.field(static=True)
    refine: int = eqx.field(static=True)
    frictional: bool = eqx.field(static=True)
    surfaces: tuple[Surface, ...] = ()
    refused: NDArray | None = None
    history: tuple[SlipHistory, ...] | None = None

    def __init__(
        self,
        facets: str,
        other: str | None = None,
        *,
        both: bool = False,
        penalty: float | None = None,
        penetration: float | None = None,
        friction: float = 0.0,
        stick: float | None = None,
        onset: float | None = None,
        refine: int = 1,
        reach: float | None = None,
    ) -> None:
        self.facets, self.other, self.both = facets, other, both
        where = f"contact of {facets!r} with {other or 'itself'!r}"
        checked = check_numbers(where, penalty, penetration, friction, stick, onset)
        self.penalty, self.friction, self.stick, self.onset = checked
        self.penetration = penetration
        self.reach = None if reach is None else given.number(reach, "a reach", where, above=0.0, advice="Give m")
        self.refine = given.whole(refine, "refinements", where)
        if other == facets:
            raise SolverError(f"{facets!r} is named twice", where=where, advice="Leave out the other set for folds")
        self.frictional = eqx.is_array(friction) or friction > 0
        self.surfaces, self.refused, self.history = (), None, None

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"contact of {self.facets!r} with {self.other or 'itself'!r}"

    def resolved(self, model: Model, held: np.ndarray | None = None) -> TissueContact:
        """With every number that was left open filled in from the model, and the topology of the surfaces."""
        names = (self.facets,) if self.other is None else (self.facets, self.other)
        facets = [model.facets_of(name) for name in names]
        size = float(np.mean([facet_sizes(model, f).mean() for f in facets]))
        softest = (
            min(float(np.median(default_penalty(model, f, self.label))) for f in facets) if self.penalty is None else 0
        )
        penalty = jnp.asarray(softest) if self.penalty is None else self.penalty
        found = replace_fields(
            self,
            penalty=penalty,
            stick=penalty if self.stick is None else self.stick,
            onset=jnp.asarray(ONSET_SHARE * size) if self.onset is None else self.onset,
            reach=size if self.reach is None else self.reach,
            surfaces=tuple(Surface.of(f, self.label) for f in facets),
        )
        return replace_fields(found, refused=_neighbours(found, model)) if self.other is None else found

    def bind(self, model: Model) -> list[Look]:
        """One moving term for each side that looks."""
        own = self if self.surfaces else self.resolved(model)
        return [own._look(model, k) for k in range(2 if own.both and own.other is not None else 1)]

    def _look(self, model: Model, k: int) -> Look:
        slave, master = self.surfaces[k], self.surfaces[(k + 1) % len(self.surfaces)]
        share = 1.0 if len(self.surfaces) == 2 and not self.both else 0.5
        facet = facet_of(slave.facets.shape[1])
        rule = refined(facet.quadrature, self.refine)
        kept = SlipHistory(*_blank(len(slave.facets) * len(rule.weights)))
        return Look(
            model.points,
            slave,
            master,
            facet,
            rule,
            *(self.penalty, self.stick, self.onset, self.friction),
            kept if self.history is None else self.history[k],
            self.refused,
            share,
            float(self.reach or 0.0),
            self.frictional,
        )

    def points(self, model: Model, displacement: np.ndarray, fraction: float) -> list[tuple[Met, ContactPoints]]:
        """Of each side that looks: who met whom, and what happens there, at a displacement (rows, 3) [m]."""
        found, moved = [], np.asarray(displacement)
        for look in self.bind(model):
            pairs: Pairs = look.pairs(moved, fraction)
            values = contact_points(look.paired(pairs), np.asarray(model.points), moved, fraction, CHUNK)
            found.append((pairs.met, values))
        return found

    def begun(self, model: Model) -> TissueContact:
        """With the history of a body at rest."""
        if self.history is not None:
            return self
        return self.advanced(model, np.zeros(model.points.shape), 0.0)

    def augmented(self, model: Model, displacement: np.ndarray, fraction: float) -> tuple[TissueContact, bool]:
        """λ ← p, where a point is deeper than allowed, or pressed while apart by more than that."""
        if self.penetration is None:
            return self, False
        found, off, moved = self.points(model, displacement, fraction), 0.0, []
        for (met, at), look in zip(found, self.bind(model), strict=True):
            apart = np.maximum(at.gap - 0.5 * float(self.onset), 0.0) * (at.pressure > 0)  # pyright: ignore[reportArgumentType]
            off = max(off, float(np.maximum(apart, -at.gap).max(initial=0.0)))
            multiplier = np.zeros(len(look.history.facet))
            multiplier[met.point] = at.pressure
            moved.append(replace_fields(look.history, multiplier=jnp.asarray(multiplier)))
        if off <= self.penetration:
            return self, False
        return replace_fields(self, history=tuple(moved)), True

    def advanced(self, model: Model, displacement: np.ndarray, fraction: float) -> TissueContact:
        """With anchors where friction has left them, after a converged load step."""
        if not self.frictional:
            return self
        kept = []
        for (met, at), look in zip(self.points(model, displacement, fraction), self.bind(model), strict=True):
            count = len(look.history.facet)
            _, facet, place, opening = (np.array(values) for values in _blank(count))
            facet[met.point], place[met.point], opening[met.point] = met.facet, at.anchor, at.opening
            kept.append(SlipHistory(look.history.multiplier, facet, jnp.asarray(place), jnp.asarray(opening)))
        return replace_fields(self, history=tuple(kept))


class Pairs(NamedTuple):
    """A pairing: who met whom, which places friction pulls to, and how many of them know one."""

    met: Met
    anchor: NDArray[np.float64]
    known: NDArray[np.float64]


class Look(MovingTerm):
    """The points of one surface looking for facets of another."""

    points: Float[Array, "rows 3"]
    slave: Surface
    master: Surface
    facet: FacetElement = eqx.field(static=True)
    rule: Quadrature
    penalty: Any
    stick: Any
    onset: Any
    friction: Any
    history: SlipHistory
    refused: NDArray | None
    share: float = eqx.field(static=True)
    reach: float = eqx.field(static=True)
    frictional: bool = eqx.field(static=True)

    @property
    def symmetric(self) -> bool:
        """Where nothing drags."""
        return not self.frictional

    def pairs(self, displacement: np.ndarray, fraction: float) -> Pairs:
        """The nearest facet of each point that faces one."""
        place = np.asarray(self.points) + displacement[: len(self.points)]
        point, normal = surface_points(self.slave, place, self.facet, self.rule)
        met = search(point, normal, self.master, place, self.reach, self.refused)
        anchor, known = self._anchors(met, place)
        return Pairs(met, anchor, known)

    def _anchors(self, met: Met, place: np.ndarray) -> tuple[NDArray, NDArray]:
        """Where friction pulls each point to, as a place on the facet it meets now; 0 where it met none before."""
        before, at = self.history.facet[met.point], np.asarray(self.history.place)[met.point]
        anchor, moved = np.where((before >= 0)[:, None], at, met.near.place), (before >= 0) & (before != met.facet)
        if moved.any():
            from . import triangle

            width = self.master.facets.shape[1]
            there = place[self.master.facets[before[moved]]]
            kept = np.einsum("na,nai->ni", triangle.shape(np, width, at[moved]), there)
            now = place[self.master.facets[met.facet[moved]]]
            along = np.einsum("nad,nai->ndi", triangle.slope(np, width, met.near.place[moved]), now)
            right = np.einsum("ndi,ni->nd", along, kept - met.near.point[moved])
            step = np.linalg.solve(np.einsum("ndi,nfi->ndf", along, along), right[..., None])[..., 0]
            anchor[moved] = met.near.place[moved] + step
        return anchor, (before >= 0) * 1.0

    def paired(self, pairs: Pairs) -> PairTerm:
        """The forces of a pairing."""
        met, rule = pairs.met, self.rule
        owner, local = met.point // len(rule.weights), met.point % len(rule.weights)
        count = len(met.point)
        arrays: Any = (
            np.concatenate([self.slave.facets[owner], self.master.facets[met.facet]], axis=1),
            self.facet.shape(rule.points)[local],
            self.facet.gradient(rule.points)[local],
            self.share * rule.weights[local],
            met.near.place,
            feature_basis(met.near.feature),
            met.side,
            spread(self.penalty, count),
            spread(self.stick, count) * pairs.known,
            spread(self.onset, count),
            spread(self.friction, count),
            rows_of(self.history.multiplier, met.point),
            pairs.anchor,
            rows_of(self.history.opening, met.point),
        )
        return PairTerm(*arrays, self.frictional)  # pyright: ignore[reportCallIssue]


def spread(value: Any, count: int) -> Any:
    """One value for each of a changing number of pairs: in numpy, which compiles nothing, unless it is traced."""
    return (jnp if isinstance(value, jax.core.Tracer) else np).broadcast_to(value, (count,))  # pyright: ignore[reportAttributeAccessIssue]


def rows_of(values: Any, chosen: NDArray) -> Any:
    """Rows of an array, in numpy unless it is traced."""
    return (values if isinstance(values, jax.core.Tracer) else np.asarray(values))[chosen]  # pyright: ignore[reportAttributeAccessIssue]


def refined(rule: Quadrature, times: int) -> Quadrature:
    """A triangle's rule laid out over each of times² equal parts of it."""
    points = []
    for i in range(times):
        for j in range(times - i):
            points.append((np.array([i, j]) + rule.points) / times)
            if i + j < times - 1:
                points.append((np.array([i + 1, j + 1]) - rule.points) / times)
    weights = [rule.weights / times**2] * len(points)
    return Quadrature(np.concatenate(points), np.concatenate(weights))


def surface_points(
    surface: Surface, place: np.ndarray, facet: FacetElement, rule: Quadrature
) -> tuple[NDArray, NDArray]:
    """Points (n, 3) [m] of a rule on every facet of a surface, facet by facet, and unit normals there."""
    corners = place[surface.facets]
    point = np.einsum("qa,fai->fqi", facet.shape(rule.points), corners)
    along = np.einsum("qad,fai->fqdi", facet.gradient(rule.points), corners)
    normal = unit(np.cross(along[:, :, 0], along[:, :, 1]))
    return point.reshape(-1, 3), normal.reshape(-1, 3)


def _neighbours(contact: TissueContact, model: Model) -> NDArray:
    surface, place = contact.surfaces[0], np.asarray(model.points)
    facet = facet_of(surface.facets.shape[1])
    rule = refined(facet.quadrature, contact.refine)
    point, normal = surface_points(surface, place, facet, rule)
    owner = np.arange(len(point)) // len(rule.weights)
    return not_contact(point, normal, owner, surface, place, float(contact.reach or 0.0))


def _blank(count: int) -> tuple[Array, NDArray, Array, Array]:
    return jnp.zeros(count), np.full(count, -1, np.int64), jnp.zeros((count, 2)), jnp.zeros(count)
