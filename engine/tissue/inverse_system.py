"""The residual of a body as a function of its reference shape X, the loaded shape x given; and its Newton step.

A dX = ∂R/∂X dX − K dX is taken element by element by forward derivatives (u = x − X moves with X), and solved by GMRES
with the multigrid cycle of the forward tangent: for small strain A = −K.
"""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, gmres

from ...imaging.errors import SolverError
from .batch import system_after
from .derivatives.parameters import bound, split
from .derivatives.sensitivity import Sensitivity
from .host_system import HostSystem
from .newton import norm
from .problem import Problem
from .system import Evaluation

RESTART = 40
MAX_CYCLES = 5


class InverseSystem:
    """Of a problem whose own shape is the loaded one, x (nodes, 3) m."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        self.scanned = np.asarray(problem.model.points)
        self.free = ~problem.held() * 1.0
        self.before: HostSystem | None = None
        self.linear_iterations = 0

    def at(self, shape: NDArray) -> Problem:
        """The problem on a reference shape."""
        return eqx.tree_at(lambda p: p.model.points, self.problem, jnp.asarray(shape))

    def look(self, shape: NDArray, fraction: float) -> Evaluation:
        """Forces of the loaded shape on a reference shape."""
        return self._system(shape).evaluate(self.scanned - shape, fraction)

    def gap(self, shape: NDArray, fraction: float) -> NDArray[np.float64]:
        """u − ū (nodes, 3) m of held components."""
        given = np.asarray(self.at(shape).prescribed_displacement(fraction))
        return (self.scanned - shape - given) * (1.0 - self.free)

    def step(self, shape: NDArray, fraction: float, now: Evaluation, tolerance: float) -> NDArray[np.float64]:
        """Newton's step dX (nodes, 3) m."""
        system = self._system(shape)
        gap = self.gap(shape, fraction)
        right = -np.where(self.free > 0, now.residual, gap)
        tangent = system.linearize(self.scanned - shape, fraction)
        first = tangent.solve(right * self.free, 0.1)
        if system.solver.cycle is None:  # pyright: ignore[reportAttributeAccessIssue]
            raise SolverError("the linear solver stalled", where="unloaded_shape", advice="Use method='fixed point'")
        push = self._push(shape, fraction)
        size = right.size
        cycle: Any = system.solver.cycle  # pyright: ignore[reportAttributeAccessIssue]

        def precondition(values: NDArray) -> NDArray:
            field = values.reshape(-1, 3)
            inner = (cycle @ np.ascontiguousarray(field * self.free).ravel()).reshape(-1, 3) * self.free
            return -(inner + field * (1.0 - self.free)).ravel()

        def product(values: NDArray) -> NDArray:
            self.linear_iterations += 1
            return push(values.reshape(-1, 3)).ravel()

        # Forces and gaps have different units: the gap's rows are scaled to forces of the mean stiffness.
        guess = -(first.solution * self.free + right * (1.0 - self.free)).ravel()
        if not np.any(gap):
            guess = guess if norm(first.solution) > 0 else np.zeros(size)
        found, _ = gmres(
            LinearOperator((size, size), matvec=product, dtype=float),  # pyright: ignore[reportCallIssue]
            right.ravel(),
            x0=guess,
            rtol=tolerance,
            restart=RESTART,
            maxiter=MAX_CYCLES,
            M=LinearOperator((size, size), matvec=precondition, dtype=float),  # pyright: ignore[reportCallIssue]
        )
        return found.reshape(-1, 3)

    def _push(self, shape: NDArray, fraction: float) -> Any:
        """dX ↦ the change of the residual when X moves by dX and u by −dX."""
        problem = self.at(shape)
        sensitivity = Sensitivity(problem, self.scanned - shape, fraction)
        parameters, fixed = split(problem)

        def of_points(points: Any) -> Any:
            return bound(eqx.tree_at(lambda p: p.model.points, parameters, points), fixed, fraction)

        _, rate = jax.linearize(of_points, jnp.asarray(shape))

        def push(way: NDArray) -> NDArray[np.float64]:
            by_terms, given = rate(jnp.asarray(way))
            forces = sensitivity.push_parts(way, -way, by_terms)
            return np.where(self.free > 0, forces, -way - np.asarray(given))

        return push

    def _system(self, shape: NDArray) -> HostSystem:
        self.before = system_after(self.at(shape), self.before)
        return self.before
