"""Observed force: the reaction at a held set, or what a tool or a support exerts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ..problem import Problem
from ..residual import external_force, internal_force
from .observation import Bound, Observation, measured, positive_noise
from .setting import Setting


class BoundReaction(Bound):
    """Sum of internal minus external forces over nodes, minus the force seen."""

    nodes: Int[Array, " n"]
    held: Bool[np.ndarray, "n 3"]
    seen: Float[Array, "3"]
    components: tuple[int, ...]

    def residuals(self, displacement: Array, setting: Setting) -> Array:
        """(components,) N."""
        problem = setting.problem
        force = internal_force(displacement, problem) - external_force(displacement, problem, 1.0)
        total = jnp.sum(force[self.nodes] * self.held, axis=0)
        return (total - self.seen)[jnp.asarray(self.components)]

    def motion(self, displacement: Array, setting: Setting) -> Array:
        """The model's force (components,) N."""
        return self.residuals(displacement, setting) + self.seen[jnp.asarray(self.components)]


class Reaction(Observation):
    """The force [N] on a set whose displacement is prescribed (fixed, or in a grasper); `noise` [N] per component.

    `components` ("xyz") are those that were measured.
    """

    unit = "N"

    def __init__(
        self, nodes: str, force: Sequence[float] | NDArray, noise: float | None = None, *, components: str = "xyz"
    ) -> None:
        self.label = f"reaction at {nodes!r}"
        self.nodes = nodes
        self.force, self.components = measured(force, components, self.label)
        self.noise = positive_noise(noise, self.label)

    @property
    def count(self) -> int:
        """One per component."""
        return len(self.components)

    def check(self, setting: Setting) -> None:
        """Some node of the set is held."""
        nodes = setting.problem.model.nodes_of(self.nodes)
        if not setting.problem.held()[nodes].any():
            raise SolverError(
                "no node of the set is held, so there is no reaction",
                where=self.label,
                advice="Name the set that is fixed or grasped, or use ToolForce for springs and jaws",
            )

    def bind(self, setting: Setting, displacement: NDArray) -> Bound:
        """Always the same."""
        nodes = np.asarray(setting.problem.model.nodes_of(self.nodes))
        held = setting.problem.held()[nodes]
        return BoundReaction(jnp.asarray(nodes), held, jnp.asarray(self.force), self.components)


class BoundToolForce(Bound):
    """Sum of the forces of one load, support or grip on the body, minus the force seen."""

    source: Callable[[Problem], Any]
    seen: Float[Array, "3"]
    components: tuple[int, ...]

    def residuals(self, displacement: Array, setting: Setting) -> Array:
        """(components,) N."""
        problem, total = setting.problem, jnp.zeros(3)
        for term in self.source(problem).bind(problem.model):
            force = term.forces(problem.model.points[term.nodes], displacement[term.nodes], jnp.asarray(1.0))
            total = total + jnp.sum(force, axis=(0, 1))
        return (total - self.seen)[jnp.asarray(self.components)]

    def motion(self, displacement: Array, setting: Setting) -> Array:
        """The model's force (components,) N."""
        return self.residuals(displacement, setting) + self.seen[jnp.asarray(self.components)]


class ToolForce(Observation):
    """The force [N] that one source of the problem puts on the body: `ToolForce(lambda p: p.prescribed[0], f)`."""

    unit = "N"

    def __init__(
        self,
        source: Callable[[Problem], Any],
        force: Sequence[float] | NDArray,
        noise: float | None = None,
        *,
        components: str = "xyz",
    ) -> None:
        self.label = "tool force"
        if not callable(source):
            advice = "Give a function of the problem: lambda p: p.prescribed[0]"
            raise SolverError(f"a {type(source).__name__} is no source", where=self.label, advice=advice)
        self.source = source
        self.force, self.components = measured(force, components, self.label)
        self.noise = positive_noise(noise, self.label)

    @property
    def count(self) -> int:
        """One per component."""
        return len(self.components)

    def check(self, setting: Setting) -> None:
        """The source exerts forces."""
        try:
            found = self.source(setting.problem)
        except (AttributeError, IndexError, KeyError):
            found = None
        if not hasattr(found, "bind"):
            raise SolverError("the source is no load, support or grip of the problem", where=self.label)

    def bind(self, setting: Setting, displacement: NDArray) -> Bound:
        """Always the same."""
        return BoundToolForce(self.source, jnp.asarray(self.force), self.components)
