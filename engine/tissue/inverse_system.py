"""The residual of a body as a function of its reference shape X, the loaded shape x given; and its Newton step.

A dX = ∂R/∂X dX − K dX is taken element by element by forward derivatives (u = x − X moves with X), and solved by GMRES
with a multigrid cycle of the forward tangent at rest: for small strain A = −K.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.sparse.linalg import LinearOperator, gmres

from ..linear.host import HostLinearSolver
from .batch import system_after
from .carried import Placing, carried_to
from .derivatives.parameters import bound, split
from .derivatives.sensitivity import Sensitivity
from .host_system import HostSystem
from .problem import Problem
from .solution import State
from .system import Evaluation, Timer

RESTART = 40
MAX_CYCLES = 5


class LoadFree(NamedTuple):
    """A load-free body, its equilibrium under load, ‖residual‖ / force scale of it, and what the search took."""

    problem: Problem
    state: State
    residual: float
    iterations: int


class InverseSystem:
    """Of a problem whose own shape is the loaded one, x (nodes, 3) m; `place` puts it on another."""

    def __init__(self, problem: Problem, place: Placing = carried_to) -> None:
        self.problem, self.place = problem, place
        self.scanned = np.asarray(problem.model.points)
        self.free = ~problem.held() * 1.0
        self.before: HostSystem | None = None
        self.cycle: Any = None
        self.linear_iterations = 0

    def at(self, shape: NDArray) -> Problem:
        """The problem on a reference shape."""
        return self.place(self.problem, shape)

    def look(self, shape: NDArray, fraction: float) -> Evaluation:
        """Forces of the loaded shape on a reference shape."""
        return self._system(shape).evaluate(self.scanned - shape, fraction)

    def gap(self, shape: NDArray, fraction: float) -> NDArray[np.float64]:
        """u − ū (nodes, 3) m of held components."""
        given = np.asarray(self.at(shape).prescribed_displacement(fraction))
        return (self.scanned - shape - given) * (1.0 - self.free)

    def step(self, shape: NDArray, fraction: float, now: Evaluation, tolerance: float) -> NDArray[np.float64]:
        """Newton's step dX (nodes, 3) m."""
        right = -np.where(self.free > 0, now.residual, self.gap(shape, fraction))
        push, cycle, size = self._push(shape, fraction), self._cycle(), right.size

        def precondition(values: NDArray) -> NDArray:
            field = values.reshape(-1, 3)
            inner = (cycle @ np.ascontiguousarray(field * self.free).ravel()).reshape(-1, 3) * self.free
            return -(inner + field * (1.0 - self.free)).ravel()

        def product(values: NDArray) -> NDArray:
            self.linear_iterations += 1
            return push(values.reshape(-1, 3)).ravel()

        found, _ = gmres(
            LinearOperator((size, size), matvec=product, dtype=float),  # pyright: ignore[reportCallIssue]
            right.ravel(),
            rtol=tolerance,
            restart=RESTART,
            maxiter=MAX_CYCLES,
            M=LinearOperator((size, size), matvec=precondition, dtype=float),  # pyright: ignore[reportCallIssue]
        )
        return found.reshape(-1, 3)

    def _cycle(self) -> Any:
        """A multigrid cycle for the tangent of the scanned shape at rest: definite whatever the load."""
        if self.cycle is None:
            system = HostSystem(self.problem, Timer())
            tangent = system.linearize(system.zeros(), 0.0)
            solver = HostLinearSolver(Timer(), symmetric=system.symmetric)
            solver.build(tangent.assembly.constrained(tangent.matrix, self.free), self.free, self.scanned)
            self.cycle = solver.cycle
        return self.cycle

    def _push(self, shape: NDArray, fraction: float) -> Any:
        """dX ↦ the change of the residual when X moves by dX and u by −dX."""
        problem = self.at(shape)
        sensitivity = Sensitivity(problem, self.scanned - shape, fraction)
        fixed = split(problem)[1]

        def of_points(points: Any) -> Any:
            parameters = split(self.place(self.problem, points))[0]
            return [block.material for block in parameters.model.blocks], bound(parameters, fixed, fraction)

        _, rate = jax.linearize(of_points, jnp.asarray(shape))

        def push(way: NDArray) -> NDArray[np.float64]:
            materials, (by_terms, given) = rate(jnp.asarray(way))
            forces = sensitivity.push_parts(way, -way, by_terms, materials)
            return np.where(self.free > 0, forces, -way - np.asarray(given))

        return push

    def _system(self, shape: NDArray) -> HostSystem:
        self.before = system_after(self.at(shape), self.before)
        return self.before
