"""Equilibria of a setting for given unknown numbers, and their derivatives by the implicit function theorem.

R(u, ξ) = 0, K = ∂R/∂u: ∂u/∂ξ = −K⁻¹ ∂R/∂ξ for all unknowns at once, one factorisation of K and one pair of triangular
solves per unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray
from scipy.sparse.linalg import splu

from ....imaging.errors import SolverError
from ..host_system import HostSystem
from ..residual import residual
from ..solution import State
from ..static import solve
from ..system import Timer
from .setting import Setting, Unknown

DIRECT_LIMIT = 90_000
"""Free components up to which K is factorised; beyond, each unknown costs one multigrid solve."""
COLUMNS = 16
"""Unknowns differentiated at once."""


class Equilibria:
    """The map from coordinates ξ (n,) to a setting, its equilibrium and the equilibrium's derivative."""

    def __init__(
        self, base: Setting, unknowns: Sequence[Unknown], *, tolerance: float = 1e-9, load_steps: int = 1
    ) -> None:
        self.base, self.unknowns = base, tuple(unknowns)
        self.tolerance, self.load_steps = tolerance, load_steps
        edges = np.cumsum([0, *(unknown.size for unknown in self.unknowns)])
        self.spans = [slice(int(a), int(b)) for a, b in pairwise(edges)]
        self.size = int(edges[-1])
        self.scales = np.ones(len(self.unknowns))
        self.solves = 0
        self.slopes = 0
        self.setting(np.zeros(self.size))

    def setting(self, coordinates: NDArray | Array) -> Setting:
        """The setting with all unknown numbers in place; differentiable."""
        setting = self.base
        for unknown, span, scale in zip(self.unknowns, self.spans, self.scales, strict=True):
            setting = unknown.apply(setting, scale * jnp.asarray(coordinates)[span])
        return setting

    def solve(self, coordinates: NDArray, start: State | None) -> State:
        """The equilibrium, from a state nearby where there is one.

        Raises:
            SolverError: there is none that the solver reaches.
        """
        problem = self.setting(coordinates).problem
        self.solves += 1
        if start is not None:
            solution = solve(problem, start=start, tolerance=self.tolerance, check_stability=False)
            if solution.converged:
                return solution.final
        solution = solve(problem, load_steps=self.load_steps, tolerance=self.tolerance, check_stability=False)
        if not solution.converged and self.load_steps == 1:
            solution = solve(problem, load_steps=4, tolerance=self.tolerance, check_stability=False)
        return solution.final

    def slope(self, coordinates: NDArray, state: State) -> Float[np.ndarray, "rows 3 n"]:
        """∂u/∂ξ [m]."""
        self.slopes += 1
        problem = self.setting(coordinates).problem
        displacement = np.asarray(state.displacement)
        right = self._residual_slope(coordinates, displacement, problem)
        system = HostSystem(problem, Timer())
        tangent = system.linearize(displacement, 1.0)
        free = np.asarray(system.free).ravel() > 0
        flat = right.reshape(-1, self.size)
        held = np.where(free[:, None], 0.0, -flat)
        matrix = tangent.matrix.tocsr()
        loads = -flat - (matrix @ held if np.any(held) else 0.0)
        found = held
        if free.sum() <= DIRECT_LIMIT:
            inner = matrix[free][:, free].tocsc()
            factor = splu(inner, permc_spec="MMD_AT_PLUS_A", diag_pivot_thresh=1e-3, options={"SymmetricMode": True})
            found[free] = factor.solve(np.ascontiguousarray(loads[free]))
        else:
            for column in range(self.size):
                outcome = tangent.solve(np.where(free, loads[:, column], 0.0).reshape(-1, 3), 1e-8)
                if not outcome.converged:
                    raise SolverError("the linear solver stalled in a derivative", where="fit")
                found[free, column] = np.asarray(outcome.solution).ravel()[free]
        return found.reshape(*displacement.shape, self.size)

    def _residual_slope(self, coordinates: NDArray, displacement: NDArray, problem) -> NDArray:
        """∂R/∂ξ, rows where components are held: ∂(u − ū)/∂ξ."""
        free = ~problem.held()
        result = np.zeros((*displacement.shape, self.size))
        numeric = []
        for unknown, span, scale in zip(self.unknowns, self.spans, self.scales, strict=True):
            known = unknown.force_slope(problem)
            if known is None:
                numeric += list(range(span.start, span.stop))
            else:
                result[:, :, span] = -scale * known * free[:, :, None]
        moved, at = jnp.asarray(displacement), jnp.asarray(coordinates)

        def balance(xi: Array) -> Array:
            return residual(moved, self.setting(xi).problem, 1.0)

        for first in range(0, len(numeric), COLUMNS):
            chosen = numeric[first : first + COLUMNS]
            directions = jnp.zeros((len(chosen), self.size)).at[jnp.arange(len(chosen)), jnp.asarray(chosen)].set(1.0)
            rates = jax.vmap(lambda d: jax.jvp(balance, (at,), (d,))[1])(directions)
            result[:, :, chosen] = np.moveaxis(np.asarray(rates), 0, -1)
        return result
