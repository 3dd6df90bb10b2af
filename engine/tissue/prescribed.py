"""Prescribed motion: a grasped patch on a rigid path, or any given displacement."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ...imaging.errors import SolverError
from .model import Model
from .terms import Constraint, Schedule, components_of, schedule


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
        self.nodes, self.components, self.when = nodes, components, schedule(during)
        shifts = jnp.atleast_2d(jnp.asarray(path, float))
        turns = jnp.zeros_like(shifts) if rotation is None else jnp.atleast_2d(jnp.asarray(rotation, float))
        if shifts.shape[1:] != (3,) or turns.shape[1:] != (3,):
            raise SolverError("way points and rotation vectors have three components", where=f"grasp of {nodes!r}")
        if 1 not in (len(shifts), len(turns)) and len(shifts) != len(turns):
            raise SolverError(f"{len(shifts)} way points but {len(turns)} rotations", where=f"grasp of {nodes!r}")
        count = max(len(shifts), len(turns))
        self.path, self.rotation = _repeat(shifts, count), _repeat(turns, count)
        self.pivot = None if pivot is None else jnp.asarray(pivot, float)

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
        self.nodes, self.components, self.when = nodes, components, schedule(during)
        self.displacement = displacement if callable(displacement) else jnp.asarray(displacement, float)

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
        turned = rotate(_along(self.rotation, share), arm)
        return turned - arm + _along(self.path, share)


class GivenMotion(Constraint):
    """A displacement field that grows with the schedule."""

    nodes: Int[np.ndarray, " n"]
    components: tuple[bool, bool, bool] = eqx.field(static=True)
    label: str = eqx.field(static=True)
    displacement: Callable[[Array], Array] | Array
    when: Schedule

    def values(self, points: Array, fraction: Array | float) -> Array:
        """Share × u(X) [m]."""
        given = self.displacement
        field = given(points[self.nodes]) if callable(given) else jnp.broadcast_to(given, (len(self.nodes), 3))
        return self.when(fraction) * field


def rotate(vector: Float[Array, "3"], arms: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
    """Turn arms by a rotation vector [rad] (Rodrigues), smooth at zero."""
    square = jnp.sum(vector * vector)
    safe = jnp.where(square > 1e-12, square, 1.0)
    angle = jnp.sqrt(safe)
    first = jnp.where(square > 1e-12, jnp.sin(angle) / angle, 1.0 - square / 6.0)
    second = jnp.where(square > 1e-12, (1.0 - jnp.cos(angle)) / safe, 0.5 - square / 24.0)
    once = jnp.cross(jnp.broadcast_to(vector, arms.shape), arms)
    return arms + first * once + second * jnp.cross(jnp.broadcast_to(vector, arms.shape), once)


def _repeat(rows: Array, count: int) -> Array:
    """A path given by its end only goes there evenly."""
    return rows if len(rows) == count else rows * (jnp.arange(1, count + 1) / count)[:, None]


def _along(waypoints: Float[Array, "k 3"], share: Array) -> Float[Array, "3"]:
    """Position on the broken line from zero through the way points at a share of the whole."""
    line = jnp.concatenate([jnp.zeros((1, 3)), waypoints])
    at = share * len(waypoints)
    low = jnp.clip(jnp.floor(at).astype(int), 0, len(waypoints) - 1)
    return line[low] + (at - low) * (line[low + 1] - line[low])
