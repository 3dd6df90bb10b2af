"""Exponents of Ogden's law: derivatives by them at any stretches, and fits that find them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue import fields
from preop.engine.tissue.fitting.fit import fit
from preop.engine.tissue.fitting.forces import Reaction
from preop.engine.tissue.fitting.moduli import moduli_of
from preop.engine.tissue.fitting.quantity import Quantity
from preop.engine.tissue.materials import Ogden
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.spectral import trace_power
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.engine.tissue.tensors import from_array
from preop.engine.tissue.verification.meshes import box
from preop.imaging.errors import SolverError

STRETCHES = {
    "apart": (1.7, 0.8, 0.6),
    "two alike": (1.3, 1.3, 0.6),
    "at rest": (1.0, 1.0, 1.0),
    "about alike": (1.1, 1.1 + 1e-5, 1.1 - 1e-9),
}
BULK = 4e4
"""Pa"""


def pulled(material: Ogden, stretch: float) -> Problem:
    """A cube of 1 m in plain tension."""
    model = Model.from_mesh(box((1, 1, 1)), {"*": material})
    supports = [Fixed("x0", "x"), Fixed("y0", "y"), Fixed("z0", "z")]
    return model.problem(supports=supports, prescribed=[Prescribed("x1", (stretch - 1.0, 0.0, 0.0), components="x")])


def exponent(problem: Any) -> Any:
    return problem.model.blocks[0].material.exponents[0]


@pytest.mark.parametrize("name", STRETCHES)
def test_slopes_by_the_exponent_of_energy_stress_and_tangent(name: str) -> None:
    """tr Cʳ, its first and its second change along symmetric A, B, each by r: against central differences."""
    draw = np.random.default_rng(0)
    turn, _ = np.linalg.qr(draw.standard_normal((3, 3)))
    at = jnp.asarray(turn @ np.diag(STRETCHES[name]) @ turn.T)
    first, second = (jnp.asarray(x + x.T) for x in draw.standard_normal((2, 3, 3)))

    def energy(matrix: jax.Array, power: Any) -> jax.Array:
        return trace_power(from_array(matrix), power)

    def stress(matrix: jax.Array, power: Any) -> jax.Array:
        return jnp.sum(jax.grad(energy)(matrix, power) * first)

    def tangent(matrix: jax.Array, power: Any) -> jax.Array:
        return jax.jvp(lambda m: stress(m, power), (matrix,), (second,))[1]

    for function in (energy, stress, tangent):
        slope = jax.jit(jax.grad(function, 1))
        for once in (function, slope):  # the second: the slope of the slope
            _close(jax.grad(once, 1), once, at)


def _close(slope: Callable[..., Any], function: Callable[..., Any], at: jax.Array) -> None:
    power, step = -2.35, 1e-4
    wanted = (function(at, power + step) - function(at, power - step)) / (2 * step)
    assert slope(at, power) == pytest.approx(float(wanted), rel=1e-5, abs=1e-7)


def test_an_exponent_is_found_from_a_force() -> None:
    """Exponent 8 from a first guess of 4, which no other parameter of the law could make up for."""
    problem = pulled(Ogden((2e3,), (8.0,), bulk_modulus=BULK), 1.4)
    force = np.asarray(fields.reaction(problem, solve(problem, load_steps=4).final, "x1"))
    first = pulled(Ogden((2e3,), (4.0,), bulk_modulus=BULK), 1.4)
    alpha = Quantity("alpha", exponent, spread=0.5, logarithmic=True)
    found = fit(first, [alpha], [Reaction("x1", force, 1.0, components="x")], load_steps=4)
    assert found.estimates[0].value == pytest.approx(8.0, rel=1e-4)
    low, high = found.estimates[0].interval_95
    assert 7.9 < low < 8.0 < high < 8.1
    assert found.statement == "The data determine the one unknown number."


def test_two_load_states_tell_modulus_and_exponent_apart() -> None:
    """One stretch leaves a mix of μ and α open; tension of three stretches finds both, each from a wrong guess."""
    truth, guess = Ogden((3e3,), (8.0,), bulk_modulus=BULK), Ogden((2e3,), (5.0,), bulk_modulus=BULK)
    stretches = (1.1, 1.25, 1.4)
    seen = []
    for stretch in stretches:
        problem = pulled(truth, stretch)
        force = np.asarray(fields.reaction(problem, solve(problem, load_steps=4).final, "x1"))
        seen.append([Reaction("x1", force, 1.0, components="x")])
    first = [pulled(guess, stretch) for stretch in stretches]
    unknowns = [
        Quantity("mu", lambda p: p.model.blocks[0].material.moduli[0], "Pa", spread=0.7, logarithmic=True),
        Quantity("alpha", exponent, spread=0.7, logarithmic=True),
    ]
    one = fit(first[-1], unknowns, seen[-1], load_steps=4)
    assert one.statement.startswith("1 of 2 unknown numbers is")
    found = fit(first, unknowns, seen, load_steps=4)
    assert [e.value for e in found.estimates] == pytest.approx([3e3, 8.0], rel=1e-3)
    assert found.statement == "The data determine all 2 unknown numbers."
    assert [len(r) for r in found.residuals] == [1, 1, 1]
    pulls = [float(np.asarray(state.displacement)[:, 0].max()) for state in found.states]
    assert pulls == pytest.approx([stretch - 1.0 for stretch in stretches])
    with pytest.raises(SolverError, match="3 problems, but observations of 2"):
        fit(first, unknowns, seen[:2])
    with pytest.raises(SolverError, match="a Reaction is none of the lists"):
        fit(first, unknowns, seen[0])


def test_moduli_of_several_terms_are_moduli() -> None:
    """Ogden's μₚ lie in a row, and are scaled as one."""
    assert set(moduli_of(Ogden.example())) == {"moduli", "bulk_modulus"}
