"""Stretch and stress along fibres, against closed forms of homogeneous deformations; values at places."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue import fields
from preop.engine.tissue.fiber_fields import at_points, fiber_direction, fiber_names, fiber_stress, fiber_stretch
from preop.engine.tissue.materials import ActiveContraction, HolzapfelGasserOgden, HolzapfelOgden, NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.solution import State
from preop.engine.tissue.verification.meshes import box, bricks
from preop.imaging.errors import SolverError

YOUNG, POISSON, TENSION = 10e3, 0.3, 5e3
F = np.array([[1.2, 0.3, 0.0], [0.0, 0.9, 0.1], [0.05, 0.0, 1.1]])
FIBER = np.array([np.cos(0.5), np.sin(0.5), 0.0])


def moved(model: Model, gradient: np.ndarray) -> State:
    shift = np.asarray(model.row_points) @ (gradient - np.eye(3)).T
    return State.of_rows(1.0, jnp.asarray(shift), model.nodes)


@pytest.fixture(params=["T4", "T10", "H8"])
def model(request: pytest.FixtureRequest) -> Model:
    mesh = (bricks if request.param == "H8" else box)((2, 2, 2), size=(20.0, 20.0, 20.0))
    law = ActiveContraction(NeoHookean.from_young(YOUNG, POISSON), TENSION, FIBER)
    return Model.from_mesh(mesh, {"*": law}, element=request.param)


def test_along_a_fibre_as_by_hand(model: Model) -> None:
    """σ = μ/J (b − I) + λ ln J/J I + T/J (F f) ⊗ (F f) of the neo-Hookean law with a constant active tension."""
    state = moved(model, F)
    mu, lam = YOUNG / (2 * (1 + POISSON)), YOUNG * POISSON / ((1 + POISSON) * (1 - 2 * POISSON))
    line, volume = F @ FIBER, np.linalg.det(F)
    stretch = np.linalg.norm(line)
    a = line / stretch
    passive = mu / volume * (a @ F @ F.T @ a - 1) + lam * np.log(volume) / volume
    assert fiber_names(model) == ("fiber",)
    assert fiber_stretch(model, state) == pytest.approx(stretch, rel=1e-12)
    assert fiber_stress(model, state) == pytest.approx(passive + TENSION / volume * stretch**2, rel=1e-9)
    assert fiber_direction(model, state, "fiber") == pytest.approx(np.broadcast_to(a, (len(model.blocks[0].nodes), 3)))


def test_elements_without_the_fibre_have_no_value() -> None:
    mesh = box((2, 2, 1), size=(20.0, 10.0, 10.0))
    half = np.asarray(mesh.points[mesh.tetrahedra, 0].mean(axis=1) > 10.0, np.int32)
    mesh = type(mesh)(mesh.points, mesh.tetrahedra, half, {0: "plain", 1: "wall"}, mesh.facet_sets, mesh.node_sets)
    wall = HolzapfelGasserOgden.example()
    model = Model.from_mesh(mesh, {"plain": NeoHookean.from_young(YOUNG, POISSON), "wall": wall})
    names = fiber_names(model)
    assert names == ("first_fiber", "second_fiber")
    state = moved(model, F)
    for name in names:
        unit = np.asarray(getattr(wall, name)).ravel()[:3]
        stretch = fiber_stretch(model, state, name)
        assert np.isnan(stretch[half == 0]).all()
        assert stretch[half == 1] == pytest.approx(np.linalg.norm(F @ unit), rel=1e-12)
    stretch = fiber_stretch(model, state, "first_fiber")
    inside = at_points(model, stretch, [[0.0101, 0.004, 0.005], [0.015, 0.004, 0.006]])
    assert inside == pytest.approx(stretch[half == 1][0], rel=1e-12)
    assert np.isnan(at_points(model, stretch, [0.003, 0.004, 0.005])).all()
    with pytest.raises(SolverError, match=r"no material has a direction 'fiber'. Choose from \['first_fiber'"):
        fiber_stress(model, state, "fiber")


def test_a_body_without_fibres_is_refused() -> None:
    model = Model.from_mesh(box((1, 1, 1)), {"*": NeoHookean.from_young(YOUNG, POISSON)})
    with pytest.raises(SolverError, match="no material has fibres"):
        fiber_stretch(model, moved(model, F))


def test_values_at_places_follow_the_shape_functions(model: Model) -> None:
    state = moved(model, F)
    places = np.array([[0.003, 0.011, 0.0171], [0.02, 0.0, 0.005], [0.0100001, 0.01, 0.01]])
    assert at_points(model, state.displacement, places) == pytest.approx(places @ (F - np.eye(3)).T, abs=1e-12)
    stress = fields.cauchy_stress(model, state)
    assert at_points(model, stress, places) == pytest.approx(np.broadcast_to(stress[0], (3, 3, 3)), rel=1e-9)
    with pytest.raises(SolverError, match=r"1 of 1 points lie outside of the body"):
        at_points(model, stress, [0.05, 0.0, 0.0])
    for wrong in (np.zeros(3), 3.0):
        with pytest.raises(SolverError, match=r"values of shape \(3?,?\) are neither for"):
            at_points(model, wrong, places)


def test_a_fibre_within_a_law_of_the_same_name_has_its_path() -> None:
    inner, across = HolzapfelOgden.example(), np.array([0.0, 0.0, 1.0])
    model = Model.from_mesh(box((1, 1, 1)), {"*": ActiveContraction(inner, TENSION, across)})
    assert fiber_names(model)[:2] == ("fiber", "base.fiber")
    state = moved(model, F)
    assert fiber_stretch(model, state, "fiber") == pytest.approx(np.linalg.norm(F @ across), rel=1e-12)
    own = np.asarray(inner.fiber).ravel()[:3]
    assert fiber_stretch(model, state, "base.fiber") == pytest.approx(np.linalg.norm(F @ own), rel=1e-12)


def test_fibres_by_element_are_their_own() -> None:
    mesh = box((2, 2, 2), size=(20.0, 20.0, 20.0))
    units = np.random.default_rng(3).normal(size=(len(mesh.tetrahedra), 3))
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    law = ActiveContraction(NeoHookean.from_young(YOUNG, POISSON), TENSION, units)
    model = Model.from_mesh(mesh, {"*": law})
    assert fiber_stretch(model, moved(model, F)) == pytest.approx(np.linalg.norm(units @ F.T, axis=1), rel=1e-12)
