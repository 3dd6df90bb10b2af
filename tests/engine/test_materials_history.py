"""Materials that remember or are stressed at rest: viscosity, softening, damage, contraction, residual strain."""

from __future__ import annotations

from dataclasses import replace

import bodies
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import erf

from preop.engine.tissue import fields
from preop.engine.tissue.history import advanced, stepped
from preop.engine.tissue.materials import (
    ActiveContraction,
    Damage,
    DecoupledNeoHookean,
    Guccione,
    Material,
    Mullins,
    NeoHookean,
    ResidualStrain,
    SaintVenantKirchhoff,
    Viscoelastic,
)
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.solution import State
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.engine.tissue.tensors import from_array

GRADIENT = np.array([[1.20, 0.10, 0.00], [0.00, 0.95, 0.05], [0.02, 0.00, 1.05]])


def piola(law: Material, gradient: np.ndarray) -> np.ndarray:
    return np.asarray(law.first_piola(jnp.asarray(gradient)[:, :, None]))[:, :, 0]


def moved(law: Material, gradient: np.ndarray) -> Material:
    return law.advanced(from_array(jnp.asarray(gradient)[:, :, None]))


def shape_stress(law: Material, gradient: np.ndarray) -> np.ndarray:
    """P of the part that relaxes."""
    stiff, soft = (law.first_piola(jnp.asarray(gradient)[:, :, None]) for law in (law, _volume_only(law)))
    return np.asarray(stiff - soft)[:, :, 0]


def _volume_only(law: Material) -> Material:
    return DecoupledNeoHookean(1e-9, law.volume_modulus)


def test_a_step_of_strain_relaxes_by_the_prony_series() -> None:
    """At once 1 + Σγ times the relaxed stress, then 1 + Σγ exp(−t/τ): exact for steps of any length."""
    base = DecoupledNeoHookean.from_young(1e4, 0.4)
    law = moved(Viscoelastic(base, (0.5, 0.3), (0.1, 10.0)).stepped(0.0), GRADIENT)
    relaxed, volume = shape_stress(base, GRADIENT), piola(_volume_only(base), GRADIENT)
    time = 0.0
    for seconds in (0.0, 0.01, 0.2, 3.0, 40.0):
        law, time = law.stepped(seconds), time + seconds
        share = 1 + 0.5 * np.exp(-time / 0.1) + 0.3 * np.exp(-time / 10.0)
        expected = share * relaxed + volume
        assert np.abs(piola(law, GRADIENT) - expected).max() < 1e-9 * np.abs(expected).max()
        law = moved(law, GRADIENT)
        assert np.abs(piola(law, GRADIENT) - expected).max() < 1e-9 * np.abs(expected).max()  # no time is left


def history_error(steps: int, power: int) -> float:
    """Relative error at t = 1 s of a stress S = 2μE that grows with tᵖ, from the convolution in closed form."""
    shear, strength, time = 1e3, 0.8, 0.3
    law: Material = Viscoelastic(SaintVenantKirchhoff(shear, 0.0), (strength,), (time,))
    for k in range(1, steps + 1):
        strain = 0.1 * (k / steps) ** power
        gradient = np.diag([np.sqrt(1 + 2 * strain), 1.0, 1.0])
        law = law.stepped(1.0 / steps)
        stress = piola(law, gradient)[0, 0] / gradient[0, 0]
        law = moved(law, gradient)
    decay = np.exp(-1.0 / time)
    linear = time * (1 - decay)  # ∫ exp(−(1 − s)/τ) ds
    memory = linear if power == 1 else 2 * (time - time * linear)  # ∫ 2 s exp(−(1 − s)/τ) ds
    exact = 2 * shear * 0.1 * (1 + strength * memory)
    return abs(stress / exact - 1)


def test_viscous_steps_are_of_second_order() -> None:
    """Exact for a stress that grows linearly; a quarter of the error with half the step for one that grows with t²."""
    assert history_error(3, 1) < 1e-12
    coarse, fine = history_error(10, 2), history_error(20, 2)
    assert coarse > 1e-6
    assert coarse / fine == pytest.approx(4.0, rel=0.05)


def test_viscous_tangent_with_history() -> None:
    """With a history in it the step's stress is still the slope of its energy, and the tangent that of the stress."""
    law = moved(Viscoelastic.example().stepped(0.05), GRADIENT).stepped(0.2)
    gradient, h = jnp.asarray(GRADIENT @ np.diag([1.1, 0.9, 1.0]))[:, :, None], 1e-5
    stress, modulus = law.first_piola(gradient), law.elasticity(gradient)
    bump = jnp.asarray(np.random.default_rng(2).standard_normal((3, 3)))[:, :, None]
    up, down = (law.energy_density(from_array(gradient + s * h * bump)) for s in (1, -1))
    assert float((up - down)[0] / (2 * h)) == pytest.approx(float(jnp.sum(stress * bump)), rel=1e-7)
    slope = (law.first_piola(gradient + h * bump) - law.first_piola(gradient - h * bump)) / (2 * h)
    assert np.asarray(jnp.einsum("ijkle,kle->ije", modulus, bump)) == pytest.approx(
        np.asarray(slope), rel=1e-6, abs=1e-2
    )


@pytest.mark.parametrize("element", ["T4", "T10"])
def test_relaxation_of_a_body(element: str) -> None:
    """A block held at a stretch: the pull on its end falls as the Prony series; ν = ½ − relaxes in shape alone."""
    base = NeoHookean(4e3, 0.0)  # no volume law: all of the stress relaxes
    model = Model.from_mesh(bodies.box((1, 1, 1)), {"body": Viscoelastic(base, (1.5,), (2.0,))}, element=element)
    problem = model.problem(supports=[Fixed("x0")], prescribed=[Prescribed("x1", (0.3, 0.0, 0.0))])
    pulls, times, state = [], np.cumsum([0.0, 0.5, 1.0, 30.0]), None
    for seconds in np.diff(times, prepend=0.0):
        problem = stepped(problem, seconds)
        state = solve(problem, start=state, tolerance=1e-10).final
        pulls.append(fields.reaction(problem, state, "x1")[0])
        problem = advanced(problem, state)
    # Every S is proportional to 1 + γ exp(−t/τ), so the shape of the body does not change while it relaxes.
    assert pulls == pytest.approx(pulls[0] * (1 + 1.5 * np.exp(-times / 2.0)) / 2.5, rel=1e-6)


def test_the_shape_relaxes_too() -> None:
    """A viscous half beside an elastic one: at once the soft one gives way, after a long time the relaxed materials'
    shape."""
    mesh = bodies.box((2, 1, 1))
    left = mesh.points[mesh.tetrahedra].mean(axis=1)[:, 0] < 500.0
    mesh = replace(mesh, region=np.where(left, 1, 2).astype(np.int32), region_names={1: "left", 2: "right"})
    base, other = NeoHookean.from_young(4e3, 0.3), NeoHookean.from_young(8e3, 0.3)

    def problem_of(law: Material) -> Problem:
        model = Model.from_mesh(mesh, {"left": law, "right": other})
        return model.problem(supports=[Fixed("x0")], prescribed=[Prescribed("x1", (0.3, 0.0, 0.0))])

    problem = stepped(problem_of(Viscoelastic(base, (1.5,), (2.0,))), 0.0)
    first = solve(problem, tolerance=1e-10).final
    problem = stepped(advanced(problem, first), 1e9)
    last = solve(problem, start=first, tolerance=1e-10).final
    relaxed = solve(problem_of(base), tolerance=1e-10).final
    assert float(jnp.abs(last.displacement - relaxed.displacement).max()) < 1e-7
    assert float(jnp.abs(first.displacement - relaxed.displacement).max()) > 0.01


def stretched(stretch: float) -> np.ndarray:
    return np.diag([stretch, stretch**-0.5, stretch**-0.5])


def pull(law: Material, stretch: float) -> float:
    """σ₁₁ − σ₃₃."""
    gradient = stretched(stretch)
    stress = piola(law, gradient) @ gradient.T
    return float(stress[0, 0] - stress[2, 2])


def test_mullins_softening() -> None:
    """On the first pull the virgin stress, back η of it, η = 1 − erf((W_m − W)/(m + β W_m))/r; beyond, virgin again."""
    base = DecoupledNeoHookean(1e4, 1e6)
    law: Material = Mullins(base, 1.6, 2e3, 0.2)
    for stretch in (1.2, 1.4, 1.6):
        assert pull(law, stretch) == pytest.approx(pull(base, stretch), rel=1e-12)
        law = moved(law, stretched(stretch))
    energy = {s: 0.5e4 * (s**2 + 2 / s - 3) for s in (1.1, 1.3, 1.5, 1.6)}
    for stretch in (1.5, 1.3, 1.1):
        softened = 1 - erf((energy[1.6] - energy[stretch]) / (2e3 + 0.2 * energy[1.6])) / 1.6
        assert pull(law, stretch) == pytest.approx(softened * pull(base, stretch), rel=1e-10)
        law = moved(law, stretched(stretch))  # unloading changes nothing
    assert pull(law, 1.7) == pytest.approx(pull(base, 1.7), rel=1e-12)


def test_damage() -> None:
    """(1 − d) of the stress, d = d_∞ (1 − exp(−⟨α − α₀⟩/ι)), on the way up by W itself and on the way down by the
    largest W."""
    base = DecoupledNeoHookean(1e4, 1e6)
    law: Material = Damage(base, 500.0, 2e3, 0.7)

    def left(stretch: float) -> float:
        energy = 0.5e4 * (stretch**2 + 2 / stretch - 3)
        return 1 - 0.7 * (1 - np.exp(-max(energy - 500.0, 0.0) / 2e3))

    assert left(1.1) == 1.0
    for stretch in (1.1, 1.4, 1.6):
        assert pull(law, stretch) == pytest.approx(left(stretch) * pull(base, stretch), rel=1e-10)
        law = moved(law, stretched(stretch))
    for stretch in (1.5, 1.2):
        assert pull(law, stretch) == pytest.approx(left(1.6) * pull(base, stretch), rel=1e-10)
        law = moved(law, stretched(stretch))
    assert pull(law, 1.8) == pytest.approx(left(1.8) * pull(base, 1.8), rel=1e-10)


def test_contraction_is_ramped_by_the_load() -> None:
    """A free strip of ν = 0 shortens until μ (λ − 1/λ) + s T λ = 0, s the load fraction."""
    base = NeoHookean(5e3, 0.0)
    model = Model.from_mesh(bodies.box((2, 1, 1)), {"body": ActiveContraction(base, 4e3, (1.0, 0.0, 0.0))})
    problem = model.problem(supports=[Fixed("x0", "x"), Fixed("y0", "y"), Fixed("z0", "z")])
    solution = solve(problem, load_steps=[0.25, 1.0], tolerance=1e-11).require_converged()
    for state in solution.states:
        tension = 4e3 * state.load_fraction
        exact = np.sqrt(5e3 / (5e3 + tension))  # μ (λ − 1/λ) + s T λ = 0
        found = fields.deformation_gradient(model, state)
        assert np.abs(found - np.diag([exact, 1.0, 1.0])).max() < 1e-8


def test_length_dependent_tension() -> None:
    """S_active = T (1 + β (λ − 1)) along the fibre, and none below λ = 1 − 1/β."""
    base = NeoHookean(5e3, 0.0)
    law = ActiveContraction(base, 4e3, (1.0, 0.0, 0.0), 2.0)
    for stretch, share in ((1.2, 1.4), (0.8, 0.6), (0.45, 0.0)):
        gradient = np.diag([stretch, 1.1, 0.9])
        active = (piola(law, gradient) - piola(base, gradient))[0, 0] / stretch
        assert active == pytest.approx(4e3 * share, rel=1e-12, abs=1e-9)


def test_two_layers_of_unlike_length_balance_each_other() -> None:
    """One layer grown by g along x, glued to one that is not: λ = √g and stresses ∓μ (√g − 1/√g), with no load on the
    ends."""
    grown, shear = 1.21, 5e3
    mesh = bodies.box((2, 2, 2))
    upper = mesh.points[mesh.tetrahedra].mean(axis=1)[:, 2] > 500.0
    mesh.region[:] = np.where(upper, 2, 1)
    mesh.region_names.update({1: "lower", 2: "upper"})
    base = NeoHookean(shear, 0.0)  # ν = 0: layers of unlike length do not differ in width
    layer = ResidualStrain.from_growth(base, np.diag([grown, 1.0, 1.0]))
    model = Model.from_mesh(mesh, {"lower": base, "upper": layer})
    problem = model.problem(
        supports=[Fixed("x0", "x"), Fixed("y0", "y"), Fixed("z0", "z")],
        prescribed=[Prescribed("x1", (np.sqrt(grown) - 1, 0.0, 0.0), components="x")],
    )
    state = solve(problem, load_steps=2, tolerance=1e-11).final
    assert np.abs(fields.deformation_gradient(model, state) - np.diag([np.sqrt(grown), 1.0, 1.0])).max() < 1e-8
    root = np.sqrt(grown)
    expected = shear * (root - 1 / root)
    # P = σ over the unmoved cross-section of 1 m², half of it each.
    stress = fields.cauchy_stress(model, state)[:, 0, 0]
    assert stress[~upper] == pytest.approx(expected, rel=1e-6)
    assert stress[upper] == pytest.approx(-expected, rel=1e-6)
    assert abs(fields.reaction(problem, state, "x1")[0]) < 1e-6 * expected


@pytest.mark.parametrize("by_point", [False, True])
def test_prestress_by_a_stored_deformation(by_point: bool) -> None:
    """A body that starts from a loaded shape has that shape's Cauchy stress at once, volume change included."""
    base = Guccione(2e3, 8.0, 2.0, 4.0, np.array([0.6, 0.8, 0.0]), bulk_modulus=2e4)
    mesh = bodies.box((1, 1, 1))
    stored = np.broadcast_to(GRADIENT, (len(mesh.tetrahedra), 4, 3, 3)) if by_point else GRADIENT
    model = Model.from_mesh(mesh, {"body": ResidualStrain(base, stored, during=(0.0, 0.0))}, element="T10")
    stress = fields.cauchy_stress(model, State(0.0, jnp.zeros_like(model.points)))
    expected = piola(base, GRADIENT) @ GRADIENT.T / np.linalg.det(GRADIENT)
    assert np.abs(stress - expected).max() < 1e-10 * np.abs(expected).max()
