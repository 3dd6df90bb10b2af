"""What every registered material must do: exact slopes, frames, rest, symmetry, the mixed form, named mistakes."""

from __future__ import annotations

from dataclasses import fields as fields_of

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue.materials import MATERIALS, Material, batch_last, material_named
from preop.engine.tissue.materials.wrapper import Wrapper
from preop.engine.tissue.tensors import from_array
from preop.imaging.errors import SolverError

OBJECTIVE = [name for name, law in MATERIALS.items() if law.objective]
STRESS_FREE = [name for name, law in MATERIALS.items() if law.stress_free]


def example(name: str) -> Material:
    """As energies see it."""
    return batch_last(MATERIALS[name].example())


def states(count: int = 12, size: float = 0.2) -> jax.Array:
    """(3, 3, count): random, then F = I and two equal stretches, where spectral laws are delicate."""
    rng = np.random.default_rng(3)
    found = np.eye(3) + size * rng.uniform(-1, 1, (count, 3, 3))
    turn = rotation(8)
    found[0], found[1] = np.eye(3), turn @ np.diag([1.2, 1.2, 0.8]) @ turn.T
    return jnp.asarray(np.moveaxis(found, 0, -1))


def rotation(seed: int) -> np.ndarray:
    turn = np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))[0]
    return turn * np.sign(np.linalg.det(turn))


def energy(law: Material, gradient: jax.Array) -> jax.Array:
    return law.energy_density(from_array(gradient))


@pytest.mark.parametrize("name", MATERIALS)
def test_stress_and_tangent_are_slopes(name: str) -> None:
    """P = ∂W/∂F and A = ∂P/∂F by central differences of fourth order; A has major symmetry."""
    law, gradient, h = example(name), states(), 1e-3
    # Where fibres go slack the tangent jumps: F = I is such a place, and differences across it mean nothing.
    if not law.isotropic:
        gradient = gradient[..., 1:]
    piola, modulus = law.first_piola(gradient), law.elasticity(gradient)
    stress, stiffness = float(jnp.abs(piola).max()), float(jnp.abs(modulus).max())

    count = gradient.shape[-1]
    bumps = h * np.eye(9).reshape(3, 3, 1, 1, 9)  # along each entry of F
    weights = np.array([1.0, -8.0, 8.0, -1.0]) / (12.0 * h)
    moved = gradient[..., None, None] + np.array([-2.0, -1.0, 1.0, 2.0])[:, None] * bumps  # (3, 3, count, 4, 9)
    moved = moved.reshape(3, 3, -1)
    slopes = jnp.einsum("ijesn,s->ijne", law.first_piola(moved).reshape(3, 3, count, 4, 9), weights)
    assert float(jnp.abs(slopes - modulus.reshape(3, 3, 9, count)).max()) < 1e-7 * stiffness
    work = jnp.einsum("esn,s->ne", energy(law, moved).reshape(count, 4, 9), weights)
    assert float(jnp.abs(work - piola.reshape(9, count)).max()) < 1e-7 * max(stress, h * stiffness)
    swapped = jnp.transpose(modulus, (2, 3, 0, 1, 4))
    assert float(jnp.abs(modulus - swapped).max()) < 1e-12 * stiffness


@pytest.mark.parametrize("name", OBJECTIVE)
def test_objectivity(name: str) -> None:
    """W(QF) = W(F), P(QF) = Q P(F), and P Fᵀ is symmetric."""
    law, gradient, turn = example(name), states(), rotation(5)
    piola = law.first_piola(gradient)
    turned = jnp.einsum("ij,jke->ike", turn, gradient)
    scale = float(jnp.abs(piola).max())
    assert float(jnp.abs(law.first_piola(turned) - jnp.einsum("ij,jke->ike", turn, piola)).max()) < 1e-11 * scale
    assert np.asarray(energy(law, turned)) == pytest.approx(np.asarray(energy(law, gradient)), rel=1e-10, abs=1e-9)
    kirchhoff = jnp.einsum("ike,jke->ije", piola, gradient)
    assert float(jnp.abs(kirchhoff - jnp.swapaxes(kirchhoff, 0, 1)).max()) < 1e-11 * scale


@pytest.mark.parametrize("name", MATERIALS)
def test_material_symmetry(name: str) -> None:
    """An isotropic law does not see how the body was turned before: W(FQ) = W(F). One with fibres does."""
    law, gradient, turn = example(name), states(), rotation(6)
    turned = jnp.einsum("ike,kj->ije", gradient, turn)
    before, after = np.asarray(energy(law, gradient))[2:], np.asarray(energy(law, turned))[2:]
    if law.isotropic and law.objective:
        assert after == pytest.approx(before, rel=1e-10)
    else:
        assert np.abs(after - before).max() > 1e-3 * np.abs(before).max()


@pytest.mark.parametrize("name", STRESS_FREE)
def test_rest(name: str) -> None:
    """F = I carries no energy and no stress, and any small strain takes work."""
    law = example(name)
    still = jnp.eye(3)[:, :, None]
    modulus = np.asarray(law.elasticity(still))[..., 0]
    assert np.abs(np.asarray(energy(law, still))).max() < 1e-12 * np.abs(modulus).max()
    assert float(jnp.abs(law.first_piola(still)).max()) < 1e-12 * np.abs(modulus).max()
    symmetric = [np.eye(3)[[i]].T @ np.eye(3)[[j]] for i in range(3) for j in range(i, 3)]
    strains = np.stack([0.5 * (s + s.T) for s in symmetric]).reshape(6, 9)
    assert np.linalg.eigvalsh(strains @ modulus.reshape(9, 9) @ strains.T).min() > 0


@pytest.mark.parametrize("name", MATERIALS)
def test_mixed_energy(name: str) -> None:
    """At its stationary pressure the mixed energy is W with the same stress; K = ∞ leaves W_shape + p g."""
    law, gradient = example(name), states()
    tensor = from_array(gradient)

    def slope(pressure):
        return jax.grad(lambda p: jnp.sum(law.mixed_energy_density(tensor, p)))(pressure)

    pressure = jnp.zeros(gradient.shape[2:])
    for _ in range(8):  # Newton's method, on a concave function of p
        bend = jax.jvp(slope, (pressure,), (jnp.ones_like(pressure),))[1]
        pressure = pressure - slope(pressure) / bend
    whole, mixed = np.asarray(law.energy_density(tensor)), np.asarray(law.mixed_energy_density(tensor, pressure))
    assert mixed == pytest.approx(whole, rel=1e-9, abs=1e-9 * np.abs(whole).max())

    def stress(function):
        return jax.grad(lambda f: jnp.sum(function(from_array(f))))(gradient)

    piola = stress(law.energy_density)
    other = stress(lambda f: law.mixed_energy_density(f, pressure))
    assert float(jnp.abs(other - piola).max()) < 1e-9 * float(jnp.abs(piola).max())

    stiff = incompressible(law)
    parts = law.shape_energy_density(tensor) + pressure * law.volume_measure(tensor)
    limit = stiff.mixed_energy_density(tensor, pressure)
    assert np.asarray(limit) == pytest.approx(np.asarray(parts), rel=1e-12, abs=1e-9)
    assert np.isfinite(np.asarray(jax.grad(lambda p: jnp.sum(stiff.mixed_energy_density(tensor, p)))(pressure))).all()


def incompressible(law: Material) -> Material:
    """With K = ∞."""
    if isinstance(law, Wrapper):
        return law.rebased(incompressible(law.base))
    name = "bulk_modulus" if hasattr(law, "bulk_modulus") else "lame"
    return eqx.tree_at(lambda m: getattr(m, name), law, jnp.asarray(jnp.inf))


@pytest.mark.parametrize("name", MATERIALS)
def test_examples_are_plausible_and_mistakes_are_named(name: str) -> None:
    """`problems` is silent about the example, and names every parameter that is NaN."""
    law = MATERIALS[name].example()
    assert law.problems() == []
    assert material_named(name) is MATERIALS[name]
    for field in fields_of(law):
        value = getattr(law, field.name)
        if field.name in law.vectors or field.metadata.get("static") or isinstance(value, Material):
            continue
        if not jax.tree.leaves(value) or field.name == "seconds":
            continue
        broken = eqx.tree_at(lambda m, n=field.name: jax.tree.leaves(getattr(m, n))[0], law, np.nan)
        assert broken.problems(), field.name


SOFT = {
    "neo-hookean": lambda m: (m.shear_modulus, m.lame),
    "mooney-rivlin": lambda m: (m.c1, m.c2),
    "yeoh": lambda m: m.coefficients,
    "ogden": lambda m: m.moduli,
    "veronda-westmann": lambda m: (m.c1,),
    "guccione": lambda m: (m.stiffness,),
    "fung": lambda m: (m.stiffness,),
    "holzapfel-gasser-ogden": lambda m: (m.shear_modulus,),
    "active-contraction": lambda m: (m.tension,),
}


@pytest.mark.parametrize("name", SOFT)
def test_kilopascals_typed_as_pascals_are_told(name: str) -> None:
    """A modulus a million times too small or too large: MPa where pascals are meant, or the reverse."""
    law = MATERIALS[name].example()
    where = SOFT[name]
    softer = eqx.tree_at(where, law, tuple(1e-6 * value for value in where(law)))
    assert any("give it in Pa" in phrase for phrase in softer.problems())
    stiffer = eqx.tree_at(where, law, tuple(1e12 * value for value in where(law)))
    assert any("Pa" in phrase for phrase in stiffer.problems())


def test_an_unknown_material_is_named() -> None:
    with pytest.raises(SolverError, match="no material is named 'jelly'"):
        material_named("jelly")
