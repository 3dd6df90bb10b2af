"""Many problems on one mesh, one after another on the host: warm starts, one pattern, one multigrid hierarchy.

for index, solution in solve_many(members, total=len(members)): ...
found = gathered(solve_many(members))        # as `jax.vmap(balance)` returns it
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from ...imaging.errors import SolverError
from ...imaging.progress import Progress, silent
from ..precision import require_float64
from . import given
from .augmented_balance import multipliers_of
from .equilibrium import Balance
from .host_system import HostSystem
from .march import March
from .problem import Problem
from .solution import ResultCode, Solution, State, Statistics
from .static import require_held
from .system import Timer


def solve_many(
    problems: Iterable[Problem],
    *,
    tolerance: float = 1e-8,
    max_iterations: int = 25,
    check_stability: bool = True,
    total: int | None = None,
    progress: Progress = silent,
) -> Iterator[tuple[int, Solution]]:
    """Solve problems that differ in their numbers only, each from the last one's equilibrium.

    Args:
        problems: of one mesh, with the same loads and supports in the same places.
        tolerance, max_iterations, check_stability: as of `static.solve`.
        total: how many there are, for the progress; found out where `problems` is a list.

    Yields:
        (index, solution) as each is done; a failed one is a solution that did not converge.

    Raises:
        SolverError: 64-bit floats are off, or a problem has other nodes or elements than the first.
    """
    require_float64()
    tolerance = given.tolerance(tolerance, "solve_many")
    max_iterations = given.whole(max_iterations, "iterations", "solve_many")
    if isinstance(problems, Problem):
        raise SolverError("one problem is not many", where="solve_many", advice="Give a list of them")
    count = total if total is not None else len(problems) if hasattr(problems, "__len__") else None  # pyright: ignore
    before: HostSystem | None = None
    state: State | None = None
    for index, problem in enumerate(problems):
        require_held(problem, f"problem {index}")
        progress(None if not count else index / count, f"solve {index + 1}" + (f" of {count}" if count else ""))
        system = system_after(problem, before)
        solution = _solved(system, state, tolerance, max_iterations, check_stability)
        if solution.converged:
            state, before = solution.final, system
        yield index, solution


def gathered(members: Iterable[tuple[int, Solution]]) -> Balance:
    """All members of a batch in one `Balance`, members first: NaN and a flag where one failed."""
    solutions = [solution for _, solution in members]
    found = next((s.final.rows for s in solutions if s.converged), None)
    if found is None:
        raise SolverError(
            solutions[0].result.value if solutions else "there is no problem to solve",
            where="batch",
            advice=solutions[0].result.advice if solutions else "",
        )
    nothing = jnp.full_like(found, jnp.nan)
    converged, multipliers = jnp.asarray([s.converged for s in solutions]), _multipliers(solutions)
    return Balance(
        jnp.stack([s.final.rows if s.converged else nothing for s in solutions]),
        converged,
        jnp.asarray([s.statistics.steps[-1].residuals[-1] for s in solutions]),
        jnp.asarray([float(s.statistics.newton_iterations) for s in solutions]),
        multipliers,
        converged & (multipliers.shape[1] == 0),
    )


def _multipliers(solutions: list[Solution]) -> Array:
    """(members, n) Pa, NaN where one failed."""
    found = [multipliers_of(s.problems[-1]) if s.converged else None for s in solutions]
    size = next(part.size for part in found if part is not None)
    return jnp.stack([jnp.full(size, jnp.nan) if part is None else part for part in found])


def system_after(problem: Problem, before: HostSystem | None) -> HostSystem:
    """A system that takes over pattern and hierarchy of the one before."""
    system = HostSystem(problem, Timer())
    if before is None:
        return system
    if len(before.points) != len(system.points) or not _same_groups(before, system):
        raise SolverError(
            "a problem has other nodes, elements or supports than the first",
            where="solve_many",
            advice="Change numbers only, with `equinox.tree_at`",
        )
    if before._pattern is not None:
        assembly: Any = copy.copy(before._pattern)
        assembly.blocks, assembly.terms = system.blocks, system.live
        system._pattern = assembly
    system.solver = before.solver
    return system


def _same_groups(before: HostSystem, system: HostSystem) -> bool:
    pairs = [(before.blocks, system.blocks), (before.live, system.live)]
    same = np.array_equal(before.free, system.free)
    return same and all(
        len(old) == len(new) and all(np.array_equal(a.nodes, b.nodes) for a, b in zip(old, new, strict=True))
        for old, new in pairs
    )


def _solved(
    system: HostSystem, start: State | None, tolerance: float, max_iterations: int, check_stability: bool
) -> Solution:
    """Full load at once from the last equilibrium; from rest in steps where that fails."""
    march = March(system, [1.0], tolerance, max_iterations, silent)
    result, where = march.run(start)
    if check_stability:
        result, where = march.verify(result, where)
    statistics = Statistics(
        steps=tuple(march.steps),
        cutbacks=march.cutbacks,
        unknowns=int(system.free.sum()),
        elements=sum(len(block.nodes) for block in system.problem.model.blocks),
        linear_solver=type(system).__name__,
        tolerance=tolerance,
        stability=march.stability.value,
    )
    done = result is ResultCode.converged
    return Solution(result, tuple(march.states) if done else (), statistics, where, tuple(march.problems))
