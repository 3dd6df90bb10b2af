"""Forces on facets: a pressure that follows the surface, and a traction that does not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ....imaging.errors import SolverError
from .. import given
from ..elements.base import FacetElement
from ..facets import closed_or_held, facet_frames, outward
from ..model import Model
from ..terms import Schedule, Term, schedule


class Pressure(eqx.Module):
    """A pressure that follows the deforming surface: f_a = −p ∫ N_a (∂x/∂ξ × ∂x/∂η) dξ dη.

    | symbol | meaning | unit |
    |---|---|---|
    | p `pressure` | positive presses against the outward normal, into the body | Pa |
    | `facets` | a facet set, normals outward | – |

    Its stiffness is symmetric over a closed surface or one whose rim is held (Bonet and Wood, section 8.5.2);
    `symmetric` = None finds out, and an open free rim makes the solver use GMRES.
    """

    facets: str = eqx.field(static=True)
    pressure: Float[Array, ""]
    when: Schedule
    symmetric: bool | None = eqx.field(static=True)

    def __init__(
        self, facets: str, pressure: float, *, during: Sequence[float] = (0.0, 1.0), symmetric: bool | None = None
    ) -> None:
        where = f"pressure on {facets!r}"
        self.facets, self.when = facets, schedule(during, where)
        self.pressure = given.array(pressure, "a pressure", where, (), (None,), advice="Give Pa: 1 mmHg is 133.3 Pa")
        self.symmetric = symmetric

    def check(self, model: Model) -> None:
        """Raise where a boundary facet's normal points into the body."""
        outward(model, self.facets)

    def bind(self, model: Model, held: np.ndarray | None = None) -> list[Term]:
        """A term per kind of facet. `held` (nodes,) marks nodes whose three components are prescribed."""
        groups = model.facet_groups(self.facets)
        check_count(self.pressure.shape, groups, f"pressure on {self.facets!r}")
        symmetric = closed_or_held(groups, held) if self.symmetric is None else self.symmetric
        return [
            PressureTerm(
                jnp.asarray(facets), jnp.broadcast_to(self.pressure, (len(facets),)), kind, self.when, symmetric
            )
            for kind, facets in groups
        ]


class Traction(eqx.Module):
    """A dead load: f_a = ∫ N_a t dA over the reference surface; t [Pa] in LPS axes keeps its direction."""

    facets: str = eqx.field(static=True)
    traction: Float[Array, "3"]
    when: Schedule

    def __init__(self, facets: str, traction: Sequence[float], *, during: Sequence[float] = (0.0, 1.0)) -> None:
        where = f"traction on {facets!r}"
        self.facets, self.when = facets, schedule(during, where)
        self.traction = given.array(traction, "a traction", where, (3,), (None, 3), advice="Give x, y, z in Pa")

    def bind(self, model: Model) -> list[Term]:
        """A term per kind of facet."""
        check_count(self.traction.shape[:-1], model.facet_groups(self.facets), f"traction on {self.facets!r}")
        return [
            TractionTerm(jnp.asarray(facets), jnp.broadcast_to(self.traction, (len(facets), 3)), kind, self.when)
            for kind, facets in model.facet_groups(self.facets)
        ]


def check_count(given_for: tuple[int, ...], groups: list[Any], where: str) -> None:
    """A load by facet has a value for each facet of the set.

    Raises:
        SolverError: it has not.
    """
    counts = [len(facets) for _, facets in groups]
    if given_for and given_for != tuple(counts):
        raise SolverError(
            f"{given_for[0]} values for {' + '.join(map(str, counts))} facets",
            where=where,
            advice="Give one value, or one for each facet of a set of one kind",
        )


class PressureTerm(Term):
    """Follower pressure on one facet."""

    nodes: Int[Array, "groups m"]
    pressure: Float[Array, " groups"]
    facet: FacetElement = eqx.field(static=True)
    when: Schedule
    conservative: bool = eqx.field(static=True)

    @property
    def symmetric(self) -> bool:
        """Over a closed surface, or one whose rim is held."""
        return self.conservative

    def force(self, reference: Array, displacement: Array, fraction: Array) -> Array:
        """Nodal forces [N] on the deformed facet."""
        shape, normal = facet_frames(self.facet, reference + displacement)
        return (
            -self.pressure
            * self.when(fraction)
            * jnp.einsum("q,qa,qi->ai", self.facet.quadrature.weights, shape, normal)
        )


class TractionTerm(Term):
    """Dead traction on one facet."""

    nodes: Int[Array, "groups m"]
    traction: Float[Array, "groups 3"]
    facet: FacetElement = eqx.field(static=True)
    when: Schedule

    @property
    def dead(self) -> bool:
        """Always."""
        return True

    def force(self, reference: Array, displacement: Array, fraction: Array) -> Array:
        """Nodal forces [N] on the reference facet."""
        shape, normal = facet_frames(self.facet, reference)
        area = self.facet.quadrature.weights * jnp.linalg.norm(normal, axis=1)
        return self.when(fraction) * (area @ shape)[:, None] * self.traction
