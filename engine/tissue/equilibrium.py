"""`equilibrium`: a solution as one pure compiled function, through which `jit`, `grad`, `jvp` and `vmap` pass.

    stiff = lambda scale: eqx.tree_at(where, problem, scale * where(problem))
    equilibrium(problem)                                        # (rows, 3) m and Pa, NaN where there is none
    jax.vmap(lambda s: equilibrium(stiff(s)))(scales)           # many parameter sets on one mesh
    jax.hessian(lambda s: read.strain_energy(equilibrium(stiff(s)), stiff(s)))(1.0)

Newton's method is that of `newton`, in a compiled loop around the Krylov methods of the device path: conjugate
gradients, MINRES with unknown pressures, GMRES where a pressure's stiffness is not symmetric or one step of friction
is. Multipliers of ties and of contacts with `penetration=` are moved on to their limit
(`augmented_balance`), and are part of what is solved for. Derivatives follow the implicit rule K u̇ = −∂R/∂p ṗ
(`docs/theory/derivatives.md`), of any order; iterations are not differentiated.
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
from ..precision import require_float64
from . import given
from .augmented_balance import Found, balanced
from .balance_rule import answered, closing, forces
from .device_newton import Options
from .problem import Problem
from .static import require_held


class Balance(NamedTuple):
    """An attempt to find equilibrium; under `vmap` every array has the members first.

    Attributes:
        displacement: m, followed by the rows of unknown pressures [Pa] of mixed elements; NaN where it was not found,
            so that no wrong answer goes on.
        converged: whether it was.
        residual: ‖residual‖ / force scale at the end.
        iterations: Newton iterations in all.
        multipliers: Pa, of contacts with `penetration=` and of ties, at their limit; those of the problem whose forces
            balance (`augmented_balance.with_multipliers`). Of `batch.gathered`, those of each member's last problem.
        settled: whether multipliers came to their limit, True without any. Where rounds ran out before, but all is as
            close as asked, the displacement stands; derivatives, which are those of the limit, are NaN. Of
            `batch.gathered`, False with multipliers: the host stops where all is as close as asked.
    """

    displacement: Float[Array, "rows 3"]
    converged: Bool[Array, ""]
    residual: Float[Array, ""]
    iterations: Float[Array, ""]
    multipliers: Float[Array, " n"]
    settled: Bool[Array, ""]


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
    rounds: int = 40,
) -> Balance:
    """Equilibrium at a load fraction, and whether it was found.

    Args:
        problem: what is solved; any float array in it may be traced.
        guess: (rows, 3) m and Pa to start from; not differentiated. At rest by default.
        load_steps: how many steps lead to the load; a step that fails is halved, as in `static.solve`.
        tolerance: on ‖residual‖ relative to the larger of external forces and reactions.
        max_iterations: Newton iterations per step.
        check_stability: whether an unstable balance counts as none.
        rounds: of multipliers at most, each with a balance; see `Balance.settled`.

    Raises:
        SolverError: 64-bit floats are off, or the problem is one for the host: contact between tissues, unknown
            pressures with an unsymmetric tangent, friction in more than one step.
    """
    require_float64()
    require_held(problem, "equilibrium")
    given.whole(load_steps, "load steps", "equilibrium")
    given.tolerance(tolerance, "equilibrium")
    given.whole(max_iterations, "iterations", "equilibrium")
    given.whole(rounds, "rounds", "equilibrium")
    begun = problem.begun()
    _check(begun, load_steps)
    arrays, rest = eqx.partition(begun, _traceable)
    frame = Frame(rest, Options(load_steps, tolerance, max_iterations, check_stability, rounds))
    start, shape = jnp.zeros_like(problem.model.row_points), problem.model.row_points.shape
    start = start if guess is None else given.array(guess, "a guess", "equilibrium", shape, advice="Give m")
    at = given.array(fraction, "a load fraction", "equilibrium", ())
    given.at_least(at, 0.0, "a load fraction", "", "equilibrium", "Give 0 to 1")
    found = _balanced(frame, arrays, jax.lax.stop_gradient(start), at)
    converged, residual, iterations, settled = found.record
    return Balance(found.rows, converged > 0.5, residual, iterations, found.multipliers, settled > 0.5)


class Frame:
    """What is not traced of a problem: names, sets, elements; equal where a compiled function can be used again."""

    def __init__(self, rest: Any, options: Options) -> None:
        self.rest, self.options = rest, options
        leaves, structure = jax.tree.flatten(rest)
        keys = [_content(leaf) for leaf in leaves]
        self._key = (structure, tuple(keys), options)
        self._hash = hash((structure, options, tuple(hash(key) for key in keys)))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Frame) and self._hash == other._hash and self._key == other._key


def _content(leaf: Any) -> Any:
    return (leaf.shape, leaf.dtype.str, leaf.tobytes()) if isinstance(leaf, np.ndarray) else leaf


def _traceable(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array) or eqx.is_inexact_array(leaf)


def _check(problem: Problem, load_steps: int) -> None:
    where, advice = "equilibrium", "Use static.solve with linear_solver='host'"
    for contact in problem.contacts:
        if contact.multipliers() and not hasattr(contact, "renewed"):
            raise SolverError(
                f"{contact.label} has multipliers at pairs that the host finds",
                where=where,
                advice="Use static.solve, or the penalty method: a contact without penetration=",
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
def _balanced(frame: Frame, arrays: Any, start: Array, fraction: Array) -> Found:
    floats, integers = eqx.partition(arrays, eqx.is_inexact_array)

    def whole(parameters: Any, numbers: Any) -> Problem:
        return eqx.combine(parameters, numbers, frame.rest)

    @jax.custom_jvp
    def root(parameters: Any, share: Array, numbers: Any, first: Array) -> Found:
        return balanced(whole(parameters, numbers), frame.options, first, share)

    @root.defjvp
    def rule(primals: Any, tangents: Any) -> Any:
        parameters, share, numbers, _ = primals
        found = root(*primals)
        problem = whole(parameters, numbers)
        free, still = jnp.asarray(~problem.held(), float), jnp.zeros_like(found.multipliers)

        def moved(p: Any, s: Array) -> Array:
            return whole(p, numbers).prescribed_displacement(s)

        def rate(function: Any) -> Array:
            at, way = (found.rows, found.multipliers), (held, still)
            return jax.jvp(
                lambda u, m, p, s: function(u, m, whole(p, numbers), s), (*at, parameters, share), (*way, *tangents[:2])
            )[1]

        held = jax.jvp(moved, (parameters, share), tangents[:2])[1] * (1.0 - free)
        right = (-rate(forces) * free, -rate(closing) if still.size else still)
        change, own = answered(problem, (found.rows, found.multipliers), share, right)
        known = jnp.where(found.record[3] > 0.5, 1.0, jnp.nan)  # a factor: it stays when transposed
        return found, Found(known * (change + held), known * own, jnp.zeros_like(found.record))

    return root(floats, fraction, integers, start)
