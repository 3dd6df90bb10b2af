"""Bodies of several kinds of elements, and what is refused in them."""

from __future__ import annotations

import bodies
import numpy as np
import pytest

from preop.engine.tissue import fields
from preop.engine.tissue.elements import ELEMENTS
from preop.engine.tissue.loads import Pressure, Traction
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.parts import Part
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.solution import ResultCode
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed, Springs
from preop.imaging.errors import MeshError, SolverError
from preop.meshing.mesh import HexMesh, TetMesh

LAW = NeoHookean.from_young(1e4, 0.4)


def bricks_on_tetrahedra() -> Model:
    """A unit cube (m): the lower half of tetrahedra, the upper of hexahedra, which share the nodes at z = 1/2."""
    low, high = (make((2, 2, 1), size=(1.0, 1.0, 0.5)) for make in (bodies.box, bodies.bricks))
    points = np.concatenate([low.points, high.points + np.array([0, 0, 0.5])])
    place, where = np.unique(np.round(points, 9), axis=0, return_inverse=True)
    where = where.ravel()
    upper = where[len(low.points) + high.cells]
    side = (where[low.facet_sets["x1"]], where[len(low.points) + high.facet_sets["x1"]])
    return Model.from_parts(
        place,
        [Part("T4", where[low.cells], LAW, 1000.0, "soft"), Part("H8", upper, LAW, 2000.0, "hard")],
        node_sets={f"z{v}": np.flatnonzero(place[:, 2] == v) for v in (0, 1)},
        facet_sets={"x1": side, "top": where[len(low.points) + high.facet_sets["z1"]]},
    )


def test_tetrahedra_and_hexahedra_in_one_body() -> None:
    """A homogeneous stretch goes through both kinds, and element values come in the order of the parts."""
    model = bricks_on_tetrahedra()
    stretch = np.diag([0.03, -0.02, 0.1])
    points = np.asarray(model.points)
    outside = ((points == 0) | (points == 1)).any(axis=1)
    model = Model.from_parts(
        points,
        [
            Part(b.element.name, np.asarray(b.nodes), LAW, 1e3 * (k + 1), f"part {k}")
            for k, b in enumerate(model.blocks)
        ],
        node_sets={"outside": np.flatnonzero(outside)},
    )
    state = solve(model.problem(prescribed=[Prescribed("outside", lambda x: x @ stretch)]), tolerance=1e-12).final
    assert np.asarray(state.displacement) == pytest.approx(points @ stretch, abs=1e-12)
    assert fields.element_volumes(model) == pytest.approx([1 / 48] * 24 + [1 / 8] * 4)
    assert fields.region_elements(model, "part 1").tolist() == [24, 25, 26, 27]
    assert fields.to_nodes(model, fields.volume_ratio(model, state)) == pytest.approx(1.03 * 0.98 * 1.1)


def test_a_facet_set_of_triangles_and_quadrangles() -> None:
    """Loads act on both kinds; what wants one kind says so."""
    model = bricks_on_tetrahedra()
    for load in (Traction("x1", (7.0, 0.0, 0.0)), Pressure("x1", -7.0, symmetric=True)):
        problem = model.problem(loads=[load], supports=[Fixed("z0"), Springs("top", 1.0)])
        total = sum(np.asarray(t.forces(model.points[t.nodes], 0 * model.points[t.nodes], 1.0)).sum(axis=(0, 1))
                    for t in load.bind(model))  # fmt: skip
        assert total == pytest.approx([7.0, 0.0, 0.0])
        assert solve(problem).converged
    with pytest.raises(SolverError, match="tri3 and quad4"):
        model.facets_of("x1")


def test_bad_parts_are_named() -> None:
    """Which element, where, and why."""
    mesh = bodies.bricks((2, 1, 1), size=(1.0, 1.0, 1.0))
    turned = mesh.hexahedra.copy()
    turned[1] = turned[1][[4, 5, 6, 7, 0, 1, 2, 3]]
    with pytest.raises(SolverError, match=r"element 1 \(H8\) at \[750. 500. 500.\] mm is turned inside out"):
        Model.from_parts(mesh.points, [Part("H8", turned, LAW)])
    with pytest.raises(MeshError, match=r"the first is element 1 at \[0.75 0.5"):
        HexMesh(mesh.points, turned, mesh.region)
    flat = mesh.points * [1, 1, 0]
    with pytest.raises(SolverError, match=r"element 0 \(H8\) .* has no size"):
        Model.from_parts(flat, [Part("H8", mesh.hexahedra, LAW)])
    with pytest.raises(SolverError, match="8 nodes each"):
        Model.from_parts(mesh.points, [Part("H8", mesh.hexahedra[:, :4], LAW)])
    with pytest.raises(SolverError, match="node 99 is not among 12"):
        Model.from_parts(mesh.points, [Part("H8", np.where(mesh.hexahedra == 0, 99, mesh.hexahedra), LAW)])
    with pytest.raises(SolverError, match="T4 cannot be made of a HexMesh"):
        Model.from_mesh(mesh, {"body": LAW}, element="T4")


def test_inward_quadrangles_are_named() -> None:
    """A pressure on facets of hexahedra that point inward."""
    mesh = bodies.bricks((2, 2, 2))
    mesh.facet_sets["wrong"] = mesh.facet_sets["z1"][:, ::-1]  # pyright: ignore[reportIndexIssue]
    model = Model.from_mesh(mesh, {"body": LAW})
    with pytest.raises(SolverError, match="4 of 4 facets point into the body"):
        model.problem(loads=[Pressure("wrong", 1.0)], supports=[Fixed("z0")])
    model.problem(loads=[Pressure("z1", 1.0)], supports=[Fixed("z0")])


@pytest.mark.parametrize("element", ELEMENTS)
def test_elements_that_would_invert_end_a_solve_by_name(element: str) -> None:
    """A block pushed through its own base: no answer, and what failed is named."""
    model = Model.from_mesh(bodies.mesh_for(element, (2, 2, 2), size=(100.0,) * 3), {"body": LAW}, element=element)
    problem = model.problem(supports=[Fixed("z0")], prescribed=[Prescribed("z1", (0, 0, -0.12))])
    solution = solve(problem, load_steps=2, max_iterations=10)
    assert solution.result in (ResultCode.inverted_element, ResultCode.newton_diverged)
    assert all(state.load_fraction < 1 for state in solution.states)
    with pytest.raises(SolverError, match="of the load"):
        solution.require_converged()


@pytest.mark.parametrize("element", [name for name, kind in ELEMENTS.items() if kind.mixed])
def test_mixed_elements_in_parts(element: str) -> None:
    """The same body, made of parts: the same unknowns and answer, with a pressure that jumps between regions."""
    whole = bodies.box((2, 1, 1), size=(100.0,) * 3)
    region = np.where(whole.points[whole.tetrahedra].mean(axis=1)[:, 0] < 50.0, 1, 2)
    mesh = TetMesh(whole.points, whole.tetrahedra, region, {1: "soft", 2: "stiff"}, node_sets=whole.node_sets)
    laws = {"soft": NeoHookean.from_young(1e4, 0.5), "stiff": NeoHookean.from_young(5e4, 0.4999)}
    one = Model.from_mesh(mesh, laws, element=element, density=1060.0)
    rows = np.asarray(one.blocks[0].nodes)[:, : one.blocks[0].element.nodes]
    label = np.asarray(one.blocks[0].region)
    parts = [Part(element, rows[label == k], laws[name], 1060.0, name) for k, name in mesh.region_names.items()]
    other = Model.from_parts(np.asarray(one.points), parts, node_sets=one.node_sets)
    assert len(other.pressure_corners) == len(one.pressure_corners) > len(mesh.points)
    motion = [Prescribed("x1", (0.02, 0.0, 0.01))]
    states = [solve(m.problem(supports=[Fixed("x0")], prescribed=motion), tolerance=1e-11).final for m in (one, other)]
    first, second = (np.asarray(state.displacement) for state in states)
    assert second == pytest.approx(first, abs=1e-10 * np.abs(first).max())
    pressures = [np.sort(np.asarray(state.pressure)) for state in states]
    assert pressures[1] == pytest.approx(pressures[0], rel=1e-6, abs=1e-3)


def test_parts_refuse_what_a_mesh_refuses() -> None:
    mesh = bodies.bricks((1, 1, 1), size=(1.0, 1.0, 1.0))
    with pytest.raises(SolverError, match=r"incompressible.*H8"):
        Model.from_parts(mesh.points, [Part("H8", mesh.hexahedra, NeoHookean.from_young(1e4, 0.5))])
