"""The forces of contact with a rigid body, facet by facet."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..elements.base import FacetElement, Quadrature
from ..facets import facet_frames
from ..ramp import mean_ramp
from ..terms import Term
from . import law
from .points import ContactPoints
from .rigid_body import RigidBody
from .rule import refined


class RigidTerm(Term):
    """Contact of one facet with a rigid body, point by point of the facet's rule, laid out refine² times over it."""

    nodes: Int[Array, "groups m"]
    body: RigidBody
    penalty: Float[Array, " groups"]
    stick: Float[Array, " groups"]
    onset: Float[Array, " groups"]
    friction: Float[Array, " groups"]
    multiplier: Float[Array, "groups points"]
    anchor: Float[Array, "groups points 3"] | None
    opening: Float[Array, "groups points"] | None
    facet: FacetElement = eqx.field(static=True)
    frictional: bool = eqx.field(static=True)
    refine: int = eqx.field(static=True, default=1)

    @property
    def rule(self) -> Quadrature:
        """Where on a facet it acts."""
        return refined(self.facet.quadrature, self.refine)

    @property
    def symmetric(self) -> bool:
        """Where nothing drags, the forces are the slope of an energy."""
        return not self.frictional

    @property
    def stiffest(self) -> Term:
        """A bed of the penalty under every facet, with that of sticking along it: no contact pushes back harder."""
        from ..supports import BedTerm

        return BedTerm(self.nodes, self.penalty, jnp.maximum(self.penalty, self.stick), self.facet)

    def rows(self, chosen: np.ndarray) -> RigidTerm:
        """All groups share the body."""
        each = jax.tree.map(lambda leaf: np.asarray(leaf)[chosen], replace(self, body=None))
        return replace(each, body=jax.tree.map(jnp.asarray, self.body))

    def force(self, reference: Array, displacement: Array, fraction: Array) -> Array:
        """Nodal forces [N]."""
        found = self._points(reference, displacement, fraction)
        shape = jnp.asarray(self.facet.shape(self.rule.points))
        return jnp.einsum("q,qa,qi->ai", found.area, shape, found.traction)

    @property
    def conserving(self) -> bool:
        """Where nothing drags."""
        return not self.frictional

    def mean_force(self, reference: Array, before: Array, after: Array, fraction: Array) -> Array:
        """Nodal forces [N] of the mean pressure over the way of each point: exact work on a flat body at rest."""
        shape, normal = facet_frames(self.facet, reference, self.rule)
        area = self.rule.weights * jnp.linalg.norm(normal, axis=1)
        gaps = [jax.vmap(self.body.distance, (0, None))(shape @ (reference + u), fraction) for u in (before, after)]
        middle = shape @ (reference + 0.5 * (before + after))
        slope = jax.vmap(self.body.gap_and_normal, (0, None))(middle, fraction)[1]
        ends = [self.multiplier / self.penalty - gap for gap in gaps]
        push = self.penalty * mean_ramp(ends[0], ends[1], self.onset)
        return jnp.einsum("q,qa,qi->ai", area, shape, push[:, None] * slope)

    def forces(self, reference: Array, displacement: Array, fraction: Array) -> Array:
        """Of every group."""
        return self._each(RigidTerm.force, reference, displacement, fraction)

    def tangents(self, reference: Array, displacement: Array, fraction: Array) -> Array:
        """−∂force_a/∂u_b [N/m]."""
        slope = self._each(jax.jacfwd(RigidTerm.force, argnums=2), reference, displacement, fraction)
        return -jnp.transpose(slope, (0, 1, 3, 2, 4))

    def points(self, reference: Array, displacement: Array, fraction: Array) -> ContactPoints:
        """What happens at every point of every group."""
        return self._each(RigidTerm._points, reference, displacement, fraction)

    def _each(self, function: Any, reference: Array, displacement: Array, fraction: Array) -> Any:
        shared = self.body

        def one(group: RigidTerm, *at: Array) -> Any:
            return function(replace(group, body=shared), *at)

        return jax.vmap(one, in_axes=(0, 0, 0, None))(replace(self, body=None), reference, displacement, fraction)

    def _points(self, reference: Array, displacement: Array, fraction: Array) -> ContactPoints:
        shape, normal = facet_frames(self.facet, reference, self.rule)
        area = self.rule.weights * jnp.linalg.norm(normal, axis=1)
        place = shape @ (reference + displacement)
        gap, slope = jax.vmap(self.body.gap_and_normal, (0, None))(place, fraction)
        push = law.pressure(gap, self.multiplier, self.penalty, self.onset)
        traction, anchor = push[:, None] * slope, jnp.zeros_like(place)
        if self.frictional:
            drag, anchor = self._drag(place, gap, slope, push, fraction)
            traction = traction - drag
        return ContactPoints(place, gap, push, traction, area, anchor)

    def _drag(self, place: Array, gap: Array, slope: Array, push: Array, fraction: Array) -> tuple[Array, Array]:
        """Friction (Q, 3) [Pa] against the slip over the body, and the anchors moved on by what slipped."""
        now = jax.vmap(self.body.to_body, (0, None))(place, fraction)
        travel = jax.vmap(self.body.turn, (0, None))(now - self.anchor, fraction)  # pyright: ignore[reportOperatorIssue]
        unit = slope / jnp.maximum(law.safe_norm(slope), 1e-300)[:, None]
        slip = travel - jnp.sum(travel * unit, axis=1)[:, None] * unit
        slip = law.sliding_share(gap, self.opening, self.onset)[:, None] * slip  # pyright: ignore[reportArgumentType]
        drag = jax.vmap(law.coulomb, (0, None, 0))(slip, self.stick, self.friction * push)
        back = drag / self.stick
        share = self._turned_back(back, fraction)
        return drag, now - share

    def _turned_back(self, vectors: Array, fraction: Array) -> Array:
        """Rᵀ(t) times vectors (Q, 3)."""
        turned = jax.vmap(lambda axis: self.body.turn(axis, fraction))(jnp.eye(3))  # rows R e_i
        return vectors @ turned.T
