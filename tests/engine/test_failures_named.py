"""What is wrong at rest or breaks under way is told by element and place, in mm, with advice."""

from __future__ import annotations

import bodies
import equinox as eqx
import numpy as np
import pytest

from preop.engine.tissue.loads import Gravity, Traction
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.solution import ResultCode
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed, Springs
from preop.imaging.errors import MeshError, SolverError

LAW = NeoHookean.from_young(1e4, 0.3)


@pytest.mark.parametrize(("shift", "words"), [(0.5, "is flat at rest"), (0.8, "is turned inside out at rest")])
def test_an_element_without_volume_is_located(shift: float, words: str) -> None:
    """The first node at the origin is pushed along the diagonal onto, or through, the opposite side of its element."""
    mesh = bodies.box((1, 1, 1), size=(10.0, 10.0, 10.0))
    model = Model.from_mesh(mesh, {"body": LAW})
    element = np.asarray(mesh.tetrahedra[0])
    corner, opposite = element[0], mesh.points[element[1:]].mean(axis=0)
    moved = np.asarray(model.points).copy()
    moved[corner] += 2 * shift * (1e-3 * opposite - moved[corner])
    torn = eqx.tree_at(lambda m: m.points, model, moved)
    with pytest.raises(SolverError, match=rf"element 0 of 'body' at .* mm {words}"):
        torn.problem(supports=[Fixed("z0")])


def test_a_middle_node_out_of_place_is_located() -> None:
    """A curved T10 may be inside out at a point of its rule though its corners are in order."""
    model = Model.from_mesh(bodies.box((1, 1, 1)), {"body": LAW}, element="T10")
    moved = np.asarray(model.points).copy()
    element = np.asarray(model.blocks[0].nodes)[3]
    moved[element[4]] += 3.0 * (moved[element[3]] - moved[element[4]])
    bent = eqx.tree_at(lambda m: m.points, model, moved)
    with pytest.raises(SolverError, match=r"element \d of 'body' at .* inside out at rest"):
        bent.problem(supports=[Fixed("z0")])


def test_a_mesh_with_a_bad_element_is_refused() -> None:
    mesh = bodies.box((1, 1, 1))
    with pytest.raises(MeshError, match="element 0 at"):
        type(mesh)(mesh.points, mesh.tetrahedra[:, [1, 0, 2, 3]], mesh.region)


def test_a_solve_that_breaks_says_where() -> None:
    """Pressed through itself: the code, the load fraction, the element, its region and place."""
    model = Model.from_mesh(bodies.box((2, 2, 2), size=(100.0,) * 3), {"body": LAW})
    problem = model.problem(supports=[Fixed("z0")], prescribed=[Prescribed("z1", (0, 0, -0.12))])
    solution = solve(problem, load_steps=2, max_iterations=10)
    assert not solution.converged
    if solution.result is ResultCode.inverted_element:
        assert "of 'body' at [" in solution.where
    assert "% of the load" in solution.where
    with pytest.raises(SolverError, match="more load steps"):
        _ = solution.final


def test_one_step_is_cut_back_as_far_as_it_takes_and_grows_again() -> None:
    """A load that no single step reaches: the first try fails, later steps are longer than the shortest."""
    model = Model.from_mesh(bodies.box((2, 2, 2), size=(100.0,) * 3), {"body": LAW})
    problem = model.problem(supports=[Fixed("z0")], prescribed=[Prescribed("z1", (0.28, 0.0, -0.03))])
    solution = solve(problem, load_steps=1, max_iterations=5, check_stability=False)
    assert solution.converged
    assert solution.statistics.cutbacks >= 1
    reached = [step.load_fraction for step in solution.statistics.steps if step.result is ResultCode.converged]
    lengths = np.diff([0.0, *reached])
    assert len(solution.states) == 1
    assert lengths.max() > 1.4 * lengths.min()
    other = solve(problem, load_steps=8, check_stability=False).final.displacement
    assert np.abs(np.asarray(solution.final.displacement - other)).max() < 1e-7


def test_a_load_too_large_gives_advice() -> None:
    model = Model.from_mesh(bodies.box((1, 1, 4), size=(20.0, 20.0, 200.0)), {"body": LAW})
    problem = model.problem(loads=[Traction("z1", (0.0, 0.0, -5e5))], supports=[Fixed("z0")])
    solution = solve(problem, max_iterations=8)
    assert not solution.converged
    assert solution.result.advice


def test_a_load_that_carries_the_body_away_is_no_answer() -> None:
    """A dead traction of 60 times the modulus pushes a block through its own support, in perfect balance."""
    model = Model.from_mesh(bodies.box((3, 2, 1), size=(60.0, 40.0, 20.0)), {"body": NeoHookean.from_young(5e3, 0.3)})
    supports = [Fixed("z0")]
    wrong = solve(model.problem(loads=[Traction("z1", (0.0, 0.0, -3e5))], supports=supports), load_steps=2)
    assert wrong.result is ResultCode.carried_away
    assert "times the body's size" in wrong.where
    with pytest.raises(SolverError, match="Check the units"):
        wrong.require_converged()
    assert solve(model.problem(loads=[Traction("z1", (0.0, 0.0, -3e2))], supports=supports)).converged


def test_a_body_on_a_one_sided_bed_alone_is_told_why_it_floats() -> None:
    model = Model.from_mesh(bodies.box((2, 2, 1), size=(40.0, 40.0, 20.0)), {"body": LAW}, density=1000.0)
    bed = Springs("z0", 3e5, one_sided=True, tangential=3e4)
    weight = [Gravity((0.0, 0.0, -9.81))]
    with pytest.raises(SolverError, match="A one-sided bed does not hold a body at rest: add one that pulls"):
        model.problem(loads=weight, supports=[bed])
    held = model.problem(loads=weight, supports=[bed, Springs("z0", 3e2)])
    sunk = np.asarray(solve(held).require_converged().final.displacement)[model.nodes_of("z0"), 2]
    # Weight over the bed's stiffness, and half the width in which that grows from zero.
    assert sunk.mean() == pytest.approx(-(1000.0 * 9.81 * 0.02 / 3e5 + 0.5 * float(bed.onset)), rel=0.02)
