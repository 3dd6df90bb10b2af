"""Contact between two surfaces of the body, or of one surface with itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from .. import given
from ..elements import facet_of
from ..model import Model
from ..moving import CHUNK
from .look import Look, Pairs, SlipHistory, surface_points
from .penalty import ONSET_SHARE, default_penalty, facet_sizes
from .points import ContactPoints, contact_points
from .rigid import check_numbers, replace_fields
from .rule import refined
from .search import Met, not_contact
from .surface import Surface


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

    two_sided: ClassVar[bool] = False
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
            surfaces=tuple(Surface.of(f) for f in facets),
        )
        return replace_fields(found, refused=_neighbours(found, model)) if self.other is None else found

    def bind(self, model: Model) -> list[Look]:
        """One moving term for each side that looks."""
        own = self if self.surfaces else self.resolved(model)
        return [own._look(model, k) for k in range(2 if own.both and own.other is not None else 1)]

    def _look(self, model: Model, k: int) -> Look:
        slave, master = self.surfaces[k], self.surfaces[(k + 1) % len(self.surfaces)]
        share = 1.0 if len(self.surfaces) == 2 and not self.both else 0.5
        facet = facet_of(slave.faces.shape[1])
        rule = refined(facet.quadrature, self.refine)
        kept = SlipHistory.blank(len(slave.faces) * len(rule.weights))
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
        if self.history is not None or not (self.frictional or self.penetration is not None):
            return self
        blank = replace_fields(self, history=tuple(look.history for look in self.bind(model)))
        return blank.advanced(model, np.zeros(model.points.shape), 0.0)

    def multipliers(self) -> list[Any]:
        """What Uzawa's rounds move on: pressures, none below zero [Pa]; nothing in the penalty method."""
        return [] if self.penetration is None else [kept.multiplier for kept in self.history or ()]

    def with_multipliers(self, values: list[Array]) -> TissueContact:
        """With others."""
        if not values or self.history is None:
            return self
        moved = zip(self.history, values, strict=True)
        return replace_fields(self, history=tuple(replace_fields(kept, multiplier=value) for kept, value in moved))

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
        moved = zip(self.points(model, displacement, fraction), self.bind(model), strict=True)
        return replace_fields(self, history=tuple(_kept(look.history, met, at) for (met, at), look in moved))

    def slip(self) -> list[Any]:
        """The arrays that are the history of friction."""
        return [part for kept in self.history or () for part in (kept.facet, kept.place, kept.opening)]

    def moved_on(self, model: Model, displacement: Array, fraction: Any, pairs: Sequence[Pairs]) -> TissueContact:
        """`advanced` as a pure function of every array, at the pairs of each side that looks."""
        if not self.frictional:
            return self
        kept = []
        for look, found in zip(self.bind(model), pairs, strict=True):
            term = look.paired(found)
            at = term.points(model.points[term.nodes], displacement[term.nodes], fraction)
            kept.append(_kept(look.history, found.met, at))
        return replace_fields(self, history=tuple(kept))


def _kept(before: SlipHistory, met: Met, at: ContactPoints) -> SlipHistory:
    """What is remembered of a converged step: points that meet nothing forget."""
    count = len(before.facet)
    facet = np.full(count, -1, np.int64)
    facet[met.point] = met.facet
    return SlipHistory(before.multiplier, facet, *(_laid(count, met.point, part) for part in (at.anchor, at.opening)))


def _laid(count: int, chosen: NDArray, values: Any) -> Array:
    """Rows in their place, zero elsewhere; numpy where it can be, which compiles nothing for another count."""
    shape = (count, *np.shape(values)[1:])
    if not isinstance(values, np.ndarray):
        return jnp.zeros(shape).at[chosen].set(values)
    found = np.zeros(shape)
    found[chosen] = values
    return jnp.asarray(found)


def _neighbours(contact: TissueContact, model: Model) -> NDArray:
    surface, place = contact.surfaces[0], np.asarray(model.points)
    facet = facet_of(surface.faces.shape[1])
    rule = refined(facet.quadrature, contact.refine)
    point, normal = surface_points(surface, place, facet, rule)
    owner = np.arange(len(point)) // len(rule.weights)
    return not_contact(point, normal, owner, surface, place, float(contact.reach or 0.0))
