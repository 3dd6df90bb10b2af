"""Contact of a body with rigid instruments and bones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ....imaging.errors import SolverError
from .. import given
from ..elements import facet_of
from ..elements.base import Quadrature
from ..model import Model
from .penalty import ONSET_SHARE, default_penalty, facet_sizes
from .points import ContactPoints, contact_points
from .rigid_body import RigidBody
from .rigid_term import RigidTerm
from .rule import refined


class RigidContact(eqx.Module):
    """Facets that a rigid body may touch: it pushes with p = ε ρ(λ/ε − g), and drags with |t| ≤ μ p.

    | symbol | meaning | unit |
    |---|---|---|
    | `facets` | a facet set of the body, normals outward | – |
    | `body` | a `RigidBody`: a shape on a path | – |
    | ε `penalty` | pressure per penetration; None takes 20 times the stiffness per area of the element behind | Pa/m |
    | `penetration` | None: penalty method. A length: λ is moved on (Uzawa) until no point is deeper | m |
    | μ `friction` | Coulomb's coefficient; 0 slides freely and keeps the tangent symmetric | – |
    | ε_T `stick` | shear per elastic slip while it sticks; None takes ε | Pa/m |
    | w `onset` | width over which the law is rounded where contact opens; None takes 1e-5 of a facet | m |
    | `refine` | each facet's rule is laid out refine² times over it: nothing thin slips between its points | – |

    Pressures are per reference area. λ and the anchors of friction are history: `augmented` and `advanced` return the
    contact with them moved on.
    """

    two_sided: ClassVar[bool] = False
    facets: str = eqx.field(static=True)
    body: RigidBody
    penalty: Float[Array, "..."] | None
    friction: Float[Array, ""]
    stick: Float[Array, "..."] | None
    onset: Float[Array, "..."] | None
    penetration: float | None = eqx.field(static=True)
    refine: int = eqx.field(static=True)
    frictional: bool = eqx.field(static=True)
    multiplier: Float[Array, "facets points"] | None = None
    anchor: Float[Array, "facets points 3"] | None = None
    opening: Float[Array, "facets points"] | None = None

    def __init__(
        self,
        facets: str,
        body: RigidBody,
        *,
        penalty: float | None = None,
        penetration: float | None = None,
        friction: float = 0.0,
        stick: float | None = None,
        onset: float | None = None,
        refine: int = 1,
    ) -> None:
        if not isinstance(body, RigidBody):
            told = f"{type(body).__name__} is no rigid body"
            raise SolverError(told, where=f"contact of {facets!r}", advice="Give RigidBody(shape, path)")
        self.facets, self.body = facets, body
        checked = check_numbers(
            f"contact of {facets!r} with {body.label!r}", penalty, penetration, friction, stick, onset
        )
        self.penalty, self.friction, self.stick, self.onset = checked
        self.penetration, self.frictional = penetration, eqx.is_array(friction) or friction > 0
        self.refine = given.whole(refine, "refinements", self.label)
        self.multiplier = self.anchor = self.opening = None

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"contact of {self.facets!r} with {self.body.label!r}"

    def resolved(self, model: Model, held: np.ndarray | None = None) -> RigidContact:
        """With every number that was left open filled in from the model."""
        facets = model.facets_of(self.facets)
        penalty = jnp.asarray(default_penalty(model, facets, self.label)) if self.penalty is None else self.penalty
        onset = jnp.asarray(ONSET_SHARE * facet_sizes(model, facets)) if self.onset is None else self.onset
        return replace_fields(self, penalty=penalty, stick=penalty if self.stick is None else self.stick, onset=onset)

    def bind(self, model: Model) -> list[RigidTerm]:
        """One term."""
        facets = model.facets_of(self.facets)
        count, rule = len(facets), self.rule(facets)
        own = self if self.penalty is not None else self.resolved(model)
        numbers = (own.penalty, own.stick, own.onset, own.friction)
        penalty, stick, onset, friction = (jnp.broadcast_to(jnp.asarray(value), (count,)) for value in numbers)
        anchor, opening = self._slip_history(model, facets)
        return [
            RigidTerm(
                jnp.asarray(facets),
                own.body,
                penalty,
                stick,
                onset,
                friction,
                jnp.zeros((count, len(rule.weights))) if self.multiplier is None else self.multiplier,
                anchor,
                opening,
                facet_of(facets.shape[1]),
                self.frictional,
                self.refine,
            )
        ]

    def rule(self, facets: np.ndarray) -> Quadrature:
        """Where on each of the facets (facets, m) it acts."""
        return refined(facet_of(facets.shape[1]).quadrature, self.refine)

    def _slip_history(self, model: Model, facets: np.ndarray) -> tuple[Array | None, Array | None]:
        """Anchors and gaps of the last step; before the first, of the body at rest."""
        if not self.frictional:
            return None, None
        if self.anchor is not None:
            return self.anchor, self.opening
        shape = jnp.asarray(facet_of(facets.shape[1]).shape(self.rule(facets).points))
        place = jnp.einsum("qa,fai->fqi", shape, model.points[facets])
        return place, jax.vmap(jax.vmap(self.body.distance, (0, None)), (0, None))(place, 0.0)

    def points(self, model: Model, displacement: np.ndarray, fraction: float) -> ContactPoints:
        """What happens at the points (facets, points of the rule) at a displacement (rows, 3) [m]."""
        return contact_points(self.bind(model)[0], np.asarray(model.points), np.asarray(displacement), fraction)

    def begun(self, model: Model) -> RigidContact:
        """With the history of a body at rest."""
        term: Any = self.bind(model)[0]
        return replace_fields(self, multiplier=term.multiplier, anchor=term.anchor, opening=term.opening)

    def multipliers(self) -> list[Any]:
        """What Uzawa's rounds move on: pressures, none below zero [Pa]; nothing in the penalty method."""
        return [] if self.penetration is None or self.multiplier is None else [self.multiplier]

    def with_multipliers(self, values: list[Array]) -> RigidContact:
        """With others."""
        return replace_fields(self, multiplier=values[0]) if values else self

    def augmented(self, model: Model, displacement: np.ndarray, fraction: float) -> tuple[RigidContact, bool]:
        """λ ← p, where a point is deeper than allowed, or pressed while apart by more than that."""
        if self.penetration is None:
            return self, False
        found = self.points(model, displacement, fraction)
        off = np.where(found.pressure > 0, np.abs(found.gap), np.maximum(-found.gap, 0.0))
        width = np.broadcast_to(np.asarray(self.resolved(model).onset), len(off))[:, None]
        if not (off > self.penetration + 0.5 * width * (found.gap > 0)).any():
            return self, False
        return replace_fields(self, multiplier=jnp.asarray(found.pressure)), True

    def renewed(self, model: Model, displacement: Array, fraction: Any) -> tuple[list[Array], Array]:
        """What `augmented` would move λ to [Pa], and whether it need not, as a pure function of every array."""
        term: Any = self.bind(model)[0]
        found = term.points(model.points[term.nodes], displacement[term.nodes], fraction)
        off = jnp.where(found.pressure > 0, jnp.abs(found.gap), jnp.maximum(-found.gap, 0.0))
        allowed = self.penetration + 0.5 * term.onset[:, None] * (found.gap > 0)
        return [found.pressure], jnp.all(off <= allowed)

    def advanced(self, model: Model, displacement: np.ndarray, fraction: float) -> RigidContact:
        """With anchors where friction has left them, after a converged load step."""
        if not self.frictional:
            return self
        found = self.points(model, displacement, fraction)
        return replace_fields(self, anchor=jnp.asarray(found.anchor), opening=jnp.asarray(found.opening))

    def slip(self) -> list[Any]:
        """The arrays that are the history of friction."""
        return [self.anchor, self.opening]

    def moved_on(self, model: Model, displacement: Array, fraction: Any, _: Any = ()) -> RigidContact:
        """`advanced` as a pure function of every array, in one piece."""
        if not self.frictional:
            return self
        term = self.bind(model)[0]
        found = term.points(model.points[term.nodes], displacement[term.nodes], fraction)
        return replace_fields(self, anchor=found.anchor, opening=found.opening)


def check_numbers(
    where: str, penalty: Any, penetration: float | None, friction: Any, stick: Any, onset: Any
) -> tuple[Array | None, Array, Array | None, Array | None]:
    """Penalty, friction, stick and onset as arrays.

    Raises:
        SolverError: one is negative, zero where that is not possible, or not finite.
    """
    tiny, advice = float(np.finfo(float).tiny), "It must be positive"
    if penetration is not None:
        given.number(penetration, "a penetration", where, above=0.0, advice=f"{advice}, in m")
    some = []
    for name, value in (("a penalty", penalty), ("a stick", stick), ("an onset", onset)):
        found = None if value is None else given.array(value, name, where, (), (None,), advice=advice)
        some.append(found if found is None else given.at_least(found, tiny, name, "", where, advice))
    rough = "Most tissues lie in 0 to 0.5"
    drag = given.array(friction, "a friction", where, (), (None,), advice=rough)
    return some[0], given.at_least(drag, 0.0, "a friction", "", where, rough), some[1], some[2]


def replace_fields(module: Any, **fields: Any) -> Any:
    """A copy of a module with some fields changed, without running its constructor."""
    copy = object.__new__(type(module))
    for name in module.__dataclass_fields__:
        object.__setattr__(copy, name, fields.get(name, getattr(module, name)))
    return copy


__all__: Sequence[str] = ["RigidContact", "RigidTerm", "check_numbers", "replace_fields"]
