"""`equilibrium`: a solution as one pure compiled function, through which `jit`, `grad`, `jvp` and `vmap` pass.

    stiff = lambda scale: eqx.tree_at(where, problem, scale * where(problem))
    equilibrium(problem)                                        # (rows, 3) m and Pa, NaN where there is none
    jax.vmap(lambda s: equilibrium(stiff(s)))(scales)           # many parameter sets on one mesh
    jax.hessian(lambda s: read.strain_energy(equilibrium(stiff(s)), stiff(s)))(1.0)

Newton's method is that of `newton`, in a compiled loop around the Krylov methods of the device path: conjugate
gradients, MINRES with unknown pressures, GMRES where a pressure's stiffness is not symmetric or one step of friction
is. Derivatives follow the implicit rule K u̇ = −∂R/∂p ṗ (`docs/theory/derivatives.md`), of any order; iterations are not
differentiated.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ...imaging.errors import SolverError
from ..linear.device import Blocks
from ..precision import require_float64
from . import given
from .device_newton import Newton, Options
from .problem import Problem
from .residual import external_force, internal_force
from .static import require_held

LINEAR_TOLERANCE = 1e-12
"""Of the solves of the implicit rule."""


class Balance(NamedTuple):
    """An attempt to find equilibrium; under `vmap` every array has the members first.

    Attributes:
        displacement: m, followed by the rows of unknown pressures [Pa] of mixed elements; NaN where it was not found,
            so that no wrong answer goes on.
        converged: whether it was.
        residual: ‖residual‖ / force scale at the end.
        iterations: Newton iterations in all.
    """

    displacement: Float[Array, "rows 3"]
    converged: Bool[Array, ""]
    residual: Float[Array, ""]
    iterations: Float[Array, ""]


def equilibrium(problem: Problem, guess: Array | None = None, **options: Any) -> Float[Array, "rows 3"]:
    """The displacement [m] (and pressures [Pa]) in equilibrium, NaN where none was found; arguments as of `balance`."""
    return balance(problem, guess, **options).displacement


def balance(
    problem: Problem,
    guess: Array | None = None,
    *,
    fraction: Array | float = 1.0,
    load_steps: int = 1,
    tolerance: float = 1e-10,
    max_iterations: int = 30,
    check_stability: bool = True,
) -> Balance:
    """Equilibrium at a load fraction, and whether it was found.

    Args:
        problem: what is solved; any float array in it may be traced.
        guess: (rows, 3) m and Pa to start from; not differentiated. At rest by default.
        load_steps: how many steps lead to the load; a step that fails is halved, as in `static.solve`.
        tolerance: on ‖residual‖ relative to the larger of external forces and reactions.
        max_iterations: Newton iterations per step.
        check_stability: whether an unstable balance counts as none.

    Raises:
        SolverError: 64-bit floats are off, or the problem is one for the host: contact between tissues, unknown
            pressures with an unsymmetric tangent, friction in more than one step, multipliers that would have to be
            moved on (ties, `penetration=`).
    """
    require_float64()
    require_held(problem, "equilibrium")
    given.whole(load_steps, "load steps", "equilibrium")
    given.tolerance(tolerance, "equilibrium")
    given.whole(max_iterations, "iterations", "equilibrium")
    begun = problem.begun()
    _check(begun, load_steps)
    arrays, rest = eqx.partition(begun, _traceable)
    frame = Frame(rest, Options(load_steps, tolerance, max_iterations, check_stability))
    start, shape = jnp.zeros_like(problem.model.row_points), problem.model.row_points.shape
    start = start if guess is None else given.array(guess, "a guess", "equilibrium", shape, advice="Give m")
    at = given.array(fraction, "a load fraction", "equilibrium", ())
    given.at_least(at, 0.0, "a load fraction", "", "equilibrium", "Give 0 to 1")
    found, record = _balanced(frame, arrays, jax.lax.stop_gradient(start), at)
    return Balance(found, record[0] > 0.5, record[1], record[2])


class Frame:
    """What is not traced of a problem: names, sets, elements; equal where a compiled function can be used again."""

    def __init__(self, rest: Any, options: Options) -> None:
        self.rest, self.options = rest, options
        leaves, structure = jax.tree.flatten(rest)
        keys = [
            (leaf.shape, leaf.dtype.str, leaf.tobytes()) if isinstance(leaf, np.ndarray) else leaf for leaf in leaves
        ]
        self._key = (structure, tuple(keys), options)
        self._hash = hash((structure, options, tuple(hash(key) for key in keys)))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frame) and self._hash == other._hash and self._key == other._key


def _key(leaf: Any) -> Any:
    return (leaf.shape, leaf.dtype.str, leaf.tobytes()) if isinstance(leaf, np.ndarray) else leaf


def _traceable(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) or eqx.is_inexact_array(leaf)


def _check(problem: Problem, load_steps: int) -> None:
    where, advice = "equilibrium", "Use static.solve with linear_solver='host'"
    for contact in problem.contacts:
        if contact.multipliers():
            raise SolverError(
                f"{contact.label} has multipliers, which a pure function does not move on",
                where=where,
                advice="Use static.solve, or the penalty method: Tie(jump=0), a contact without penetration=",
            )
    if problem.moving() and problem.pairings is None:
        raise SolverError("contact between tissues is searched for on the host", where=where, advice=advice)
    if len(problem.model.pressure_corners) and not all(term.symmetric for term in problem.terms()):
        raise SolverError(
            "unknown pressures and an unsymmetric stiffness (friction, a pressure on an open, free-rimmed surface)",
            where=where,
            advice=advice,
        )
    if load_steps > 1 and any(getattr(contact, "frictional", False) for contact in problem.contacts):
        raise SolverError(
            "friction remembers each load step, of which a pure function takes one",
            where=where,
            advice="Use load_steps=1, or derivatives.load_steps.LoadSteps",
        )


@partial(jax.jit, static_argnums=0)
def _balanced(frame: Frame, arrays: Any, start: Array, fraction: Array) -> tuple[Array, Array]:
    """Displacement, and (converged, residual, iterations)."""
    floats, integers = eqx.partition(arrays, eqx.is_inexact_array)

    def whole(parameters: Any, numbers: Any) -> Problem:
        return eqx.combine(parameters, numbers, frame.rest)

    @jax.custom_jvp
    def root(parameters: Any, share: Array, numbers: Any, first: Array) -> tuple[Array, Array]:
        return Newton(whole(parameters, numbers), frame.options).run(first, share)

    @root.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        parameters, share, numbers, _ = primals
        found, record = root(*primals)
        free = jnp.asarray(~whole(parameters, numbers).held(), float)

        def forces(u: Array, p: Any, s: Array) -> Array:
            problem = whole(p, numbers)
            return internal_force(u, problem, s) - external_force(u, problem, s)

        def given(p: Any, s: Array) -> Array:
            return whole(p, numbers).prescribed_displacement(s)

        held = jax.jvp(given, (parameters, share), tangents[:2])[1] * (1.0 - free)
        rate = jax.jvp(forces, (found, parameters, share), (held, *tangents[:2]))[1]
        moved = _solve(whole(parameters, numbers), found, share, free, -rate * free) + held
        return (found, record), (moved, jnp.zeros_like(record))

    return root(floats, fraction, integers, start)


def _solve(problem: Problem, displacement: Array, fraction: Array, free: Array, right: Array) -> Array:
    """K_ff⁻¹ on the free components, zero elsewhere; NaN where the solve did not settle."""
    newton = Newton(problem, Options())
    scale = newton.scale

    def forces(u: Array) -> Array:
        return internal_force(u, problem, fraction) - external_force(u, problem, fraction)

    def product(direction: Array) -> Array:
        image = jax.jvp(forces, (displacement,), (scale * direction * free,))[1]
        return scale * image * free + direction * (1.0 - free)

    def blocks() -> Blocks:
        return Blocks(newton.stiffness(displacement / scale, fraction), free)

    def solve(_: Any, rhs: Array) -> Array:
        solution, settled = newton.solve(blocks(), rhs, jnp.asarray(LINEAR_TOLERANCE))
        return jnp.where(settled, solution, jnp.nan)

    def solve_transposed(_: Any, rhs: Array) -> Array:
        solution, settled = newton.solve(blocks().turned(), rhs, jnp.asarray(LINEAR_TOLERANCE))
        return jnp.where(settled, solution, jnp.nan)

    turned = None if newton.symmetric else solve_transposed
    found = jax.lax.custom_linear_solve(product, scale * right, solve, turned, symmetric=newton.symmetric)
    return scale * found
