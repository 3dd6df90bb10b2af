"""Fibre fields, Laplace's equation, and parameters that differ from element to element or point to point."""

from __future__ import annotations

from dataclasses import replace

import bodies
import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue import fields
from preop.engine.tissue.fibers import along_gradient, constant, from_function, helix
from preop.engine.tissue.laplace import DIRECT_NODES, laplace
from preop.engine.tissue.materials import Guccione, HolzapfelGasserOgden, HolzapfelOgden, NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.solution import State
from preop.imaging.errors import SolverError
from preop.meshing.mesh import TetMesh

GRADIENT = np.array([[1.10, 0.05, -0.04], [0.02, 0.92, 0.06], [-0.03, 0.07, 1.12]])


def tube(radial: int, around: int, layers: int = 2) -> TetMesh:
    """A quarter of a tube, 20 to 30 mm, 20 mm long: x0 inside, x1 outside."""

    def place(unit: np.ndarray) -> np.ndarray:
        radius, angle = 20.0 + 10.0 * unit[:, 0], 0.5 * np.pi * unit[:, 1]
        return np.stack([radius * np.cos(angle), radius * np.sin(angle), 20.0 * unit[:, 2]], axis=1)

    return bodies.box((radial, around, layers), place=place)


def test_laplace_is_exact_where_the_answer_is_linear() -> None:
    """φ = x/L on a distorted mesh, for sets by name and by nodes."""
    mesh = bodies.box((4, 3, 3), jitter=0.3, size=(40.0, 30.0, 20.0))
    found = laplace(mesh, "x0", np.flatnonzero(mesh.points[:, 0] == 40.0))
    assert np.abs(found.values - mesh.points[:, 0] / 40.0).max() < 1e-9
    assert np.abs(found.gradient - [1 / 40.0, 0, 0]).max() < 1e-9
    assert along_gradient(mesh, found) == pytest.approx(
        np.broadcast_to([1.0, 0, 0], (len(mesh.tetrahedra), 3)), abs=1e-7
    )


def test_laplace_converges_to_the_logarithm() -> None:
    """φ = ln(r/rᵢ)/ln(rₒ/rᵢ) in a tube, of second order; the larger mesh is solved by multigrid."""
    errors = []
    for radial, around, layers in ((4, 12, 3), (8, 24, 6), (13, 39, 10)):
        mesh = tube(radial, around, layers)
        radius = np.linalg.norm(mesh.points[:, :2], axis=1)
        gap = laplace(mesh, "x0", "x1").values - np.log(radius / 20) / np.log(1.5)
        errors.append(np.sqrt(np.mean(gap**2)))
    orders = np.log(np.array(errors[:-1]) / errors[1:]) / np.log([2.0, 13 / 8])
    assert orders == pytest.approx([2.0, 2.0], abs=0.25)
    assert (mesh.points.shape[0] - 2 * 40 * 11) > DIRECT_NODES


def test_helix_turns_through_the_wall() -> None:
    """+60° inside to −60° outside, measured against the circle and the axis of a tube, where both are known."""
    mesh = tube(8, 24)
    fiber, sheet = helix(mesh, laplace(mesh, "x0", "x1"), axis=(0, 0, 1))
    centre = mesh.points[mesh.tetrahedra].mean(axis=1)
    radius = np.linalg.norm(centre[:, :2], axis=1)
    outward = np.column_stack([centre[:, :2] / radius[:, None], np.zeros(len(centre))])
    around = np.cross([0.0, 0, 1], outward)
    angle = np.degrees(np.arctan2(fiber[:, 2], np.sum(fiber * around, axis=1)))
    exact = 60.0 - 120.0 * np.log(radius / 20) / np.log(1.5)
    assert np.abs(angle - exact).max() < 1.5
    assert np.sum(sheet * outward, axis=1).min() > np.cos(np.radians(3.0))
    assert np.abs(np.sum(fiber * sheet, axis=1)).max() < 1e-12
    assert np.linalg.norm(fiber, axis=1) == pytest.approx(1.0, abs=1e-12)
    assert HolzapfelOgden(*[20.0] * 8, fiber, sheet, bulk_modulus=1e5).problems() == []


def test_a_function_at_quadrature_points() -> None:
    """Of T10 on a straight-edged mesh: the circle of a tube at each point; of any length before."""
    mesh = tube(2, 6)
    fiber = from_function(mesh, lambda x: 7.0 * np.cross([0.0, 0, 1], x), element="T10")
    assert fiber.shape == (len(mesh.tetrahedra), 4, 3)
    assert np.linalg.norm(fiber, axis=2) == pytest.approx(1.0, abs=1e-12)
    assert np.abs(fiber[..., 2]).max() == 0.0
    coarse = from_function(mesh, lambda x: np.cross([0.0, 0, 1], x))
    assert np.sum(coarse[:, None] * fiber, axis=2).min() > 0.99


@pytest.mark.parametrize("element", ["T4", "T10", "H8"])
def test_fibres_by_element(element: str) -> None:
    """Each element feels its own fibre and its own stiffness: σ against the law evaluated one by one."""
    mesh = bodies.mesh_for(element, (2, 2, 2), jitter=0.2)
    rng = np.random.default_rng(4)
    fiber = rng.standard_normal((len(mesh.cells), 3))
    fiber /= np.linalg.norm(fiber, axis=1)[:, None]
    stiffness = rng.uniform(1e3, 4e3, len(mesh.cells))
    law = Guccione(stiffness, 8.0, 2.0, 4.0, fiber, bulk_modulus=1e5)
    model = Model.from_mesh(mesh, {"body": law}, element=element)
    state = State(1.0, model.points @ (GRADIENT.T - np.eye(3)))
    stress = fields.cauchy_stress(model, state)
    for row in (0, 7, len(mesh.cells) - 1):
        one = Guccione(stiffness[row], 8.0, 2.0, 4.0, fiber[row], bulk_modulus=1e5)
        piola = np.asarray(one.first_piola(jnp.asarray(GRADIENT)[:, :, None]))[:, :, 0]
        expected = piola @ GRADIENT.T / np.linalg.det(GRADIENT)
        assert np.abs(stress[row] - expected).max() < 1e-10 * np.abs(expected).max()


def test_fibres_by_quadrature_point_and_by_region() -> None:
    """Values at points beside a region with one direction for all; the element's stress is the mean of its points'."""
    mesh = bodies.box((2, 1, 1))
    left = mesh.points[mesh.tetrahedra].mean(axis=1)[:, 0] < 500
    mesh = replace(mesh, region=np.where(left, 1, 2).astype(np.int32), region_names={1: "left", 2: "right"})
    rng = np.random.default_rng(4)
    fiber = rng.standard_normal((len(mesh.tetrahedra), 4, 3))
    fiber /= np.linalg.norm(fiber, axis=2)[..., None]
    fiber[~left] = np.nan  # not asked for there

    def law(direction: np.ndarray) -> Guccione:
        return Guccione(2e3, 8.0, 2.0, 4.0, direction, bulk_modulus=1e5)

    model = Model.from_mesh(mesh, {"left": law(fiber), "right": law(np.array([0.0, 0, 1]))}, element="T10")
    assert len(model.blocks) == 1
    stress = fields.cauchy_stress(model, State(1.0, model.points @ (GRADIENT.T - np.eye(3))))

    def expected(directions: np.ndarray) -> np.ndarray:
        parts = [np.asarray(law(f).first_piola(jnp.asarray(GRADIENT)[:, :, None]))[:, :, 0] for f in directions]
        return np.mean(parts, axis=0) @ GRADIENT.T / np.linalg.det(GRADIENT)

    first, last = int(np.flatnonzero(left)[2]), int(np.flatnonzero(~left)[1])
    assert np.abs(stress[first] - expected(fiber[first])).max() < 1e-10 * np.abs(stress[first]).max()
    assert np.abs(stress[last] - expected(np.array([[0.0, 0, 1]]))).max() < 1e-10 * np.abs(stress[last]).max()


def guccione(fiber: np.ndarray) -> Guccione:
    return Guccione(2e3, 8.0, 2.0, 4.0, fiber, bulk_modulus=1e5)


def spoiled(value: float) -> np.ndarray:
    fiber = np.tile([1.0, 0.0, 0.0], (6, 1))
    fiber[3] *= value
    return fiber


BAD = {
    "zero length": (lambda m: guccione(spoiled(0.0)), r"fiber of element 3 at \[.*\] mm has length 0"),
    "nan": (lambda m: guccione(spoiled(np.nan)), "fiber of element 3 .* is not finite"),
    "not unit": (lambda m: guccione(spoiled(2.0)), "fiber of element 3 .* has length 2, not 1"),
    "shape": (lambda m: guccione(np.ones((5, 3))), r"'fiber' of 'guccione' has shape \(5, 3\)"),
    "a scalar with a vector": (lambda m: NeoHookean(np.ones((6, 3, 1)), 1e4), "'shear_modulus' of 'neo-hookean'"),
    "points": (lambda m: guccione(np.tile([1.0, 0, 0], (6, 2, 1))), "values at 2 points per element"),
    "frame": (
        lambda m: HolzapfelOgden(*[20.0] * 8, constant(m, (1, 0, 0)), constant(m, (1, 1, 0)), bulk_modulus=1e5),
        "45.0° to each other",
    ),
    "dispersion": (
        lambda m: HolzapfelGasserOgden(1e3, 1e3, 1.0, 0.4, constant(m, (1, 0, 0)), constant(m, (0, 1, 0)),
        bulk_modulus=1e5), "dispersion is 0.4",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_fields_are_named_and_located(case: str) -> None:
    mesh = bodies.box((1, 1, 1))
    make, words = BAD[case]
    with pytest.raises(SolverError, match=words):
        Model.from_mesh(mesh, {"body": make(mesh)})


def test_directions_that_do_not_exist_are_located() -> None:
    """No length, no number, no gradient: with the element and its coordinate."""
    mesh = bodies.box((3, 3, 3), size=(30.0, 30.0, 30.0))
    with pytest.raises(SolverError, match=r"fibre of element 0 at \[.*\] mm has the length 0"):
        constant(mesh, (0, 0, 0))
    middle = int(np.argmin(np.linalg.norm(mesh.points[mesh.tetrahedra].mean(axis=1) - 15.0, axis=1)))
    centre = mesh.points[mesh.tetrahedra[middle]].mean(axis=0)
    with pytest.raises(SolverError, match=f"element {middle} at .* is not finite"):
        from_function(mesh, lambda x: np.where(np.linalg.norm(x - centre, axis=1)[:, None] < 1e-9, np.nan, 1.0 + 0 * x))
    flat = laplace(mesh, np.unique(mesh.tetrahedra[middle]), "x1")
    with pytest.raises(SolverError, match=rf"gradient of φ: the fibre of element {middle} at"):
        along_gradient(mesh, flat)
    with pytest.raises(SolverError, match="axis across the wall"):
        helix(mesh, laplace(mesh, "x0", "x1"), axis=(1, 0, 0))


def test_sides_that_cannot_be_are_named() -> None:
    mesh = bodies.box((1, 1, 1))
    with pytest.raises(SolverError, match="no set is named 'apex'"):
        laplace(mesh, "apex", "x1")
    with pytest.raises(SolverError, match="lies on both sides"):
        laplace(mesh, "x0", "y0")
    other = bodies.box((1, 1, 1))
    both = TetMesh(
        np.concatenate([mesh.points, other.points + 5000.0]),
        np.concatenate([mesh.tetrahedra, other.tetrahedra + len(mesh.points)]).astype(np.int32),
        np.ones(12, np.int32),
        {1: "body"},
        facet_sets=mesh.facet_sets,
    )
    with pytest.raises(SolverError, match=r"node 8 at .* touches neither side"):
        laplace(both, "x0", "x1")
