"""The way of surface points through a rigid body: those that come out on another side than they went in.

A signed distance pushes a point out where it is nearest, so that one beyond the middle of a thin body is pushed on. It
has got there where the slope of the distance has turned by more than a right angle since it went in, and it has been
about as deep as the straight line between the two places: a point that slides around a body turns as far, but stays
flat.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray

from ..elements import facet_of
from ..model import Model
from .penalty import facet_sizes
from .rigid import RigidContact
from .rigid_body import RigidBody
from .rule import refined

FINER = 2
"""Over a contact's own rule: how much closer the places lie that are followed, at least; places between its points are
where a facet that is wider than the body gives way."""
FINEST = 16
SAMPLES = 33
"""Places that are looked at on a straight way."""
DEPTH_SHARE = 0.5
"""Of the depth of the straight line: how deep a point has been that has not slid around."""


@dataclass(frozen=True)
class Ways:
    """Of each place that is followed, in the frame of the body [m]: where it is, where it went in, its slope there.

    `deepest` is its smallest distance since; `inside` tells whether it is in now.
    """

    now: NDArray[np.float64]
    distance: NDArray[np.float64]
    entry: NDArray[np.float64]
    slope: NDArray[np.float64]
    deepest: NDArray[np.float64]
    inside: NDArray[np.bool_]

    @classmethod
    def begun(cls, model: Model, contact: RigidContact, fraction: float, displacement: NDArray) -> Ways:
        """At the first state (nodes, 3) [m]; places that are in the body then went in where they are."""
        now = np.asarray(_in_frame(contact.body, followed(model, contact, displacement), fraction))
        distance, slope = (np.asarray(part) for part in _looked(contact.body, now))
        return cls(now, distance, now, slope, distance, distance < 0.0)

    def on(
        self, model: Model, contact: RigidContact, fraction: float, displacement: NDArray
    ) -> tuple[Ways, NDArray | None]:
        """At the next state, and a place [m] that has got through on the way to it; None where none has."""
        places = followed(model, contact, displacement)
        end = np.asarray(_in_frame(contact.body, places, fraction))
        chosen = np.flatnonzero(self.inside | (self.distance < np.linalg.norm(end - self.now, axis=1)))
        distance = np.asarray(_looked(contact.body, end)[0])
        after = replace(self, now=end, distance=distance, inside=distance < 0.0)
        if chosen.size == 0:
            return after, None
        rows = np.resize(chosen, 1 << (len(chosen) - 1).bit_length())  # few sizes, so that few are compiled
        known = (self.now, end, self.entry, self.slope, self.deepest, self.inside)
        found = _gone(contact.body, *(part[rows] for part in known))
        through, *parts = (np.asarray(part)[: len(chosen)] for part in found)
        kept = [part.copy() for part in (self.entry, self.slope, self.deepest)]
        for old, new in zip(kept, parts, strict=True):
            old[chosen] = new
        place = places[chosen[int(np.argmax(through))]] if through.any() else None
        return replace(after, entry=kept[0], slope=kept[1], deepest=kept[2]), place


def followed(model: Model, contact: RigidContact, displacement: NDArray) -> NDArray[np.float64]:
    """Places (n, 3) [m] on the facets of a contact, closer together than its points, and than the body is thin."""
    facets = model.facets_of(contact.facets)
    facet = facet_of(facets.shape[1])
    wide = float(facet_sizes(model, facets).mean()) / max(0.5 * float(contact.body.shape.thinnest), 1e-300)
    times = int(np.clip(np.ceil(wide), FINER * contact.refine, max(FINEST, FINER * contact.refine)))
    shape = facet.shape(refined(facet.quadrature, times).points)
    return np.einsum("qa,fai->fqi", shape, (np.asarray(model.points) + displacement)[facets]).reshape(-1, 3)


@jax.jit
def _in_frame(body: RigidBody, places: Any, fraction: Any) -> Any:
    return jax.vmap(body.to_body, (0, None))(places, fraction)


@jax.jit
def _looked(body: RigidBody, places: Any) -> Any:
    return jax.vmap(jax.value_and_grad(body.shape.distance))(places)


@jax.jit
def _gone(body: RigidBody, start: Any, end: Any, entry: Any, slope: Any, deepest: Any, inside: Any) -> Any:
    """Of each straight way: whether it leads through; where it went in, the slope there, how deep it has been."""
    share = jnp.linspace(0.0, 1.0, SAMPLES)[:, None]

    def along(first: Any, last: Any) -> tuple[Any, Any]:
        way = (1.0 - share) * first + share * last
        return way, jax.vmap(body.shape.distance)(way)

    def one(start: Any, end: Any, entry: Any, slope: Any, deepest: Any, inside: Any) -> Any:
        way, distance = along(start, end)
        within = distance < 0.0
        first, last = way[jnp.argmax(within)], way[SAMPLES - 1 - jnp.argmax(within[::-1])]
        entry = jnp.where(inside, entry, first)
        slope = jnp.where(inside, slope, jax.grad(body.shape.distance)(first))
        deepest = jnp.where(inside, jnp.minimum(deepest, distance.min()), distance.min())
        depth, beyond = jax.value_and_grad(body.shape.distance)(last)
        straight = along(entry, last - depth * beyond)[1].min()
        turned = jnp.dot(slope, beyond) < 0.0
        return within.any() & turned & (deepest < DEPTH_SHARE * straight), entry, slope, deepest

    return jax.vmap(one)(start, end, entry, slope, deepest, inside)
