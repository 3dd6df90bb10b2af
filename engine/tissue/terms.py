"""Terms and constraints: what loads, supports and prescribed motions turn into on a model.

The residual is a sum over terms. A term is a batch of small groups of nodes (a facet, a spring, an element) and
a force law of one group; its tangent comes from autodiff. Contact, cables or dead weights are further terms.
"""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from ...imaging.errors import SolverError
from . import given


class Term(eqx.Module):
    """External forces on groups of nodes.

    Every field but `nodes` and the static ones is an array with one leading row per group.

    Attributes:
        nodes: nodes of each group.
    """

    nodes: eqx.AbstractVar[Int[Array, "groups m"]]

    @property
    def dead(self) -> bool:
        """Whether the force does not depend on the displacement."""
        return False

    @property
    def symmetric(self) -> bool:
        """Whether the tangent of the whole term is symmetric, so that conjugate gradients apply."""
        return True

    @property
    def conserving(self) -> bool:
        """Whether it has a `mean_force`, for steps in time that conserve energy."""
        return False

    def mean_force(self, reference: Array, before: Array, after: Array, fraction: Array) -> Float[Array, "m 3"]:
        """Force [N] on one group that does the work of a whole step; that half way, which is so where it is linear."""
        return self.force(reference, 0.5 * (before + after), fraction)

    def rows(self, chosen: np.ndarray) -> Term:
        """The term of some of its groups, as numpy arrays; a term with fields that all groups share overrides this."""
        return jax.tree.map(lambda leaf: np.asarray(leaf)[chosen], self)

    @property
    def stiffest(self) -> Term:
        """This term where it is stiffest, say a bed pressed in: what bounds the step of the explicit solver."""
        return self

    @abc.abstractmethod
    def force(
        self, reference: Float[Array, "m 3"], displacement: Float[Array, "m 3"], fraction: Array
    ) -> Float[Array, "m 3"]:
        """Force [N] on the nodes of one group (fields sliced to that group) at a load fraction."""

    def forces(self, reference: Array, displacement: Array, fraction: Array) -> Float[Array, "groups m 3"]:
        """Force [N] on every group; reference and displacement (groups, m, 3) in m."""
        return jax.vmap(type(self).force, in_axes=(0, 0, 0, None))(self, reference, displacement, fraction)

    def tangents(self, reference: Array, displacement: Array, fraction: Array) -> Float[Array, "groups m m 3 3"]:
        """−∂force_a/∂u_b [N/m]: what the term adds to the stiffness."""
        slope = jax.vmap(jax.jacfwd(type(self).force, argnums=2), in_axes=(0, 0, 0, None))
        return -jnp.transpose(slope(self, reference, displacement, fraction), (0, 1, 3, 2, 4))


class MovingTerm(eqx.Module):
    """Forces between groups of nodes that are found anew as the body moves.

    `search` is a pure function of the displacement, so the residual stays one; the term it gives is a pure function of
    the problem's arrays, so that at a given pairing everything can be differentiated.
    """

    @property
    def symmetric(self) -> bool:
        """Whether the tangent of the whole term is symmetric."""
        return True

    @abc.abstractmethod
    def pairs(self, displacement: Float[np.ndarray, "nodes 3"], fraction: float) -> Any:
        """Who meets whom at a displacement [m]: a tree of numpy arrays, found on the host."""

    @abc.abstractmethod
    def paired(self, pairs: Any) -> Term:
        """The forces of a pairing."""

    def search(self, displacement: Float[np.ndarray, "nodes 3"], fraction: float) -> Term:
        """The forces of what meets at a displacement [m]."""
        return self.paired(self.pairs(displacement, fraction))


class Constraint(eqx.Module):
    """Prescribed displacement of some components of some nodes."""

    nodes: eqx.AbstractVar[Int[np.ndarray, " n"]]
    components: eqx.AbstractVar[tuple[bool, bool, bool]]
    label: eqx.AbstractVar[str]

    @abc.abstractmethod
    def values(self, points: Float[Array, "nodes 3"], fraction: Array | float) -> Float[Array, "n 3"]:
        """Displacement [m] of the nodes at a load fraction; `points` are all reference positions [m]."""


class Schedule(eqx.Module):
    """When something acts: it grows linearly from 0 to 1 between two load fractions."""

    start: float = eqx.field(static=True, default=0.0)
    stop: float = eqx.field(static=True, default=1.0)

    def __call__(self, fraction: Array | float) -> Array:
        """Share in [0, 1] at a load fraction."""
        if self.stop <= self.start:
            return jnp.where(jnp.asarray(fraction) >= self.start, 1.0, 0.0)
        return jnp.clip((fraction - self.start) / (self.stop - self.start), 0.0, 1.0)


class Table(Schedule):
    """Shares at load fractions, on straight lines between them: a heart beat, a push and a release.

    In a dynamic problem the load fraction is time over duration. The first and last shares hold before and after.
    """

    fractions: tuple[float, ...] = eqx.field(static=True, default=(0.0, 1.0))
    shares: tuple[float, ...] = eqx.field(static=True, default=(0.0, 1.0))

    @classmethod
    def of(cls, fractions: Sequence[float], shares: Sequence[float]) -> Table:
        """A table.

        Raises:
            SolverError: lengths differ, a value is not finite, or the fractions do not rise.
        """
        if len(fractions) != len(shares) or len(shares) < 2:
            raise SolverError(f"{len(fractions)} fractions but {len(shares)} shares", where="table")
        if not (np.isfinite([*fractions, *shares]).all() and min(np.diff(fractions)) > 0):
            raise SolverError("fractions must rise and all values be finite", where="table")
        at = tuple(float(value) for value in fractions)
        return cls(at[0], at[-1], at, tuple(float(value) for value in shares))

    def __call__(self, fraction: Array | float) -> Array:
        """Share at a load fraction."""
        return jnp.interp(jnp.asarray(fraction, float), jnp.asarray(self.fractions), jnp.asarray(self.shares))


def schedule(during: Sequence[float] | Schedule, where: str = "schedule") -> Schedule:
    """A schedule from a (start, stop) pair of load fractions, or a schedule as it is.

    Raises:
        SolverError: not 0 ≤ start ≤ stop ≤ 1, so that it would not have ended at full load.
    """
    if isinstance(during, Schedule):
        return during
    with jax.ensure_compile_time_eval():  # two plain numbers, also where a step of the explicit solver is traced
        start, stop = (
            float(share) for share in given.array(during, "during", where, (2,), advice="Give (start, stop)")
        )
    if not 0.0 <= start <= stop <= 1.0:
        raise SolverError(f"during={(start, stop)} must rise within 0 to 1", where=where)
    return Schedule(start, stop)


def components_of(letters: str) -> tuple[bool, bool, bool]:
    """("x" in letters, "y" in letters, "z" in letters).

    Raises:
        SolverError: other letters, or none.
    """
    if not isinstance(letters, str) or not letters or set(letters) - set("xyz"):
        raise SolverError(f"components {letters!r} are not of x, y, z", where="constraint", advice='Use "xyz" or "z"')
    return ("x" in letters, "y" in letters, "z" in letters)
