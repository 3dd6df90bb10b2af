"""Contact of one point of a surface with one facet of another: forces on both, from the gap and the slip."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ..terms import Term
from . import law, triangle
from .points import ContactPoints


class PairTerm(Term):
    """Points that meet facets. The first nodes of a group carry the point, the others are the facet's.

    Pressure acts along the line from the nearest place to the point, so it turns nothing; friction is the slope of
    −t_α ξ^α in the nodes, ξ the nearest place, which no rigid motion of all nodes changes. Both together leave linear
    and angular momentum to round-off.

    Attributes:
        shape, slope: shape functions (m,) of the point and their derivatives (m, 2), constants.
        weight: of the quadrature rule.
        start: nearest place (2,) as the search found it.
        basis: (2, 2) directions in which it may move: face, edge or corner.
        side: 0 on the face, else ±1: outside or inside.
        penalty, stick [Pa/m], onset [m], friction, multiplier [Pa]: see `TissueContact`.
        anchor: place (2,) on the facet that friction pulls to.
        opening: gap [m] at the start of the step.
        left: where points have come over from other facets, place (2,) on the one that each left; its nodes are then
            the last of the group. No force acts on them, but the place that friction pulls to goes with them.
        crossed: 1 for a point that has come over, 0 for one whose facet is the same.
    """

    nodes: Int[Array, "groups k"]
    shape: Float[Array, "groups n"]
    slope: Float[Array, "groups n 2"]
    weight: Float[Array, " groups"]
    start: Float[Array, "groups 2"]
    basis: Float[Array, "groups 2 2"]
    side: Float[Array, " groups"]
    penalty: Float[Array, " groups"]
    stick: Float[Array, " groups"]
    onset: Float[Array, " groups"]
    friction: Float[Array, " groups"]
    multiplier: Float[Array, " groups"]
    anchor: Float[Array, "groups 2"]
    opening: Float[Array, " groups"]
    frictional: bool = eqx.field(static=True)
    left: Float[Array, "groups 2"] | None = None
    crossed: Float[Array, " groups"] | None = None

    @property
    def symmetric(self) -> bool:
        """Where nothing drags, the forces are the slope of an energy."""
        return not self.frictional

    @property
    def stiffest(self) -> PairBed:
        """Every point pressed on and stuck to what it faces."""
        return PairBed(self.nodes, self)

    def force(self, reference: Array, displacement: Array, fraction: Array) -> Array:
        """Nodal forces [N] on the point's nodes and on the facet's."""
        return self._spread(self._force(self._area(reference), self._ends(reference + displacement)))

    def tangents(self, reference: Array, displacement: Array, fraction: Array) -> Array:
        """−∂force_a/∂u_b [N/m], by way of the point that the first nodes carry."""

        def one(term: PairTerm, rest: Array, moved: Array) -> Array:
            ends, count = term._ends(rest + moved), len(rest)
            slope = jax.jacfwd(term._force, argnums=1)(term._area(rest), ends)  # (1 + m, 3, 1 + m, 3)
            rows = term._spread(slope.reshape(len(ends), -1)).reshape(count, 3, len(ends), 3)
            columns = jnp.transpose(rows, (2, 0, 1, 3)).reshape(len(ends), -1)
            whole = term._spread(columns).reshape(count, count, 3, 3)  # (b, a, i, j)
            return -jnp.transpose(whole, (1, 0, 2, 3))

        return jax.vmap(one)(self, reference, displacement)

    def _ends(self, place: Array) -> Array:
        """The point and the facets' nodes (1 + m, 3) [m], of nodes at `place`."""
        carried = len(self.shape)
        return jnp.concatenate([_carry(self.shape, place[:carried])[None], place[carried:]])

    def _spread(self, values: Array) -> Array:
        """Rows of the point and of the facets' nodes (1 + m, …), to the nodes that carry the point and the facets'."""
        return jnp.concatenate([self.shape[:, None] * values[0], values[1:]])

    def _area(self, reference: Array) -> Array:
        """Reference area [m²] that the point stands for."""
        rest = reference[: len(self.shape)]
        tangent = [_carry(self.slope[:, k], rest) for k in (0, 1)]
        return self.weight * law.safe_norm(jnp.cross(tangent[0], tangent[1]))

    def _force(self, area: Array, ends: Array) -> Float[Array, "n 3"]:
        """[N] on the point and on the facets' nodes, which are at `ends` (1 + m, 3) [m]."""
        ends, beyond = self._parted(ends)
        at = self._place(ends)
        gap, direction = self._direction(ends, at)
        pressure = law.pressure(gap, self.multiplier, self.penalty, self.onset)
        push = area * pressure * direction
        share = triangle.shape(jnp, len(ends) - 1, at)
        force = jnp.concatenate([push[None], -share[:, None] * push])
        if self.frictional:
            _, pull = jax.vjp(self._place, ends)
            drag = self._drag(ends, at, pressure, gap, self._pulled_to(ends, at, beyond))
            force = force - area * pull(drag)[0]
        return force if beyond is None else jnp.concatenate([force, jnp.zeros_like(beyond)])

    def _parted(self, ends: Array) -> tuple[Array, Array | None]:
        """The point with its facet, and the nodes of the facet that it left."""
        if self.left is None:
            return ends, None
        width = (len(ends) - 1) // 2
        return ends[: 1 + width], ends[1 + width :]

    def _pulled_to(self, ends: Array, at: Array, beyond: Array | None) -> Float[Array, "2"]:
        """The anchor as a place on this facet: of a point that has come over, the foot of where it was left."""
        if beyond is None or self.left is None or self.crossed is None:
            return self.anchor
        width, along = len(beyond), self._along(ends, at)
        kept = _carry(triangle.shape(jnp, width, self.left), beyond)
        off = kept - _carry(triangle.shape(jnp, width, at), ends[1:])
        step = _solve([[_dot(p, q) for q in along] for p in along], [_dot(p, off) for p in along])
        return jnp.where(self.crossed > 0.0, at + jnp.stack(step), self.anchor)

    def points(self, reference: Array, displacement: Array, fraction: Array) -> ContactPoints:
        """What happens at every point."""

        def one(term: PairTerm, rest: Array, moved: Array) -> ContactPoints:
            ends, beyond = term._parted(term._ends(rest + moved))
            return term._point(term._area(rest), ends, term._place(ends), beyond)

        return jax.vmap(one)(self, reference, displacement)

    def _place(self, ends: Array) -> Float[Array, "2"]:
        """The nearest place: Newton's method on the face or edge from where the search left it.

        One step is exact on a flat facet; two carry first and second derivatives through it on a curved one.
        """
        width, corners, at = len(ends) - 1, ends[1:], self.start
        idle = [1.0 * (jnp.abs(self.basis[0, k]) + jnp.abs(self.basis[1, k]) == 0.0) for k in (0, 1)]
        for _ in range(2 if width == 6 else 1):
            off = ends[0] - _carry(triangle.shape(jnp, width, at), corners)
            slope = triangle.slope(jnp, width, at)
            along = [_carry(slope[:, k], corners) for k in (0, 1)]
            metric = [[_dot(p, q) for q in along] for p in along]
            if width == 6:
                bend = np.array(triangle.CURVATURE_6)
                metric = [[metric[d][f] - _dot(_carry(bend[:, d, f], corners), off) for f in (0, 1)] for d in (0, 1)]
            columns = [self.basis[:, k] for k in (0, 1)]
            steep = [
                [sum(p[d] * metric[d][f] * q[f] for d in (0, 1) for f in (0, 1)) for q in columns] for p in columns
            ]
            right = [sum(p[d] * _dot(along[d], off) for d in (0, 1)) for p in columns]
            steep[0][0], steep[1][1] = steep[0][0] + idle[0], steep[1][1] + idle[1]
            step = _solve(steep, right)  # pyright: ignore[reportArgumentType]
            at = at + columns[0] * step[0] + columns[1] * step[1]
        return at

    def _direction(self, ends: Array, at: Array) -> tuple[Array, Array]:
        """Gap [m] and unit vector from the facet to the point."""
        off = ends[0] - _carry(triangle.shape(jnp, len(ends) - 1, at), ends[1:])
        along = self._along(ends, at)
        normal = jnp.cross(along[0], along[1])
        normal = normal / law.safe_norm(normal)
        on_face, away = self.side == 0.0, law.safe_norm(off)
        apart = (away > 0.0) & ~on_face
        beside = self.side * off / jnp.where(apart, away, 1.0)
        return jnp.where(on_face, _dot(off, normal), self.side * away), jnp.where(apart, beside, normal)

    def _along(self, ends: Array, at: Array) -> list[Array]:
        """∂x/∂ξ and ∂x/∂η of the facet [m]."""
        slope = triangle.slope(jnp, len(ends) - 1, at)
        return [_carry(slope[:, k], ends[1:]) for k in (0, 1)]

    def _point(self, area: Array, ends: Array, at: Array, beyond: Array | None) -> ContactPoints:
        gap, direction = self._direction(ends, at)
        push = law.pressure(gap, self.multiplier, self.penalty, self.onset)
        traction, anchor = push * direction, self.anchor
        if self.frictional:
            along = self._along(ends, at)
            drag = self._drag(ends, at, push, gap, self._pulled_to(ends, at, beyond))
            back = _solve([[_dot(p, q) for q in along] for p in along], drag)
            traction = traction - back[0] * along[0] - back[1] * along[1]
            anchor = at - jnp.stack(back) / jnp.where(self.stick > 0.0, self.stick, 1.0)
        return ContactPoints(ends[0], gap, push, traction, area, anchor)

    def _drag(self, ends: Array, at: Array, push: Array, gap: Array, anchor: Array) -> Float[Array, "2"]:
        """Friction t·e_α [N/m] against the slip over the facet."""
        along, moved = self._along(ends, at), at - anchor
        slip = law.sliding_share(gap, self.opening, self.onset) * (moved[0] * along[0] + moved[1] * along[1])
        drag = law.coulomb(slip, self.stick, self.friction * push)
        return jnp.stack([_dot(along[0], drag), _dot(along[1], drag)])


class PairBed(Term):
    """Springs between points and the places they face, in all directions: no contact of these pairs is stiffer."""

    nodes: Int[Array, "groups k"]
    pair: PairTerm

    def force(self, reference: Array, displacement: Array, fraction: Array) -> Array:
        """−ε A w wᵀ u with w the shape functions of the point, and minus those of the facet."""
        carried = len(self.pair.shape)
        facing = triangle.shape(jnp, len(reference) - carried, self.pair.start)
        share = jnp.concatenate([self.pair.shape, -facing])
        stiffness = jnp.maximum(self.pair.penalty, self.pair.stick) * self.pair._area(reference)
        return -stiffness * share[:, None] * _carry(share, displacement)[None]


def _carry(shape: Any, nodes: Array) -> Float[Array, "3"]:
    """Σ N_a x_a, written out: XLA compiles products of small matrices slowly."""
    return jnp.sum(shape[:, None] * nodes, axis=0)


def _dot(left: Array, right: Array) -> Array:
    return jnp.sum(left * right)


def _solve(matrix: Sequence[Sequence[Array]], right: Sequence[Array] | Array) -> list[Array]:
    """2 × 2."""
    (a, b), (c, d) = matrix
    det = a * d - b * c
    return [(d * right[0] - b * right[1]) / det, (a * right[1] - c * right[0]) / det]
