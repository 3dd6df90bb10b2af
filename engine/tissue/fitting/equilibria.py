"""Equilibria of a setting for given unknown numbers, and their derivatives by the implicit function theorem.

R(u, ξ) = 0, K = ∂R/∂u: ∂u/∂ξ = −K⁻¹ ∂R/∂ξ for all unknowns at once, one factorisation of K and one pair of triangular
solves per unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray
from scipy.sparse.linalg import splu

from ....imaging.errors import SolverError
from ..contact.rigid import RigidContact, replace_fields
from ..derivatives.linearization import Linearization
from ..derivatives.sensitivity import Sensitivity
from ..derivatives.settling import settled
from ..elements.base import Element
from ..host_system import HostSystem
from ..problem import Problem
from ..solution import Solution, State
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
        self.solves = 0
        self.slopes = 0
        self._solved: tuple[State, Problem] | None = None
        self.setting(np.zeros(self.size))

    def setting(self, coordinates: NDArray | Array) -> Setting:
        """The setting with all unknown numbers in place; differentiable."""
        setting = self.base
        for unknown, span in zip(self.unknowns, self.spans, strict=True):
            setting = unknown.apply(setting, jnp.asarray(coordinates)[span])
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
                return self._kept(solution)
        solution = solve(problem, load_steps=self.load_steps, tolerance=self.tolerance, check_stability=False)
        if not solution.converged and self.load_steps == 1:
            solution = solve(problem, load_steps=4, tolerance=self.tolerance, check_stability=False)
        return self._kept(solution)

    def _kept(self, solution: Solution) -> State:
        """The final state; what contacts had become by then is kept with it."""
        self._solved = solution.final, solution.problems[-1]
        return solution.final

    def slope(self, coordinates: NDArray, state: State) -> Float[np.ndarray, "rows 3 n"]:
        """∂u/∂ξ [m]."""
        self.slopes += 1
        problem = self.setting(coordinates).problem
        if any(not isinstance(contact, RigidContact) or contact.multipliers() for contact in problem.begun().contacts):
            return self._slope_with_contact(coordinates, state)
        rows = np.asarray(state.rows)
        right = self._residual_slope(coordinates, rows, problem)
        system = HostSystem(problem, Timer())
        tangent = system.linearize(rows / system.row_scale, 1.0)
        free = np.asarray(system.free).ravel() > 0
        flat = (right * np.where(system.free > 0, system.row_scale, 1.0)[:, :, None]).reshape(-1, self.size)
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
        return found.reshape(*rows.shape, self.size) * system.row_scale[:, :, None]

    def _slope_with_contact(self, coordinates: NDArray, state: State) -> NDArray[np.float64]:
        """∂u/∂ξ where pairs and multipliers belong to the state: of the problem as solved, multipliers settled."""
        if self._solved is None or self._solved[0] is not state:
            state = self.solve(coordinates, state)
        assert self._solved is not None
        solved = self._solved[1]
        with suppress(SolverError):  # else as they stand, which is a way down still
            solved, state = settled(solved, state)
        near = Linearization(solved, state, settled=False)

        def change(direction: Array) -> NDArray:
            rate = jax.jvp(self._floats, (jnp.asarray(coordinates, float),), (direction,))[1]
            contacts = tuple(_contact_rate(*pair) for pair in zip(rate.contacts, near.problem.contacts, strict=True))
            # Pairs are found, not given: no unknown moves their arrays.
            return near.moved(replace(rate, contacts=contacts, pairings=_still(near.problem.pairings)))[0]

        return np.stack([change(direction) for direction in jnp.eye(self.size)], axis=-1)

    def _residual_slope(self, coordinates: NDArray, displacement: NDArray, problem: Problem) -> NDArray:
        """∂R/∂ξ, rows where components are held: ∂(u − ū)/∂ξ."""
        result = np.zeros((*displacement.shape, self.size))
        for first in range(0, self.size, COLUMNS):
            chosen = list(range(first, min(first + COLUMNS, self.size)))
            result[:, :, chosen] = self._differentiated(jnp.asarray(coordinates), displacement, problem, chosen)
        return result

    def _differentiated(self, at: Array, displacement: NDArray, problem: Problem, chosen: list[int]) -> NDArray:
        """Columns of ∂R/∂ξ by forward derivatives: of the materials block by block, of all else where it changes."""
        directions = jnp.zeros((len(chosen), self.size)).at[jnp.arange(len(chosen)), jnp.asarray(chosen)].set(1.0)
        rates = jax.vmap(lambda d: jax.jvp(self._floats, (at,), (d,))[1])(directions)
        total, moved = np.zeros((len(chosen), *displacement.shape)), jnp.asarray(displacement)
        for block, rate in zip(problem.model.blocks, rates.model.blocks, strict=True):
            if _any(rate.material):
                nodes = np.asarray(block.nodes)
                forces = _material_rate(
                    block.element, problem.model.row_points[nodes], moved[nodes], block.material, rate.material
                )
                for local in range(nodes.shape[1]):
                    np.add.at(total, (slice(None), nodes[:, local]), np.asarray(forces[:, :, local]))  # pyright: ignore[reportArgumentType]
        total *= ~problem.held()
        materials = [block.material for block in rates.model.blocks]
        others = eqx.tree_at(lambda p: [b.material for b in p.model.blocks], rates, _still(materials))
        columns = [jax.tree.map(lambda rate, k=k: rate[k], others) for k in range(len(chosen))]
        if _any(others):
            near = Sensitivity(problem, displacement, 1.0)
            total += np.stack(
                [near.push(column) if _any(column) else np.zeros_like(displacement) for column in columns]
            )
        return np.moveaxis(total, 0, -1)

    def _floats(self, coordinates: Array) -> Any:
        """Every float array of the problem."""
        return eqx.filter(self.setting(coordinates).problem, eqx.is_inexact_array)


@partial(jax.jit, static_argnums=0)
def _material_rate(element: Element, reference: Array, displacement: Array, material: Any, rates: Any) -> Array:
    """Derivative (k, E, n, 3) of the element forces by the material's parameters, along k directions."""
    parameters, fixed = eqx.partition(material, eqx.is_inexact_array)

    def force(values: Any) -> Array:
        return element.evaluate(reference, displacement, eqx.combine(values, fixed)).force

    return jax.vmap(lambda rate: jax.jvp(force, (parameters,), (rate,))[1])(rates)


def _contact_rate(rate: Any, solved: Any) -> Any:
    """A rate of a contact as it was given as one of what it has become: zero in what it did not have then."""
    still = _still(solved)
    known = {
        name: getattr(rate, name)
        for name in solved.__dataclass_fields__
        if jax.tree.structure(getattr(rate, name)) == jax.tree.structure(getattr(still, name))
    }
    return replace_fields(still, **known)


def _still(tree: Any) -> Any:
    return jax.tree.map(jnp.zeros_like, eqx.filter(tree, eqx.is_inexact_array))


def _any(rates: Any) -> bool:
    return any(bool(np.any(np.asarray(leaf))) for leaf in jax.tree.leaves(rates))
