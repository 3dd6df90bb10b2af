"""Embedding: linear fields exact inside, rigid motions carried, points outside close by."""

from __future__ import annotations

import numpy as np
import pytest

from preop.imaging.errors import MeshError
from preop.meshing.embedding import embed
from preop.meshing.mesh import TetMesh
from preop.meshing.readers import cut_hexahedra
from preop.meshing.tetwild import positive


@pytest.fixture(scope="module")
def block() -> TetMesh:
    """A block of 6 × 5 × 4 graded, jittered bricks."""
    shape = (7, 6, 5)
    points = np.stack(np.meshgrid(*[np.arange(n) ** 1.4 * 3.0 for n in shape], indexing="ij"), axis=-1).reshape(-1, 3)
    points += np.random.default_rng(0).uniform(-0.3, 0.3, points.shape)
    number = np.arange(len(points)).reshape(shape)
    base = number[:-1, :-1, :-1].ravel()
    steps = [0, 30, 35, 5, 1, 31, 36, 6]
    points, cells = cut_hexahedra(points, base[:, None] + np.array(steps))
    points, cells = positive(points, cells.astype(np.int32))
    return TetMesh(points, cells, np.ones(len(cells)))


def _inside(mesh: TetMesh, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    element = rng.integers(len(mesh.tetrahedra), size=count)
    weights = rng.dirichlet(np.ones(4), count)
    return np.einsum("vc,vcx->vx", weights, mesh.points[mesh.tetrahedra[element]]), element


def test_points_inside_find_their_element_and_linear_fields_are_exact(block):
    points, element = _inside(block, 3000)
    embedding = embed(points, block)
    assert (embedding.carrier == element).mean() > 0.999
    assert (embedding.distance == 0).all()
    gradient = np.array([[0.3, -1.2, 0.7], [2.0, 0.1, -0.4]])
    carried = embedding.apply(block.tetrahedra, block.points @ gradient.T + [1.0, -2.0])
    assert carried == pytest.approx(points @ gradient.T + [1.0, -2.0], abs=1e-9)


def test_nodes_and_face_centres_are_inside(block):
    corners = block.points[block.tetrahedra]
    points = np.concatenate([block.points, corners[:, :3].mean(axis=1)])
    embedding = embed(points, block)
    assert embedding.distance.max() == 0
    assert embedding.apply(block.tetrahedra, block.points) == pytest.approx(points, abs=1e-8)


def test_a_rigid_motion_carries_points_just_outside(block):
    low, high = block.points.min(axis=0), block.points.max(axis=0)
    rng = np.random.default_rng(2)
    points = rng.uniform(low - 0.5, high + 0.5, (4000, 3))
    embedding = embed(points, block)
    outside = embedding.distance > 0
    assert 0.05 < outside.mean() < 0.6
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    moved = embedding.apply(block.tetrahedra, block.points @ turn.T + [5, 6, 7])
    unclamped = embedding.weights.min(axis=1) > -0.49
    assert unclamped.mean() > 0.95
    assert moved[unclamped] == pytest.approx(points[unclamped] @ turn.T + [5, 6, 7], abs=1e-8)


def test_the_distance_of_a_point_outside_is_that_to_the_boundary():
    mesh = TetMesh([[0, 0, 0], [10, 0, 0], [0, 10, 0], [0, 0, 10]], [[0, 1, 2, 3]], [1])
    embedding = embed(np.array([[2.0, 2.0, -1.5], [-3.0, 0.0, 0.0], [1, 1, 1]]), mesh)
    assert embedding.distance == pytest.approx([1.5, 3.0, 0.0])
    assert embedding.weights.sum(axis=1) == pytest.approx([1, 1, 1])
    far = embed(np.array([[500.0, 500.0, 500.0]]), mesh)
    assert far.weights.min() >= -0.5


def test_wrong_input_is_named(block):
    with pytest.raises(MeshError, match=r"\(V, 3\)"):
        embed(np.zeros((3, 2)), block)
    with pytest.raises(MeshError, match="no tetrahedron"):
        embed(np.zeros((3, 3)), TetMesh(np.zeros((0, 3)), np.zeros((0, 4)), np.zeros(0)))
