"""Fibres that a scan shows follow the tissue into its load-free shape."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import bodies
import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import pdist

from preop.engine.tissue import fibers
from preop.engine.tissue.carried import carried_to, moved_to
from preop.engine.tissue.loads import Gravity, Traction
from preop.engine.tissue.materials import MATERIALS, ActiveContraction, Guccione, HolzapfelOgden, Sheet, Viscoelastic
from preop.engine.tissue.model import Model, Part
from preop.engine.tissue.prestress import prestressed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.engine.tissue.unloaded import unloaded_shape
from preop.engine.tissue.verification import sheets as plates
from preop.imaging.errors import SolverError

FIBER, SHEET = np.array([2.0, 1.0, 2.0]) / 3.0, np.array([1.0, 2.0, -2.0]) / 3.0
SOFT = HolzapfelOgden(800.0, 8.0, 4000.0, 6.0, 1500.0, 6.0, 300.0, 6.0, FIBER, SHEET, bulk_modulus=3e4)
SHEAR = np.array([[1.1, 0.3, 0.0], [-0.1, 0.9, 0.2], [0.15, 0.0, 1.05]])


def bar(element: str, law: Any = SOFT) -> Problem:
    """A beam held at one end under its weight across."""
    mesh = bodies.box((1, 1, 3), size=(40.0, 40.0, 100.0))
    model = Model.from_mesh(mesh, {"body": law}, element=element, density=1000.0)
    return model.problem(loads=[Gravity((0.0, -3.0, 0.0))], supports=[Fixed("z0")])


def sagged(problem: Problem) -> tuple[Problem, Problem]:
    """The problem as its scan shows it, by a solve from rest; and with the directions that the scan shows."""
    state = solve(problem, tolerance=1e-10).require_converged().final
    scanned = jnp.asarray(problem.model.points) + state.displacement
    return moved_to(problem, scanned), carried_to(problem, scanned)


def apart(one: Problem, other: Problem, name: str) -> float:
    """The largest angle between directions of two problems, degrees."""
    units = [np.asarray(getattr(p.model.blocks[0].material, name)) for p in (one, other)]
    first, second = (unit if unit.ndim == 3 else unit[:, None, :] for unit in units)
    cross = np.linalg.norm(np.cross(*np.broadcast_arrays(first, second)), axis=-1)
    return float(np.degrees(np.arcsin(np.clip(cross, 0.0, 1.0))).max())


@pytest.mark.parametrize(
    ("element", "method"),
    [("T4", "newton"), pytest.param("T10", "fixed point", marks=[pytest.mark.slow, pytest.mark.long])],
)
def test_the_load_free_body_is_found_with_its_fibres(element: str, method: str) -> None:
    """From the directions of the scan; taken for those of the load-free body they would be off by degrees."""
    true = bar(element)
    still, scan = sagged(true)
    found = unloaded_shape(scan, method=method, tolerance=1e-9, accuracy=1e-6)
    assert found.method == method
    points = np.asarray(true.model.points)
    assert np.abs(np.asarray(found.problem.model.points) - points).max() < 2e-6
    assert apart(scan, true, "fiber") > 3.0
    assert max(apart(found.problem, true, name) for name in ("fiber", "sheet")) < 0.01
    kept = unloaded_shape(still, fibers="unloaded", accuracy=1e-6, verify=False)
    assert np.abs(np.asarray(kept.problem.model.points) - points).max() < 2e-6
    assert apart(kept.problem, true, "fiber") < 1e-9
    with pytest.raises(SolverError, match="fibres cannot be seen"):
        unloaded_shape(scan, fibers="there")


@pytest.mark.parametrize("element", ["T4", "T4P1", "T10", "H8"])
def test_an_affine_map_carries_lines(element: str) -> None:
    """f → A f/‖A f‖; the plane of fibre and sheet goes along, its frame stays at right angles."""
    cube = (bodies.bricks if element == "H8" else bodies.box)((2, 2, 2), size=(10.0, 10.0, 10.0))
    law = Viscoelastic(ActiveContraction(SOFT, 2e4, FIBER), (1.0,), (1.0,))
    problem = Model.from_mesh(cube, {"body": law}, element=element).problem(supports=[Fixed("z0")])
    moved = carried_to(problem, np.asarray(problem.model.points) @ SHEAR.T)
    active: Any = moved.model.blocks[0].material
    expected = SHEAR @ FIBER / np.linalg.norm(SHEAR @ FIBER)
    for fiber in (active.base.fiber, active.base.base.fiber):
        assert np.allclose(fiber, expected, atol=1e-12)
    sheet = np.asarray(active.base.base.sheet)
    assert np.abs(sheet @ expected).max() < 1e-12
    assert np.abs(sheet @ np.cross(SHEAR @ FIBER, SHEAR @ SHEET)).max() < 1e-12


@pytest.mark.parametrize("element", ["M3", "M6", "K6"])
def test_sheets_carry_lines_in_their_plane(element: str) -> None:
    """Of a slanted sheet that is sheared in space."""
    flat, six, unit = plates.sheet((2, 2))
    triangles = six[:, :3] if element == "M3" else six
    used = np.unique(triangles)
    flat, unit, triangles = flat[used], unit[used], np.searchsorted(used, triangles)
    turn = np.linalg.qr(np.array([[1.0, 2.0, 0.5], [0.0, 1.0, 3.0], [1.0, 0.0, 1.0]]))[0]
    across = turn @ np.array([0.6, 0.8, 0.0])
    sheet = Sheet(Guccione(1e3, 8.0, 2.0, 4.0, across, bulk_modulus=1e5), 1e-3)
    part = Part(element, triangles, sheet, clamped=plates.rim(unit) if element == "K6" else None)
    model = Model.from_parts(flat @ turn.T, [part], node_sets={"rim": plates.rim(unit)})
    moved = carried_to(model.problem(supports=[Fixed("rim")]), np.asarray(model.points) @ SHEAR.T)
    law: Any = moved.model.blocks[0].material
    fiber = (law.sheet if element == "K6" else law).law.fiber
    assert np.allclose(fiber, SHEAR @ across / np.linalg.norm(SHEAR @ across), atol=1e-12)


def test_prestress_stores_the_directions_of_the_scan() -> None:
    """A cube pulled evenly: freed of the load it springs back into the shape that was pulled, however turned."""
    cube = bodies.box((1, 1, 1), size=(20.0, 20.0, 20.0))
    points, corners = np.asarray(cube.points) * 1e-3, {"o": (0, 0, 0), "x": (20, 0, 0), "z": (0, 0, 20)}
    near = {name: np.flatnonzero(np.abs(cube.points - at).max(axis=1) < 1e-6) for name, at in corners.items()}
    mesh = replace(cube, node_sets=near)
    model = Model.from_mesh(mesh, {"body": SOFT})
    pull = [Traction("z1", (0.0, 0.0, 400.0)), Traction("z0", (0.0, 0.0, -400.0))]
    true = model.problem(loads=pull, supports=[Fixed("o"), Fixed("z", "xy"), Fixed("x", "y")])
    _, scan = sagged(true)
    shown = np.asarray(scan.model.points)
    sides = [shown[near[name][0]] - shown[near["o"][0]] for name in ("x", "z")]
    deep = shown[np.abs(cube.points - [0, 20, 0]).max(axis=1) < 1e-6][0] - shown[near["o"][0]]
    share = 0.02**2 / np.linalg.norm(np.cross(sides[0], deep))
    scan = eqx.tree_at(lambda p: [load.traction for load in p.loads], scan, replace_fn=lambda t: share * t)
    found = prestressed(scan, accuracy=1e-9, tolerance=1e-11)
    freed = eqx.tree_at(lambda p: [load.traction for load in p.loads], found.problem, replace_fn=jnp.zeros_like)
    sprung = shown + np.asarray(solve(freed, tolerance=1e-10).require_converged().final.displacement)
    assert apart(scan, true, "fiber") > 1.0
    assert np.abs(pdist(sprung) - pdist(points)).max() < 1e-6
    assert np.abs(pdist(shown) - pdist(points)).max() > 5e-4


def test_every_direction_belongs_to_a_frame() -> None:
    """Of all materials: what has three components is a direction, and is carried."""
    for law in MATERIALS.values():
        named = {name for frame in law.frames for name in frame}
        assert named == {name for name, shape in law.vectors.items() if shape == (3,)}, law.name


def test_slack_fibers_at_rest_do_not_stop_the_search() -> None:
    """Half of the fibres go slack with any load: Newton's method on the shape finds no first step, rounds go on."""
    mesh = bodies.box((10, 3, 3), size=(80.0, 25.0, 20.0))

    def turning(places: NDArray) -> NDArray:
        angle = np.radians(30.0 + 0.5 * places[:, 0])
        return np.stack([np.cos(angle), np.sin(angle), 0.0 * angle], axis=1)

    directions = fibers.from_function(mesh, turning), fibers.constant(mesh, (0.0, 0.0, 1.0))
    law = HolzapfelOgden(1500.0, 8.0, 8000.0, 6.0, 2481.0, 11.0, 216.0, 11.4, *directions, bulk_modulus=1e5)
    model = Model.from_mesh(mesh, {"*": law}, density=1060.0)
    problem = model.problem(loads=[Gravity((0.0, 0.0, -2.0))], supports=[Fixed("x0")])
    with pytest.raises(SolverError, match="Use method='fixed point'"):
        unloaded_shape(problem, method="newton")
    found = unloaded_shape(problem)
    assert found.method == "fixed point"
    assert found.miss < 1e-4
