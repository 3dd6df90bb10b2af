"""Stresses of homogeneous, volume-preserving states against closed forms worked out by hand."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from preop.engine.tissue.materials import (
    DecoupledNeoHookean,
    Fung,
    Guccione,
    HolzapfelGasserOgden,
    HolzapfelOgden,
    Material,
    MooneyRivlin,
    Ogden,
    VerondaWestmann,
    Yeoh,
)
from preop.engine.tissue.spectral import trace_power
from preop.engine.tissue.tensors import from_array

X, Y, Z = np.eye(3)


def cauchy(law: Material, gradient: np.ndarray) -> np.ndarray:
    """σ [Pa] of one F."""
    piola = np.asarray(law.first_piola(jnp.asarray(gradient)[:, :, None]))[:, :, 0]
    return piola @ gradient.T / np.linalg.det(gradient)


def pulled(law: Material, mode: str, stretch: float) -> float:
    """σ₁₁ − σ₃₃ of an incompressible state whose third face is free."""
    other = {"uniaxial": stretch**-0.5, "biaxial": stretch, "shear": 1.0}[mode]
    stress = cauchy(law, np.diag([stretch, other, 1 / (stretch * other)]))
    return float(stress[0, 0] - stress[2, 2])


def ogden(modulus: float, *exponents: float) -> Ogden:
    return Ogden(tuple(modulus for _ in exponents), exponents, bulk_modulus=1e3)


@pytest.mark.parametrize(
    ("law", "mode", "stretch", "stress"),
    [
        (DecoupledNeoHookean(1.0, 1e3), "uniaxial", 0.7, -0.93857),
        (DecoupledNeoHookean(1.0, 1e3), "uniaxial", 2.0, 3.5),
        (DecoupledNeoHookean(1.0, 1e3), "biaxial", 1.3, 1.33987),
        (DecoupledNeoHookean(1.0, 1e3), "shear", 1.3, 1.09828),
        (MooneyRivlin(0.5, 0.1, bulk_modulus=1e3), "uniaxial", 1.3, 1.06243),
        (MooneyRivlin(0.5, 0.1, bulk_modulus=1e3), "uniaxial", 2.0, 3.85),
        (ogden(1.0, -4.7), "uniaxial", 0.7, -2.0909),
        (ogden(1.0, -4.7), "uniaxial", 0.9, -0.36602),
        (ogden(1.0, -4.7), "uniaxial", 1.3, 0.66432),
    ],
)
def test_tabulated(law: Material, mode: str, stretch: float, stress: float) -> None:
    """The table of references, to its last digit; moduli of 1 Pa make stresses ratios."""
    assert pulled(law, mode, stretch) == pytest.approx(stress, abs=1.0001 * 10.0 ** -len(str(stress).split(".")[1]))


@pytest.mark.parametrize("stretch", [0.6, 0.99999, 1.0, 1.4])
@pytest.mark.parametrize("mode", ["uniaxial", "biaxial", "shear"])
def test_ogden(mode: str, stretch: float) -> None:
    """σ₁ − σ₃ = Σ 2μ/α (λ₁ᵅ − λ₃ᵅ); with α = 2 and −2 it is a Mooney–Rivlin material."""
    other = {"uniaxial": stretch**-0.5, "biaxial": stretch, "shear": 1.0}[mode]
    third = 1 / (stretch * other)
    law = Ogden((3.0, 2.0, 0.5), (1.3, 5.0, -2.0), bulk_modulus=1e3)
    terms = zip((3.0, 2.0, 0.5), (1.3, 5.0, -2.0), strict=True)
    expected = sum(2 * mu / alpha * (stretch**alpha - third**alpha) for mu, alpha in terms)
    assert pulled(law, mode, stretch) == pytest.approx(expected, rel=1e-11, abs=1e-11)
    twin = MooneyRivlin(0.5, 0.1, bulk_modulus=1e3)  # c₁ = μ₁/2, c₂ = μ₂/2
    same = Ogden((1.0, 0.2), (2.0, -2.0), bulk_modulus=1e3)
    assert pulled(same, mode, stretch) == pytest.approx(pulled(twin, mode, stretch), rel=1e-11, abs=1e-12)


@pytest.mark.parametrize("kind", ["rest", "two equal", "two nearly equal", "generic"])
def test_ogden_tangent(kind: str) -> None:
    """With α = 2 and −2 the whole tangent is that of Mooney and Rivlin's polynomial, also at equal stretches."""
    values = {"rest": [1, 1, 1], "two equal": [1.3, 1.3, 0.7], "two nearly equal": [1.3, 1.3 + 1e-9, 0.7],
              "generic": [1.4, 1.1, 0.6]}[kind]  # fmt: skip
    turn, other = (np.linalg.qr(np.random.default_rng(seed).standard_normal((3, 3)))[0] for seed in (1, 2))
    gradient = jnp.asarray(turn @ np.diag(values) @ other.T)[:, :, None]
    gradient = gradient * jnp.sign(jnp.linalg.det(gradient[:, :, 0]))
    twin = MooneyRivlin(0.5, 0.1, bulk_modulus=1e3).elasticity(gradient)
    same = Ogden((1.0, 0.2), (2.0, -2.0), bulk_modulus=1e3).elasticity(gradient)
    assert np.abs(np.asarray(same - twin)).max() < 1e-12 * np.abs(np.asarray(twin)).max()


@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0], [2.0, 2.0, 0.5], [2.0, 2.0 + 1e-9, 0.5], [3.0, 1.1, 0.4]])
def test_powers_to_the_third_derivative(values: list[float]) -> None:
    """tr C³ and tr C⁻¹ against their polynomials, which know no eigenvalues: what second-order products need."""
    rng = np.random.default_rng(3)
    turn = np.linalg.qr(rng.standard_normal((3, 3)))[0]
    matrix = jnp.asarray(turn @ np.diag(values) @ turn.T)
    ways = [jnp.asarray(way + way.T) for way in rng.standard_normal((3, 3, 3))]

    def third(function):
        for way in ways:
            function = (lambda inner, w: lambda c: jax.jvp(inner, (c,), (w,))[1])(function, way)
        return float(function(matrix))

    for exponent, exact in ((3.0, lambda c: jnp.trace(c @ c @ c)), (-1.0, lambda c: jnp.trace(jnp.linalg.inv(c)))):
        found = third(lambda c, r=exponent: trace_power(from_array(c), r))
        assert found == pytest.approx(third(exact), rel=1e-10)


def test_polynomials_and_exponentials_in_the_invariants() -> None:
    """Uniaxial: σ = 2 (λ² − 1/λ)(∂W/∂I₁ + ∂W/∂I₂ / λ)."""
    stretch = 1.35
    measure, factor = stretch**2 + 2 / stretch - 3, 2 * (stretch**2 - 1 / stretch)
    yeoh = Yeoh((3.0, 2.0, 0.7), bulk_modulus=1e3)
    assert pulled(yeoh, "uniaxial", stretch) == pytest.approx(
        factor * (3.0 + 2 * 2.0 * measure + 3 * 0.7 * measure**2), rel=1e-12
    )
    skin = VerondaWestmann(2.0, 3.0, bulk_modulus=1e3)
    expected = factor * (2.0 * 3.0 * np.exp(3.0 * measure) - 0.5 * 2.0 * 3.0 / stretch)
    assert pulled(skin, "uniaxial", stretch) == pytest.approx(expected, rel=1e-12)


WALL = {"shear_modulus": 7.0, "fiber_modulus": 30.0, "fiber_exponent": 2.5}


def wall_stress(first: float, second: float, angle: float, kappa: float) -> tuple[float, float]:
    """σ₁ − σ₃ and σ₂ − σ₃ of a wall with two families at ± angle; per family ψ' = k₁ Ē exp(k₂ Ē²) where Ē > 0."""
    third = 1 / (first * second)
    cosine, sine = np.cos(np.radians(angle)) ** 2, np.sin(np.radians(angle)) ** 2
    fourth = first**2 * cosine + second**2 * sine
    strain = kappa * (first**2 + second**2 + third**2 - 3) + (1 - 3 * kappa) * (fourth - 1)
    slope = 30.0 * strain * np.exp(2.5 * strain**2) if strain > 0 else 0.0
    matrix, along = 7.0 + 4 * kappa * slope, 4 * (1 - 3 * kappa) * slope
    return (
        matrix * (first**2 - third**2) + along * first**2 * cosine,
        matrix * (second**2 - third**2) + along * second**2 * sine,
    )


@pytest.mark.parametrize("kappa", [0.0, 0.226, 1 / 3])
@pytest.mark.parametrize(("first", "second"), [(1.2, 1.1), (1.3, 0.8), (0.8, 0.9)])
def test_holzapfel_gasser_ogden_biaxial(first: float, second: float, kappa: float) -> None:
    """Tension, one way only, and compression, where slack fibres leave the matrix alone."""
    law = HolzapfelGasserOgden.in_wall(X, Y, 40.0, dispersion=kappa, bulk_modulus=1e3, **WALL)
    stress = cauchy(law, np.diag([first, second, 1 / (first * second)]))
    found = (stress[0, 0] - stress[2, 2], stress[1, 1] - stress[2, 2])
    assert found == pytest.approx(wall_stress(first, second, 40.0, kappa), rel=1e-11)


@pytest.mark.parametrize("kappa", [0.0, 0.226])
def test_holzapfel_gasser_ogden_uniaxial(kappa: float) -> None:
    """The transverse stretch that the closed form leaves free is free for the law too."""
    second = brentq(lambda s: wall_stress(1.2, s, 40.0, kappa)[1], 0.5, 1.2, xtol=1e-14)
    law = HolzapfelGasserOgden.in_wall(X, Y, 40.0, dispersion=kappa, bulk_modulus=1e3, **WALL)
    stress = cauchy(law, np.diag([1.2, second, 1 / (1.2 * second)]))
    assert stress[1, 1] == pytest.approx(stress[2, 2], abs=1e-9 * stress[0, 0])
    assert stress[0, 0] - stress[2, 2] == pytest.approx(wall_stress(1.2, second, 40.0, kappa)[0], rel=1e-11)


def test_guccione_along_and_across_the_fibre() -> None:
    """Along: dW/dλ of C/2 (exp Q − 1) with E_f = (λ² − 1)/2, E_s = E_n = (1/λ − 1)/2; simple shear in the plane of f
    and s."""
    stretch, law = 1.2, Guccione(2e3, 8.0, 2.0, 4.0, Z, bulk_modulus=1e6)
    fiber, across = 0.5 * (stretch**2 - 1), 0.5 * (1 / stretch - 1)
    slope = 1e3 * np.exp(8 * fiber**2 + 2 * 2 * across**2) * (16 * fiber * stretch - 4 * across / stretch**2)
    stress = cauchy(law, np.diag([stretch**-0.5, stretch**-0.5, stretch]))
    assert stress[2, 2] - stress[0, 0] == pytest.approx(slope * stretch, rel=1e-11)
    amount = 0.3
    gradient = np.eye(3) + amount * np.outer(Z, X)  # F = I + γ f ⊗ x: E_fx = γ/2, E_xx = γ²/2
    exponent = 2 * 0.25 * amount**4 + 2 * 4 * 0.25 * amount**2
    work = 1e3 * np.exp(exponent) * (2 * amount**3 + 4 * amount)
    piola = np.asarray(law.first_piola(jnp.asarray(gradient)[:, :, None]))[:, :, 0]
    assert piola[2, 0] == pytest.approx(work, rel=1e-11)


def test_fung_reduces_to_guccione() -> None:
    """Axial b_f, b_t, b_t, no coupling, shear b_fs/2, b_t/2, b_fs/2."""
    fiber, sheet = np.array([2.0, 1.0, -2.0]) / 3.0, np.array([1.0, 2.0, 2.0]) / 3.0
    one = Guccione(2e3, 8.0, 2.0, 4.0, fiber, bulk_modulus=1e5)
    two = Fung(2e3, (8.0, 2.0, 2.0), (0.0, 0.0, 0.0), (2.0, 1.0, 2.0), fiber, sheet, bulk_modulus=1e5)
    gradient = np.eye(3) + 0.2 * np.random.default_rng(1).uniform(-1, 1, (3, 3))
    assert cauchy(two, gradient) == pytest.approx(cauchy(one, gradient), rel=1e-11)


def test_fung_couplings() -> None:
    """Equibiaxial stretch in the plane of f and s: dW/dλ with Q = (b₁ + b₂ + 2 b₁₂) E² + b₃ E_n² + 2 (b₂₃ + b₃₁) E
    E_n."""
    law = Fung(2.0, (6.0, 3.0, 2.0), (0.6, 0.4, 0.5), (1.5, 0.8, 1.2), X, Y, bulk_modulus=1e3)
    stretch = 1.15
    plane, normal = 0.5 * (stretch**2 - 1), 0.5 * (stretch**-4 - 1)
    rate, normal_rate = stretch, -2 * stretch**-5
    exponent = (6 + 3 + 1.2) * plane**2 + 2 * normal**2 + 1.8 * plane * normal
    slope = 2 * 10.2 * plane * rate + 4 * normal * normal_rate + 1.8 * (rate * normal + plane * normal_rate)
    stress = cauchy(law, np.diag([stretch, stretch, stretch**-2]))
    both = stress[0, 0] + stress[1, 1] - 2 * stress[2, 2]  # λ dW/dλ along this path
    assert both == pytest.approx(np.exp(exponent) * slope * stretch, rel=1e-11)


@pytest.mark.parametrize(
    ("gradient", "fiber_work"),
    [
        (np.eye(3) + 0.2 * np.outer(X, Y), False),  # γ along f: sheets stretch, I₄s = 1 + γ², I₈ = γ
        (np.eye(3) + 0.2 * np.outer(Y, X), True),  # γ along s: fibres stretch
    ],
)
def test_holzapfel_ogden_simple_shear(gradient: np.ndarray, fiber_work: bool) -> None:
    """The shear stress is dW/dγ: a γ exp(b γ²) + 2 aᵢ γ³ exp(bᵢ γ⁴) + a_fs γ exp(b_fs γ²)."""
    law, amount = HolzapfelOgden(59.0, 8.0, 18472.0, 16.0, 2481.0, 11.0, 216.0, 11.4, X, Y, bulk_modulus=1e5), 0.2
    modulus, exponent = (18472.0, 16.0) if fiber_work else (2481.0, 11.0)
    expected = 59.0 * amount * np.exp(8.0 * amount**2) + 216.0 * amount * np.exp(11.4 * amount**2)
    expected += 2 * modulus * amount**3 * np.exp(exponent * amount**4)
    piola = np.asarray(law.first_piola(jnp.asarray(gradient)[:, :, None]))[:, :, 0]
    assert piola[(1, 0) if fiber_work else (0, 1)] == pytest.approx(expected, rel=1e-11)
