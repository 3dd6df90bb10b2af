"""Contact of one point of a surface with one facet of another: forces on both, from the gap and the slip."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ..terms import Term
from . import law, triangle
from .points import ContactPoints


class PairTerm(Term):
    """Points that meet facets. The first half of a group's nodes carry the point, the others are the facet's.

    Pressure acts along the line from the nearest place to the point, so it turns nothing; friction is the slope of
    −t_α ξ^α in the nodes, ξ the nearest place, which no rigid motion of all nodes changes. Both together leave linear and
    angular momentum to round-off.

    Attributes:
        shape, slope: shape functions (m,) of the point and their derivatives (m, 2), constants.
        weight: of the quadrature rule.
        start: nearest place (2,) as the search found it.
        basis: (2, 2) directions in which it may move: face, edge or corner.
        side: 0 on the face, else ±1: outside or inside.
        penalty, stick [Pa/m], onset [m], friction, multiplier [Pa]: see `TissueContact`.
        anchor: place (2,) on the facet that friction pulls to.
        opening: gap [m] at the start of the step.
    """

    nodes: Int[Array, "groups m"]
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

    @property
    def symmetric(self) -> bool:
        """Where nothing drags, the forces are the slope of an energy."""
        return not self.frictional

    def force(self, reference: Array, displacement: Array, fraction: Array) -> Array:
        """Nodal forces [N] on the point's nodes and on the facet's."""
        half, place = len(self.shape), reference + displacement
        at = self._place(place)
        found = self._point(reference, place, at)
        normal = triangle.shape(jnp, half, at)
        push = found.area * found.pressure * self._direction(place, at)[1]
        force = jnp.concatenate([self.shape[:, None] * push, -normal[:, None] * push])
        if not self.frictional:
            return force
        _, pull = jax.vjp(self._place, place)
        return force - found.area * pull(self._drag(place, at, found.pressure, found.gap))[0]

    def points(self, reference: Array, displacement: Array, fraction: Array) -> ContactPoints:
        """What happens at every point."""

        def one(term: PairTerm, rest: Array, moved: Array) -> ContactPoints:
            place = rest + moved
            at = term._place(place)
            return term._point(rest, place, at)

        return jax.vmap(one)(self, reference, displacement)

    def _place(self, place: Array) -> Float[Array, "2"]:
        """The nearest place: Newton's method on the face or edge from where the search left it.

        One step is exact on a flat facet; two carry first and second derivatives through it on a curved one.
        """
        half = len(self.shape)
        point, corners, at = self.shape @ place[:half], place[half:], self.start
        idle = jnp.eye(2) * (jnp.abs(self.basis).sum(axis=0) == 0.0)
        for _ in range(1 if half == 3 else 2):
            off = point - triangle.shape(jnp, half, at) @ corners
            along = triangle.slope(jnp, half, at).T @ corners
            matrix = along @ along.T
            if half == 6:
                matrix = matrix - jnp.einsum("adf,ai,i->df", jnp.asarray(triangle.CURVATURE_6), corners, off)
            step = _solve(self.basis.T @ matrix @ self.basis + idle, self.basis.T @ (along @ off))
            at = at + self.basis @ step
        return at

    def _direction(self, place: Array, at: Array) -> tuple[Array, Array]:
        """Gap [m] and unit vector from the facet to the point."""
        half = len(self.shape)
        off = self.shape @ place[:half] - triangle.shape(jnp, half, at) @ place[half:]
        along = triangle.slope(jnp, half, at).T @ place[half:]
        normal = jnp.cross(along[0], along[1])
        normal = normal / law.safe_norm(normal)
        on_face, away = self.side == 0.0, law.safe_norm(off)
        apart = (away > 0.0) & ~on_face
        beside = self.side * off / jnp.where(apart, away, 1.0)
        return jnp.where(on_face, off @ normal, self.side * away), jnp.where(apart, beside, normal)

    def _point(self, reference: Array, place: Array, at: Array) -> ContactPoints:
        half = len(self.shape)
        gap, direction = self._direction(place, at)
        push = law.pressure(gap, self.multiplier, self.penalty, self.onset)
        tangent = self.slope.T @ reference[:half]
        area = self.weight * law.safe_norm(jnp.cross(tangent[0], tangent[1]))
        traction, anchor = push * direction, self.anchor
        if self.frictional:
            covariant = self._drag(place, at, push, gap)
            along = triangle.slope(jnp, half, at).T @ place[half:]
            contravariant = _solve(along @ along.T, covariant)
            traction = traction - contravariant @ along
            grip = jnp.where(self.stick > 0.0, self.stick, 1.0)
            anchor = at - contravariant / grip
        return ContactPoints(self.shape @ place[:half], gap, push, traction, area, anchor)

    def _drag(self, place: Array, at: Array, push: Array, gap: Array) -> Float[Array, "2"]:
        """Friction t·e_α [N/m] against the slip over the facet."""
        half = len(self.shape)
        along = triangle.slope(jnp, half, at).T @ place[half:]
        slip = law.sliding_share(gap, self.opening) * ((at - self.anchor) @ along)
        return along @ law.coulomb(slip, self.stick, self.friction * push)


def _solve(matrix: Array, right: Array) -> Array:
    """2 × 2."""
    (a, b), (c, d) = matrix
    return jnp.stack([d * right[0] - b * right[1], a * right[1] - c * right[0]]) / (a * d - b * c)
