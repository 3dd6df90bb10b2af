"""Bodies whose parts meet in an edge or a point, and further slips told in one line."""

from __future__ import annotations

import bodies
import numpy as np
import pytest

from preop.engine.tissue import fields
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed, PointSprings
from preop.imaging.errors import SolverError
from preop.meshing.mesh import TetMesh

LAW = NeoHookean.from_young(1e4, 0.3)


def model_of(mesh: TetMesh) -> Model:
    return Model.from_mesh(mesh, {"body": LAW})


def joined(*places: tuple[float, float, float]) -> TetMesh:
    """Unit blocks (1 m) with their low corners at these places; nodes at one place are one node."""
    block = bodies.box((2, 2, 2))
    points = np.concatenate([block.points + 1e3 * np.array(place) for place in places])
    elements = np.concatenate([block.tetrahedra + k * len(block.points) for k in range(len(places))])
    unique, where = np.unique(np.round(points, 6), axis=0, return_inverse=True)
    base = np.flatnonzero(unique[:, 2] == 0.0)
    far = np.flatnonzero(unique[:, 0] == unique[:, 0].max())
    return TetMesh(
        unique,
        where.ravel()[elements],
        np.ones(len(elements), np.int32),
        {1: "body"},
        node_sets={"base": base, "first": base[unique[base, 0] <= 1e3], "far": far},
    )


def test_a_block_that_hangs_by_an_edge_swings() -> None:
    """Two blocks share the edge x = z = 1: the second turns about y."""
    mesh = joined((0, 0, 0), (1, 0, 1))
    with pytest.raises(SolverError, match=r"an edge or a point only, can turn freely about \[-?0\. +-?1\. +-?0\."):
        model_of(mesh).problem(supports=[Fixed("base")])


def test_a_block_that_hangs_by_a_point_turns() -> None:
    with pytest.raises(SolverError, match="an edge or a point only, can turn freely"):
        model_of(joined((0, 0, 0), (1, 1, 1))).problem(supports=[Fixed("base")])


def test_what_holds_a_hinged_block_is_seen() -> None:
    """By a support of its own, springs, or a second edge: three blocks around a corner hold each other."""
    hinged = model_of(joined((0, 0, 0), (1, 0, 1)))
    hinged.problem(supports=[Fixed("base"), Fixed("far", "z")])
    hinged.problem(supports=[Fixed("base"), PointSprings("far", 10.0)])
    # The fourth block closes the ring of edges, and each is then held by two that are not in one line.
    ring = model_of(joined((0, 0, 0), (1, 0, 1), (0, 0, 2), (-1, 0, 1)))
    ring.problem(supports=[Fixed("base"), Fixed("far", "xz")])


def test_blocks_that_share_a_side_are_one_part() -> None:
    model_of(joined((0, 0, 0), (1, 0, 0), (1, 0, 1))).problem(supports=[Fixed("first")])


def test_a_start_from_another_mesh_is_named() -> None:
    problem = model_of(bodies.box((1, 1, 1))).problem(supports=[Fixed("z0")])
    other = solve(model_of(bodies.box((2, 1, 1))).problem(supports=[Fixed("z0")])).final
    with pytest.raises(SolverError, match="12 rows, the model 8"):
        solve(problem, start=other)
    assert solve(problem, load_steps=np.int64(2)).converged  # pyright: ignore[reportArgumentType]


def test_slips_in_a_model_are_named() -> None:
    mesh = bodies.box((1, 1, 1))
    with pytest.raises(SolverError, match=r"densities are given for \['bodyy'\]"):
        Model.from_mesh(mesh, {"body": LAW}, density={"bodyy": 5000.0})
    with pytest.raises(SolverError, match=r"shape \(5,\); give one value, or one for each of 6"):
        Model.from_mesh(mesh, {"body": NeoHookean(np.full(5, 1e3), 1e3)})  # pyright: ignore[reportArgumentType]
    empty = TetMesh(mesh.points, np.zeros((0, 4), np.int32), np.zeros(0, np.int32), {})
    with pytest.raises(SolverError, match="no tetrahedra"):
        Model.from_mesh(empty, {})


@pytest.mark.parametrize(("values", "words"), [([], "no values"), ([1.0, np.nan], "not finite")])
def test_a_percentile_of_nothing_is_named(values: list[float], words: str) -> None:
    with pytest.raises(SolverError, match=words):
        fields.weighted_percentile(np.array(values), np.ones(len(values)), 99.0)
