"""Supports: held nodes, elastic beds and ligaments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ...imaging.errors import SolverError
from . import given
from .elements.base import FacetElement
from .facets import facet_frames
from .materials.strand import KINK
from .model import Model
from .ramp import mean_ramp, ramp
from .terms import Constraint, Term, components_of

SOFTEST_BED = 1.0
"""N/m³: under it 1 m of displacement meets a pascal; 0.1 kPa/mm, the softest fat, is 1e5."""


class Fixed(eqx.Module):
    """Nodes of a set that do not move, in the components named (`"xyz"`, LPS)."""

    nodes: str = eqx.field(static=True)
    components: str = eqx.field(static=True, default="xyz")

    def bind(self, model: Model) -> list[Constraint]:
        """One constraint."""
        return [FixedNodes(model.nodes_of(self.nodes), components_of(self.components), f"Fixed({self.nodes!r})")]


class FixedNodes(Constraint):
    """Zero displacement."""

    nodes: Int[np.ndarray, " n"]
    components: tuple[bool, bool, bool] = eqx.field(static=True)
    label: str = eqx.field(static=True)

    def values(self, points: Array, fraction: Array | float) -> Array:
        """Zero [m]."""
        return jnp.zeros((len(self.nodes), 3))


class Springs(eqx.Module):
    """An elastic bed: traction −kₙ n n·u − kₜ (u − n n·u) on the reference surface (Robin condition).

    A one-sided bed is a neighbour that the body lies on and may leave: it pushes back where n·u > 0 and never
    pulls; along the surface kₜ holds as before (folds and fat that tether), by default not at all. Over the first
    `onset` of n·u its stiffness grows from zero, so that the tangent stays continuous: traction −kₙ n ρ(n·u) with
    ρ(g) = g²/2w for 0 < g < w, g − w/2 above.

    | symbol | meaning | unit |
    |---|---|---|
    | kₙ `stiffness` | force per area and displacement along the normal | N/m³ |
    | kₜ `tangential` | the same along the surface; None takes kₙ (0 where one-sided), 0 lets it slide | N/m³ |
    | w `onset` | of a one-sided bed | m |
    | `rest` | (nodes, 3) displacement at which the bed is at rest, taken off u; None is zero | m |
    """

    facets: str = eqx.field(static=True)
    stiffness: Float[Array, ""]
    tangential: Float[Array, ""]
    one_sided: bool = eqx.field(static=True)
    onset: float = eqx.field(static=True)
    rest: Float[Array, "nodes 3"] | None = None

    def __init__(
        self,
        facets: str,
        stiffness: float,
        tangential: float | None = None,
        *,
        one_sided: bool = False,
        onset: float = 5e-4,
        rest: Float[Array, "nodes 3"] | None = None,
    ) -> None:
        where = f"support on {facets!r}"
        self.facets, self.one_sided = facets, one_sided
        self.onset = given.number(onset, "an onset", where, above=0.0, advice="Give m")
        self.stiffness = _stiffness(stiffness, where, SOFTEST_BED, "Give N/m³: 1 kPa/mm is 1e6")
        along = 0.0 if one_sided else stiffness
        self.tangential = _stiffness(along if tangential is None else tangential, where)
        self.rest = None if rest is None else given.array(rest, "a rest", where, (None, 3))

    def bind(self, model: Model) -> list[Term]:
        """A term per kind of facet."""
        if self.rest is not None and self.rest.shape != model.points.shape:
            raise SolverError(
                f"rest has shape {self.rest.shape}, the model's nodes {model.points.shape}",
                where=f"support on {self.facets!r}",
            )
        onset, terms = self.onset if self.one_sided else None, []
        for kind, facets in model.facet_groups(self.facets):
            count = (len(facets),)
            normal, along = jnp.broadcast_to(self.stiffness, count), jnp.broadcast_to(self.tangential, count)
            rest = None if self.rest is None else self.rest[facets]
            terms.append(BedTerm(jnp.asarray(facets), normal, along, kind, onset, rest))
        return terms


class PointSprings(eqx.Module):
    """Springs from the nodes of a set to where they started: `stiffness` [N/m] in total, shared evenly."""

    nodes: str = eqx.field(static=True)
    stiffness: Float[Array, ""]

    def __init__(self, nodes: str, stiffness: float) -> None:
        self.nodes, self.stiffness = nodes, _stiffness(stiffness, f"springs of {nodes!r}")

    def bind(self, model: Model) -> list[Term]:
        """One term."""
        nodes = model.nodes_of(self.nodes)
        share = jnp.broadcast_to(self.stiffness / len(nodes), (len(nodes),))
        return [PointSpringTerm(jnp.asarray(nodes)[:, None], share)]


class Ligament(eqx.Module):
    """Strands from the nodes of a set to one anchor, which pull and never push: T = k max(ℓ − s ℓ₀, 0).

    | symbol | meaning | unit |
    |---|---|---|
    | k `stiffness` | of the whole ligament, shared evenly by its strands | N/m |
    | `anchor` | where it holds, LPS | m |
    | s `slack` | rest length over distance at the start ℓ₀; 1 is just taut | – |
    """

    nodes: str = eqx.field(static=True)
    stiffness: Float[Array, ""]
    anchor: Float[Array, "3"]
    slack: Float[Array, ""]

    def __init__(self, nodes: str, stiffness: float, anchor: Sequence[float], *, slack: float = 1.0) -> None:
        where = f"ligament of {nodes!r}"
        self.nodes, self.stiffness = nodes, _stiffness(stiffness, where)
        self.anchor = given.array(anchor, "an anchor", where, (3,), advice="Give x, y, z in m")
        self.slack = given.array(slack, "a slack", where, (), advice="1 is just taut")
        given.at_least(self.slack, 0.0, "a slack", "", where, "1 is just taut")

    def bind(self, model: Model) -> list[Term]:
        """One term."""
        nodes = model.nodes_of(self.nodes)
        count = len(nodes)
        traced = any(isinstance(value, jax.core.Tracer) for value in (model.points, self.anchor))  # pyright: ignore[reportAttributeAccessIssue]
        if not traced and (np.linalg.norm(np.asarray(model.points)[nodes] - self.anchor, axis=1) == 0.0).any():
            raise SolverError("the anchor lies on a node it holds", where=f"ligament of {self.nodes!r}")
        share = jnp.broadcast_to(self.stiffness / count, (count,))
        anchors = jnp.broadcast_to(self.anchor, (count, 3))
        return [LigamentTerm(jnp.asarray(nodes)[:, None], share, anchors, jnp.broadcast_to(self.slack, (count,)))]


def _stiffness(value: float, where: str, softest: float = 0.0, advice: str = "") -> Array:
    """Zero, or more than the softest that is plausible."""
    found = given.array(value, "a stiffness", where, (), (None,), advice=advice)
    given.at_least(found, 0.0, "a stiffness", "", where, advice)
    return given.at_least(found, softest, "a stiffness", "", where, advice) if given.positive(found) else found


class BedTerm(Term):
    """Robin springs on one facet."""

    nodes: Int[Array, "groups m"]
    stiffness: Float[Array, " groups"]
    tangential: Float[Array, " groups"]
    facet: FacetElement = eqx.field(static=True)
    onset: float | None = eqx.field(static=True, default=None)
    """Of a one-sided bed; None where the bed pulls as it pushes."""
    rest: Float[Array, "groups m 3"] | None = None

    @property
    def stiffest(self) -> Term:
        """Pressed in."""
        return replace(self, onset=None)

    def force(self, reference: Array, displacement: Array, fraction: Array) -> Array:
        """Nodal forces [N]."""
        return self._push(reference, displacement, displacement)

    @property
    def conserving(self) -> bool:
        """Whether its force is no line in the displacement, so that a mean over a step does other work."""
        return self.onset is not None

    def mean_force(self, reference: Array, before: Array, after: Array, fraction: Array) -> Array:
        """Nodal forces [N] that do the work by which the bed's energy changes between two displacements."""
        return self._push(reference, before, after)

    def _push(self, reference: Array, before: Array, after: Array) -> Array:
        shape, normal = facet_frames(self.facet, reference)
        size = jnp.linalg.norm(normal, axis=1)
        unit = normal / size[:, None]
        ends = [shape @ (u if self.rest is None else u - self.rest) for u in (before, after)]
        into = [jnp.sum(end * unit, axis=1)[:, None] for end in ends]
        moved, depth = 0.5 * (ends[0] + ends[1]), 0.5 * (into[0] + into[1])
        pressed = depth
        if self.onset is not None:
            shift, width = 0.5 * self.onset, jnp.asarray(self.onset)
            same = before is after
            pressed = ramp(depth - shift, width) if same else mean_ramp(into[0] - shift, into[1] - shift, width)
        traction = -self.stiffness * pressed * unit - self.tangential * (moved - depth * unit)
        return jnp.einsum("q,qa,qi->ai", self.facet.quadrature.weights * size, shape, traction)


class PointSpringTerm(Term):
    """A spring from one node to its reference position."""

    nodes: Int[Array, "groups m"]
    stiffness: Float[Array, " groups"]

    def force(self, reference: Array, displacement: Array, fraction: Array) -> Array:
        """−k u [N]."""
        return -self.stiffness * displacement


class LigamentTerm(Term):
    """A strand from one node to its anchor."""

    nodes: Int[Array, "groups m"]
    stiffness: Float[Array, " groups"]
    anchor: Float[Array, "groups 3"]
    slack: Float[Array, " groups"]

    @property
    def stiffest(self) -> Term:
        """Taut, whichever way it then points (across it is never stiffer than along), and `KINK` times as stiff."""
        return PointSpringTerm(self.nodes, KINK * jnp.asarray(self.stiffness))

    @property
    def conserving(self) -> bool:
        """It has a `mean_force`."""
        return True

    def mean_force(self, reference: Array, before: Array, after: Array, fraction: Array) -> Array:
        """−ΔV/Δ(ℓ²) (x + x⁺) [N]: its work over a step is what V = k ⟨ℓ − ℓ₀⟩²/2 loses, also where it goes taut."""
        rest = self.slack * jnp.linalg.norm(self.anchor - reference[0])
        ends = [self.anchor - reference[0] - moved[0] for moved in (before, after)]
        first, last = (jnp.linalg.norm(strand) for strand in ends)
        pulls = [jnp.maximum(length - rest, 0.0) for length in (first, last)]
        same = jnp.abs(last - first) <= 1e-9 * (last + first)
        slope = 0.5 * (pulls[1] ** 2 - pulls[0] ** 2) / jnp.where(same, 1.0, last**2 - first**2)
        slope = jnp.where(same, 0.5 * (pulls[0] + pulls[1]) / (first + last), slope)
        return (self.stiffness * slope * (ends[0] + ends[1]))[None]

    def force(self, reference: Array, displacement: Array, fraction: Array) -> Array:
        """Tension along the strand [N]."""
        rest = self.slack * jnp.linalg.norm(self.anchor - reference[0])
        strand = self.anchor - reference[0] - displacement[0]
        length = jnp.linalg.norm(strand)
        return (self.stiffness * jnp.maximum(length - rest, 0.0) * strand / length)[None]
