"""Shells: derivatives, constant curvature, plates, the elastica, and a pressurised tube."""

from __future__ import annotations

import bodies
import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue import fields
from preop.engine.tissue.elements import STRUCTURES
from preop.engine.tissue.loads import Pressure, Traction
from preop.engine.tissue.materials import NeoHookean, Sheet
from preop.engine.tissue.model import Model
from preop.engine.tissue.parts import Part
from preop.engine.tissue.prescribed import Prescribed, rotate
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.engine.tissue.verification import sheets as plates
from preop.imaging.errors import SolverError

YOUNG, POISSON, THICK = 1e6, 0.3, 0.01
LAW = NeoHookean.from_young(YOUNG, POISSON)
RIGIDITY = YOUNG * THICK**3 / (12 * (1 - POISSON**2))
KIND = STRUCTURES["K6"]


def wavy(clamped: bool) -> tuple[Model, np.ndarray]:
    rng = np.random.default_rng(0)
    points, triangles, unit = plates.sheet((2, 1), lambda u: np.stack([*u.T, 0.2 * np.sin(2 * u[:, 0])], axis=1))
    points = points + 0.01 * rng.standard_normal(points.shape)
    held = np.flatnonzero(unit[:, 0] == 0) if clamped else None
    return Model.from_parts(points, [Part("K6", triangles, Sheet(LAW, 0.05), clamped=held)]), points


def test_force_and_tangent_are_derivatives() -> None:
    """Of a curved, kinked, strained shell with a clamped edge; at rest it carries nothing."""
    model, points = wavy(clamped=True)
    block = model.blocks[0]
    assert sorted(np.unique(block.material.edges)) == [0.0, 1.0, 2.0]
    rng = np.random.default_rng(1)
    reference = model.points[block.nodes]
    moved, way = (jnp.asarray(s * rng.standard_normal(points.shape))[block.nodes] for s in (0.02, 1.0))
    size = len(reference)
    full = np.zeros((size, 15, 15, 3, 3))
    full[:, *np.triu_indices(15)] = np.asarray(KIND.tangent(reference, moved, block.material)).reshape(size, -1, 3, 3)
    full += full.transpose(0, 2, 1, 4, 3)
    step = 1e-6
    up, down, here = (KIND.evaluate(reference, moved + s * step * way, block.material) for s in (1, -1, 0))
    slope = np.asarray(up.force - down.force) / (2 * step)
    assert np.einsum("eabij,ebj->eai", full, way) == pytest.approx(slope, abs=1e-6 * np.abs(slope).max())
    rate = np.asarray(up.energy - down.energy) / (2 * step)
    assert np.sum(np.asarray(here.force * way), axis=(1, 2)) == pytest.approx(rate, abs=1e-6 * np.abs(rate).max())
    rest = KIND.evaluate(reference, 0 * moved, block.material)
    assert float(jnp.abs(rest.force).max()) < 1e-9 * np.abs(here.force).max()


def test_rigid_motion_carries_no_force() -> None:
    """A large turn."""
    model, points = wavy(clamped=False)
    block = model.blocks[0]
    turned = rotate(jnp.array([0.9, -1.3, 0.5]), jnp.asarray(points)) - points
    found = KIND.evaluate(model.points[block.nodes], turned[block.nodes], block.material)
    assert float(jnp.abs(found.force).max()) < 1e-9 * YOUNG * 0.05
    assert float(jnp.abs(found.energy).max()) < 1e-12 * YOUNG


def test_patch_in_stretch_and_curvature() -> None:
    """Constant stretch, or constant curvature of any direction, on a distorted mesh.

    One at a time: a stretched plate that bends carries a load, of second order.
    """
    points, triangles, unit = plates.sheet((5, 5), jitter=0.2)
    rim = plates.rim(unit)
    ring = np.unique(triangles[np.isin(triangles, rim).any(axis=1)])
    inner = np.setdiff1d(np.arange(len(points)), ring)
    model = Model.from_parts(points, [Part("K6", triangles, Sheet(LAW, THICK))], node_sets={"ring": ring})
    small = 1e-4

    def pulled(x):
        return small * jnp.stack([0.2 * x[:, 0] + 0.1 * x[:, 1], 0.3 * x[:, 1], 0.0 * x[:, 0]], axis=1)

    def bent(x):
        height = 0.5 * (x[:, 0] ** 2 - 0.6 * x[:, 1] ** 2) + 0.4 * x[:, 0] * x[:, 1]
        return small * jnp.stack([0.0 * height, 0.0 * height, height], axis=1)

    assert len(inner) > 20
    for field in (pulled, bent):
        state = solve(model.problem(prescribed=[Prescribed("ring", field)]), tolerance=1e-8).final
        miss = np.asarray(state.displacement - field(model.points))[inner]
        assert np.abs(miss).max() < 1e-3 * small  # what is left is of second order in `small`


PLATES = {"supported": 0.00406235, "clamped": 0.00126532}
"""w D/(q L⁴) at the middle of a square plate (Timoshenko and Woinowsky-Krieger, *Theory of Plates and Shells*)."""


def deflection(manner: str, cells: int, jitter: float = 0.0) -> float:
    """Of the middle of a unit plate under a small even load, over Kirchhoff's."""
    points, triangles, unit = plates.sheet((cells, cells), jitter=jitter)
    rim, load = plates.rim(unit), 0.02 * RIGIDITY
    part = Part("K6", triangles, Sheet(LAW, THICK), clamped=rim if manner == "clamped" else None)
    model = Model.from_parts(points, [part], node_sets={"rim": rim}, facet_sets={"face": triangles})
    problem = model.problem(loads=[Traction("face", (0, 0, load))], supports=[Fixed("rim")])
    state = solve(problem, tolerance=1e-6).final
    middle = np.argmin(np.abs(unit - 0.5).sum(axis=1))
    return float(state.displacement[middle, 2]) * RIGIDITY / load / PLATES[manner]


@pytest.mark.parametrize("manner", [pytest.param(m, marks=[pytest.mark.long] * (k > 0)) for k, m in enumerate(PLATES)])
def test_square_plates(manner: str) -> None:
    """The error falls by more than half from 4 to 8 cells and is below 2 h² there, distorted or not."""
    errors = [abs(1 - deflection(manner, cells)) for cells in (4, 8)]
    assert errors[1] < 2 / 8**2
    assert errors[0] > 2 * errors[1]
    assert abs(1 - deflection(manner, 8, jitter=0.2)) < 3 / 8**2


ELASTICA = {1.0: (0.30172, 0.05643), 2.0: (0.49346, 0.16064), 5.0: (0.71379, 0.38763)}
"""P L²/EI → v/L, u/L of a cantilever with a dead load at its end."""


def test_elastica() -> None:
    """A strip bent by its tip through v takes the load and draws back by u of the elastica, within 2 h²."""
    width, cells = 0.1, 12
    points, triangles, unit = plates.sheet((cells, 1), lambda u: np.insert(u * [1.0, width], 2, 0.0, axis=1))
    ends = {f"x{v}": np.flatnonzero(unit[:, 0] == v) for v in (0, 1)}
    part = Part("K6", triangles, Sheet(NeoHookean.from_young(YOUNG, 0.0), THICK), clamped=ends["x0"])
    model = Model.from_parts(points, [part], node_sets=ends)
    deepest = ELASTICA[5.0][0]
    down = Prescribed("x1", (0.0, 0.0, deepest), components="z")
    problem = model.problem(supports=[Fixed("x0")], prescribed=[down])
    solution = solve(problem, load_steps=[ELASTICA[k][0] / deepest for k in ELASTICA], tolerance=1e-6)
    stiffness = YOUNG * width * THICK**3 / 12
    for (load, (_, back)), state in zip(ELASTICA.items(), solution.require_converged().states, strict=True):
        force = fields.reaction(problem, state, "x1")[2]
        assert force / stiffness == pytest.approx(load, rel=2 / cells**2)
        drawn = -np.asarray(state.displacement)[ends["x1"], 0].mean()
        assert drawn == pytest.approx(back, rel=2 / cells**2)


def test_pressurised_tube() -> None:
    """Thin, fixed in length, small strain: u = p R² (1 − ν²)/(E h); straight edges of symmetry keep their slope."""
    radius, pressure = 0.1, 50.0

    def place(unit: np.ndarray) -> np.ndarray:
        angle = 0.5 * np.pi * unit[:, 0]
        return np.stack([radius * np.cos(angle), radius * np.sin(angle), 0.02 * unit[:, 1]], axis=1)

    points, triangles, unit = plates.sheet((6, 1), place)
    sets = {"x0": np.flatnonzero(unit[:, 0] == 1), "y0": np.flatnonzero(unit[:, 0] == 0), "all": np.arange(len(unit))}
    part = Part("K6", triangles, Sheet(LAW, 0.1 * THICK), clamped=plates.rim(unit))
    model = Model.from_parts(points, [part], node_sets=sets, facet_sets={"wall": triangles})
    supports = [Fixed("all", "z"), Fixed("x0", "x"), Fixed("y0", "y")]
    problem = model.problem(loads=[Pressure("wall", -pressure, symmetric=True)], supports=supports)
    moved = points + np.asarray(solve(problem, tolerance=1e-6).final.displacement)
    grown = np.linalg.norm(moved[:, :2], axis=1) / radius - 1
    strain = pressure * radius * (1 - POISSON**2) / (YOUNG * 0.1 * THICK)
    assert grown.mean() == pytest.approx(strain, rel=0.02)
    assert np.ptp(grown) < 0.1 * strain


def test_bad_shells_are_named() -> None:
    points, triangles, _ = plates.sheet((1, 1))
    turned = triangles.copy()
    turned[1] = turned[1][[0, 2, 1, 5, 4, 3]]
    with pytest.raises(SolverError, match=r"run the same way along the edge at \[500. 500."):
        Model.from_parts(points, [Part("K6", turned, Sheet(LAW, THICK))])
    with pytest.raises(SolverError, match="have 6 nodes each"):
        Model.from_parts(points, [Part("K6", triangles[:, :3], Sheet(LAW, THICK))])


def test_a_shell_on_a_solid_shares_its_nodes() -> None:
    """On two faces of a T10 at a right angle: that kink is rest, and an even stretch is a membrane's."""
    mesh = bodies.box((1, 1, 1), size=(100.0, 100.0, 100.0))
    mesh.facet_sets["corner"] = np.concatenate([mesh.facet_sets["x1"], mesh.facet_sets["z1"]])  # pyright: ignore[reportIndexIssue]
    body = Model.from_mesh(mesh, {"body": LAW}, element="T10")
    model = body.with_sheet("corner", Sheet(LAW, 1e-3), bending=True)
    shell = model.blocks[1]
    assert len(model.points) == len(body.points)
    assert (
        np.asarray(shell.material.edges) == 1.0
    ).sum() == 2 * 3  # two diagonals and the common side, from both sides
    grown = KIND.evaluate(model.points[shell.nodes], 0.01 * model.points[shell.nodes], shell.material)
    rest = KIND.evaluate(model.points[shell.nodes], 0 * model.points[shell.nodes], shell.material)
    assert float(jnp.abs(rest.energy).max()) < 1e-15
    # Energy in plane stress of an even stretch e: 2 · E/(1 − ν) e²/2 per volume, to first order in e.
    expected = YOUNG / (1 - POISSON) * 0.01**2 * 1e-3 * 0.02
    assert float(grown.energy.sum()) == pytest.approx(expected, rel=0.05)
