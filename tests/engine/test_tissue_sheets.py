"""Membranes: derivatives, plane stress, wrinkling, inflation, and a capsule on a solid."""

from __future__ import annotations

import bodies
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import minimize_scalar

from preop.engine.tissue import fields
from preop.engine.tissue.elements import STRUCTURES
from preop.engine.tissue.implicit import gradient
from preop.engine.tissue.loads import Gravity, Pressure, Traction
from preop.engine.tissue.materials import NeoHookean, Sheet, Strand
from preop.engine.tissue.model import Model
from preop.engine.tissue.parts import Part
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.engine.tissue.verification import sheets as plates
from preop.imaging.errors import SolverError

LAW, THICK = NeoHookean.from_young(1e4, 0.4), 0.01
KINDS = {
    "M3": Sheet(LAW, THICK, wrinkles=True),
    "M6": Sheet(LAW, THICK, incompressible=True),
    "M4": Sheet(LAW, THICK),
}


def flat(element: str, cells: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A distorted unit square (m) of an element: points and connectivity."""
    if element == "M6":
        points, triangles, _ = plates.sheet((cells, cells), jitter=0.25)
        return points, triangles
    block = (bodies.box if element == "M3" else bodies.bricks)((cells, cells, 1), size=(1.0, 1.0, 1.0))
    faces = block.facet_sets["z1"]
    used, local = np.unique(faces, return_inverse=True)
    points = block.points[used] * [1, 1, 0]
    inner = ((points[:, :2] > 0) & (points[:, :2] < 1)).all(axis=1)
    points[inner, :2] += np.random.default_rng(3).uniform(-0.25, 0.25, (inner.sum(), 2)) / cells
    return points, local.reshape(faces.shape)


@pytest.mark.parametrize("element", KINDS)
def test_force_and_tangent_are_derivatives(element: str) -> None:
    """In any direction, for taut and wrinkled elements, out of the plane too."""
    points, cells = flat(element, 2)
    rng = np.random.default_rng(4)
    points = points + 0.05 * rng.standard_normal(points.shape)
    block = Model.from_parts(points, [Part(element, cells, KINDS[element])]).blocks[0]
    kind, reference = STRUCTURES[element], jnp.asarray(points)[block.nodes]
    moved, way = (jnp.asarray(s * rng.standard_normal(points.shape))[block.nodes] for s in (0.06, 1.0))
    size, nodes = len(reference), kind.nodes
    full = np.zeros((size, nodes, nodes, 3, 3))
    full[:, *np.triu_indices(nodes)] = np.asarray(kind.tangent(reference, moved, block.material)).reshape(
        size, -1, 3, 3
    )
    full += full.transpose(0, 2, 1, 4, 3)
    step = 1e-6
    up, down, here = (kind.evaluate(reference, moved + s * step * way, block.material) for s in (1, -1, 0))
    slope = np.asarray(up.force - down.force) / (2 * step)
    assert np.einsum("eabij,ebj->eai", full, way) == pytest.approx(slope, abs=1e-6 * np.abs(slope).max())
    rate = np.asarray(up.energy - down.energy) / (2 * step)
    assert np.sum(np.asarray(here.force * way), axis=(1, 2)) == pytest.approx(rate, abs=1e-6 * np.abs(rate).max())


def stretched(element: str, sheet: Sheet, gradient: np.ndarray) -> tuple[Model, np.ndarray, np.ndarray]:
    """A distorted square whose rim follows F: the model, the miss of the inner nodes, and σ of the elements."""
    points, cells = flat(element)
    outside = np.flatnonzero(((points[:, :2] == 0) | (points[:, :2] == 1)).any(axis=1))
    sets = {"all": np.arange(len(points)), "rim": outside}
    model = Model.from_parts(points, [Part(element, cells, sheet)], node_sets=sets)
    rim = Prescribed("rim", lambda x: x[:, :2] @ (gradient - np.eye(2)).T @ np.eye(2, 3), components="xy")
    state = solve(model.problem(supports=[Fixed("all", "z")], prescribed=[rim]), load_steps=2, tolerance=1e-11).final
    miss = np.asarray(state.displacement)[:, :2] - points[:, :2] @ (gradient - np.eye(2)).T
    return model, miss, fields.cauchy_stress(model, state)


@pytest.mark.parametrize("element", KINDS)
def test_patch_in_equibiaxial_stretch(element: str) -> None:
    """σ/μ = λ² − λ⁻⁴ = 1.33987 at 1.3 of an incompressible sheet, the same in every element."""
    _, miss, stress = stretched(element, Sheet(LAW, THICK, incompressible=True), np.diag([1.3, 1.3]))
    assert np.abs(miss).max() < 1e-9
    expected = LAW.shear_modulus * 1.33987 * np.diag([1.0, 1.0, 0.0])
    assert np.abs(stress - expected).max() < 1e-5 * LAW.shear_modulus


def test_a_sheet_wrinkles_where_it_is_pulled_one_way_only() -> None:
    """Narrower than λ^{-1/2} it carries σ/μ = λ² − 1/λ = 0.92077 along and nothing across; without, it pushes."""
    narrow = np.diag([1.3, 0.8])
    for wrinkles in (True, False):
        sheet = Sheet(LAW, THICK, incompressible=True, wrinkles=wrinkles)
        _, _, stress = stretched("M3", sheet, narrow)
        along, across = stress[:, 0, 0] / LAW.shear_modulus, stress[:, 1, 1] / LAW.shear_modulus
        if wrinkles:
            assert along == pytest.approx(0.92077, rel=5e-4)
            assert np.abs(across).max() < 1e-3
        else:
            assert across == pytest.approx(0.8**2 - (1.3 * 0.8) ** -2, rel=1e-8)


def test_inflated_cylinder() -> None:
    """Thin incompressible tube, fixed in length: p = μ h/R (1 − λ⁻⁴)."""
    radius, stretch = 0.1, 1.2
    pressure = LAW.shear_modulus * THICK * 0.1 / radius * (1 - stretch**-4)

    def place(unit: np.ndarray) -> np.ndarray:
        angle = 0.5 * np.pi * unit[:, 0]
        return np.stack([radius * np.cos(angle), radius * np.sin(angle), 0.02 * unit[:, 1]], axis=1)

    points, triangles, unit = plates.sheet((6, 1), place)
    sets = {"x0": np.flatnonzero(unit[:, 0] == 1), "y0": np.flatnonzero(unit[:, 0] == 0), "all": np.arange(len(unit))}
    tube = Part("M6", triangles, Sheet(LAW, 0.1 * THICK, incompressible=True))
    model = Model.from_parts(points, [tube], node_sets=sets, facet_sets={"wall": triangles})
    supports = [Fixed("all", "z"), Fixed("x0", "x"), Fixed("y0", "y")]
    state = solve(model.problem(loads=[Pressure("wall", -pressure, symmetric=True)], supports=supports)).final
    found = np.linalg.norm((points + np.asarray(state.displacement))[:, :2], axis=1)
    assert found == pytest.approx(stretch * radius, rel=1e-3)
    hoop = fields.maximum_principal_stress(model, state)
    assert hoop == pytest.approx(pressure * stretch * radius / (0.1 * THICK / stretch), rel=1e-2)


def test_a_capsule_on_a_solid() -> None:
    """Energy of both and the weight of both; the capsule's λ₃ makes its W smallest."""
    block = bodies.bricks((2, 2, 2), size=(100.0, 100.0, 100.0))
    body = Model.from_mesh(block, {"body": LAW}, density=1000.0)
    model = body.with_sheet("z1", Sheet(NeoHookean.from_young(1e6, 0.3), 1e-3), density=1200.0, name="capsule")
    stretch = np.diag([1.1, 0.95, 1.0])
    pulled = [Prescribed("all", lambda x: x @ (stretch - np.eye(3)))]
    problem = model.problem(loads=[Gravity((0, 0, -10.0))], prescribed=pulled)
    state = solve(problem).final

    def density(law: NeoHookean, across: float) -> float:
        volume = np.log(1.1 * 0.95 * across)
        square = 1.1**2 + 0.95**2 + across**2 - 3
        return law.shear_modulus * (square / 2 - volume) + law.lame / 2 * volume**2

    thin = minimize_scalar(lambda a: density(NeoHookean.from_young(1e6, 0.3), a), (0.8, 1.2), options={"xtol": 1e-12})
    expected = 1e-3 * density(LAW, 1.0) + 1e-3 * 0.01 * thin.fun
    assert fields.strain_energy(model, state) == pytest.approx(expected, rel=1e-9)
    assert fields.reaction_forces(problem, state)[:, 2].sum() == pytest.approx(10.0 * (1.0 + 1200 * 1e-5), rel=1e-9)
    assert fields.region_elements(model, "capsule").tolist() == [8, 9, 10, 11]
    assert fields.element_volumes(model)[8:] == pytest.approx(2.5e-6)


def test_bad_sheets_are_named() -> None:
    points, triangles = flat("M3", 1)
    with pytest.raises(SolverError, match="thickness must be positive"):
        Model.from_parts(points, [Part("M3", triangles, Sheet(LAW, 0.0))])
    with pytest.raises(SolverError, match="M3 needs a Sheet, not NeoHookean"):
        Model.from_parts(points, [Part("M3", triangles, LAW)])
    with pytest.raises(SolverError, match="H8 needs the material of a solid"):
        Model.from_parts(np.eye(8, 3), [Part("H8", np.arange(8)[None], Sheet(LAW, 1.0))])
    block = bodies.bricks((1, 1, 1))
    body = Model.from_mesh(block, {"body": LAW})
    with pytest.raises(SolverError, match="facets of six nodes, not 4"):
        body.with_sheet("z1", Sheet(LAW, 1e-3), bending=True)
    with pytest.raises(SolverError, match="'body' is taken"):
        body.with_sheet("z1", Sheet(LAW, 1e-3), name="body")
    assert jax.tree.leaves(body.with_sheet("z1", Sheet(LAW, 1e-3)).blocks[1].material)[-1].shape == (1,)


@pytest.mark.slow
@pytest.mark.long
def test_gradients_in_thickness_and_rest_length() -> None:
    """The adjoint against finite differences, through the stretch across the sheet."""
    body = Model.from_mesh(bodies.bricks((1, 1, 1), size=(100.0, 100.0, 100.0)), {"body": LAW})
    model = body.with_sheet("z1", Sheet(LAW, 1e-3)).with_strands("cord", [(0, 7)], Strand(5.0, 1e-6, 0.95))
    problem = model.problem(loads=[Traction("x1", (500.0, 0, 300.0))], supports=[Fixed("x0")])
    state = solve(problem, tolerance=1e-12).final

    def functional(displacement, problem):
        return jnp.sum(displacement[:, 0] ** 2) * 1e3 + jnp.sum(displacement[:5, 2])

    found = gradient(functional, problem, state)
    picks = {
        "thickness": lambda p: p.model.blocks[1].material.thickness,
        "shear modulus": lambda p: p.model.blocks[1].material.law.shear_modulus,
        "rest length": lambda p: p.model.blocks[2].material.rest,
    }
    for name, pick in picks.items():
        base = np.asarray(pick(problem))
        step = 1e-5 * np.abs(base).max()
        ends = []
        for sign in (1, -1):
            moved = eqx.tree_at(pick, problem, jnp.asarray(base + sign * step))
            ends.append(float(functional(solve(moved, tolerance=1e-12, start=state).final.displacement, moved)))
        assert float(jnp.sum(pick(found))) == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-5), name
