"""Prescribed motion: a patch in rigid or lined jaws on a path, or any given displacement."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ...imaging.errors import SolverError
from . import given
from .elements.base import FacetElement
from .facets import facet_frames
from .model import Model
from .supports import SOFTEST_BED
from .terms import Constraint, Schedule, Term, components_of, schedule

FULL_TURN = 2.0 * np.pi


class Grasp(eqx.Module):
    """Nodes of a set held in rigid jaws that follow a path.

    | symbol | meaning | unit |
    |---|---|---|
    | `path` | (3,) end point, or (k, 3) way points of the jaws' translation, after the start | m |
    | `rotation` | (3,) or (k, 3) rotation vectors (axis × angle) at the way points | rad |
    | `pivot` | centre of the rotation; None is the mean of the nodes | m |
    | `components` | which of x, y, z the jaws hold (LPS) | – |
    | `during` | load fractions at which the path begins and ends; way points evenly between | – |

    x = c + R(t) (X − c) + d(t), with d and the rotation vector linear between way points.
    """

    nodes: str = eqx.field(static=True)
    path: Float[Array, "k 3"]
    rotation: Float[Array, "k 3"]
    pivot: Float[Array, "3"] | None
    components: str = eqx.field(static=True)
    when: Schedule

    def __init__(
        self,
        nodes: str,
        path: Sequence[float] | Sequence[Sequence[float]] = (0.0, 0.0, 0.0),
        *,
        rotation: Sequence[float] | Sequence[Sequence[float]] | None = None,
        pivot: Sequence[float] | None = None,
        components: str = "xyz",
        during: Sequence[float] = (0.0, 1.0),
    ) -> None:
        self.nodes, self.components = nodes, components
        self.path, self.rotation, self.pivot, self.when = jaws(f"grasp of {nodes!r}", path, rotation, pivot, during)

    def bind(self, model: Model) -> list[Constraint]:
        """One constraint."""
        nodes = model.nodes_of(self.nodes)
        pivot = jnp.mean(model.points[nodes], axis=0) if self.pivot is None else self.pivot
        return [
            RigidMotion(
                nodes,
                components_of(self.components),
                f"Grasp({self.nodes!r})",
                self.path,
                self.rotation,
                pivot,
                self.when,
            )
        ]


class Grip(eqx.Module):
    """Jaws that hold a patch of the surface through an elastic layer: traction k (R(X − c) − (X − c) + d − (u − u₀)).

    A patch held rigidly (`Grasp`) has a singular rim: peak strain and, slowly, force grow with the mesh. Here the
    traction is bounded and the answers settle; the layer stands for the jaws' lining and the capsule under it.

    | symbol | meaning | unit |
    |---|---|---|
    | `facets` | set of facets that the jaws hold | – |
    | k `stiffness` | force per area and slip | N/m³ |
    | u₀ `rest` | (nodes, 3) displacement at which the jaws took hold; None is zero | m |
    | `path`, `rotation`, `pivot`, `during` | motion of the jaws, as of `Grasp` | m, rad, m, – |
    """

    facets: str = eqx.field(static=True)
    stiffness: Float[Array, ""]
    path: Float[Array, "k 3"]
    rotation: Float[Array, "k 3"]
    rest: Float[Array, "nodes 3"] | None
    pivot: Float[Array, "3"] | None
    when: Schedule

    def __init__(
        self,
        facets: str,
        stiffness: float,
        path: Sequence[float] | Sequence[Sequence[float]] = (0.0, 0.0, 0.0),
        *,
        rotation: Sequence[float] | Sequence[Sequence[float]] | None = None,
        rest: Float[Array, "nodes 3"] | None = None,
        pivot: Sequence[float] | None = None,
        during: Sequence[float] = (0.0, 1.0),
    ) -> None:
        where = f"grip of {facets!r}"
        self.facets, self.stiffness = facets, given.array(stiffness, "a stiffness", where, ())
        given.at_least(self.stiffness, SOFTEST_BED, "a stiffness", "N/m³", where, "Give N/m³: 1 kPa/mm is 1e6")
        self.path, self.rotation, self.pivot, self.when = jaws(where, path, rotation, pivot, during)
        self.rest = None if rest is None else given.array(rest, "a rest", where, (None, 3))

    def bind(self, model: Model) -> list[Term]:
        """A term per kind of facet."""
        groups = model.facet_groups(self.facets)
        rest = jnp.zeros_like(model.points) if self.rest is None else self.rest
        if rest.shape != model.points.shape:
            raise SolverError(
                f"rest has shape {rest.shape}, the model's nodes {model.points.shape}", where=f"grip of {self.facets!r}"
            )
        held = np.unique(np.concatenate([facets.ravel() for _, facets in groups]))
        pivot = jnp.mean(model.points[held], axis=0) if self.pivot is None else self.pivot
        return [
            GripTerm(
                jnp.asarray(facets),
                jnp.broadcast_to(self.stiffness, (len(facets),)),
                jnp.broadcast_to(self.path, (len(facets), *self.path.shape)),
                jnp.broadcast_to(self.rotation, (len(facets), *self.rotation.shape)),
                rest[facets],
                jnp.broadcast_to(pivot, (len(facets), 3)),
                self.when,
                kind,
            )
            for kind, facets in groups
        ]


class GripTerm(Term):
    """An elastic layer between one facet and the jaws."""

    nodes: Int[Array, "groups m"]
    stiffness: Float[Array, " groups"]
    path: Float[Array, "groups k 3"]
    rotation: Float[Array, "groups k 3"]
    rest: Float[Array, "groups m 3"]
    pivot: Float[Array, "groups 3"]
    when: Schedule = eqx.field(static=True)
    facet: FacetElement = eqx.field(static=True)

    def force(self, reference: Array, displacement: Array, fraction: Array) -> Array:
        """Nodal forces [N]."""
        shape, normal = facet_frames(self.facet, reference)
        share = self.when(fraction)
        arm = reference - self.pivot
        jaws = rotate(along(self.rotation, share), arm) - arm + along(self.path, share)
        slip = shape @ (self.rest + jaws - displacement)
        return self.stiffness * jnp.einsum(
            "q,qa,qi->ai", self.facet.quadrature.weights * jnp.linalg.norm(normal, axis=1), shape, slip
        )


class Prescribed(eqx.Module):
    """Displacement u(X) [m] of the nodes of a set, as a function of the reference position (n, 3) [m] or a constant."""

    nodes: str = eqx.field(static=True)
    displacement: Callable[[Array], Array] | Array
    components: str = eqx.field(static=True)
    when: Schedule

    def __init__(
        self,
        nodes: str,
        displacement: Callable[[Array], Array] | Sequence[float],
        *,
        components: str = "xyz",
        during: Sequence[float] = (0.0, 1.0),
    ) -> None:
        where = f"prescribed motion of {nodes!r}"
        self.nodes, self.components, self.when = nodes, components, schedule(during, where)
        if callable(displacement):
            self.displacement = displacement
        else:
            self.displacement = given.array(displacement, "a displacement", where, (3,), (None, 3), advice="Give m")

    def bind(self, model: Model) -> list[Constraint]:
        """One constraint."""
        nodes = model.nodes_of(self.nodes)
        label = f"Prescribed({self.nodes!r})"
        return [GivenMotion(nodes, components_of(self.components), label, self.displacement, self.when)]


class RigidMotion(Constraint):
    """Nodes that move as a rigid body."""

    nodes: Int[np.ndarray, " n"]
    components: tuple[bool, bool, bool] = eqx.field(static=True)
    label: str = eqx.field(static=True)
    path: Float[Array, "k 3"]
    rotation: Float[Array, "k 3"]
    pivot: Float[Array, "3"]
    when: Schedule

    def values(self, points: Array, fraction: Array | float) -> Array:
        """R(t)(X − c) − (X − c) + d(t) [m]."""
        share = self.when(fraction)
        arm = points[self.nodes] - self.pivot
        turned = rotate(along(self.rotation, share), arm)
        return turned - arm + along(self.path, share)


class GivenMotion(Constraint):
    """A displacement field that grows with the schedule."""

    nodes: Int[np.ndarray, " n"]
    components: tuple[bool, bool, bool] = eqx.field(static=True)
    label: str = eqx.field(static=True)
    displacement: Callable[[Array], Array] | Array
    when: Schedule

    def values(self, points: Array, fraction: Array | float) -> Array:
        """Share × u(X) [m]."""
        wanted, field = (len(self.nodes), 3), self.displacement
        field = field(points[self.nodes]) if callable(field) else field
        if np.shape(field) not in (wanted, (3,)):
            advice = "Give x, y, z in m, or one of them for each node of the set"
            raise SolverError(
                f"a displacement of shape {np.shape(field)} for {wanted[0]} nodes", where=self.label, advice=advice
            )
        return self.when(fraction) * jnp.broadcast_to(jnp.asarray(field), wanted)


def rotate(vector: Float[Array, "3"], arms: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
    """Turn arms by a rotation vector [rad] (Rodrigues), smooth at zero."""
    square = jnp.sum(vector * vector)
    safe = jnp.where(square > 1e-12, square, 1.0)
    angle = jnp.sqrt(safe)
    first = jnp.where(square > 1e-12, jnp.sin(angle) / angle, 1.0 - square / 6.0)
    second = jnp.where(square > 1e-12, (1.0 - jnp.cos(angle)) / safe, 0.5 - square / 24.0)
    once = jnp.cross(jnp.broadcast_to(vector, arms.shape), arms)
    return arms + first * once + second * jnp.cross(jnp.broadcast_to(vector, arms.shape), once)


def jaws(where: str, path: Any, rotation: Any, pivot: Any, during: Any) -> tuple[Array, Array, Array | None, Schedule]:
    """Way points (k, 3) m, rotation vectors (k, 3) rad, pivot and schedule of a rigid motion.

    Raises:
        SolverError: a value that is no number, of a wrong shape, or more than two turns.
    """
    shifts = jnp.atleast_2d(given.array(path, "a path", where, (3,), (None, 3), advice="Give x, y, z in m"))
    turns = jnp.zeros_like(shifts)
    if rotation is not None:
        advice = "Give rotation vectors, axis × angle in rad"
        turns = jnp.atleast_2d(given.array(rotation, "a rotation", where, (3,), (None, 3), advice=advice))
        given.small(turns, 2 * FULL_TURN, "a rotation", "rad", where, "Give rad, not degrees")
    if 1 not in (len(shifts), len(turns)) and len(shifts) != len(turns):
        raise SolverError(f"{len(shifts)} way points but {len(turns)} rotations", where=where)
    count = max(len(shifts), len(turns))
    centre = None if pivot is None else given.array(pivot, "a pivot", where, (3,), advice="Give x, y, z in m")
    return _repeat(shifts, count), _repeat(turns, count), centre, schedule(during, where)


def _repeat(rows: Array, count: int) -> Array:
    """A path given by its end only goes there evenly."""
    return rows if len(rows) == count else rows * (jnp.arange(1, count + 1) / count)[:, None]


def along(waypoints: Float[Array, "k 3"], share: Array) -> Float[Array, "3"]:
    """Position on the broken line from zero through the way points at a share of the whole."""
    line = jnp.concatenate([jnp.zeros((1, 3)), waypoints])
    at = share * len(waypoints)
    low = jnp.clip(jnp.floor(at).astype(int), 0, len(waypoints) - 1)
    return line[low] + (at - low) * (line[low + 1] - line[low])
