"""Compiled loops of the tissue engine, against NumPy and SciPy."""

from __future__ import annotations

import bodies
import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from preop.engine.linear import shares
from preop.engine.linear.gauss_seidel import Turns
from preop.engine.linear.half_rows import HalfRows, Halves
from preop.engine.linear.held import Held, Rim
from preop.engine.tissue.faces import join_pairs, match_faces, resolve
from preop.engine.tissue.kernels import aligned
from preop.engine.tissue.pattern import Pattern
from preop.engine.tissue.scatter import add_last, gather_last

FACES = np.array([[1, 2, 3], [0, 3, 2], [0, 1, 3], [0, 2, 1]])


def test_nodes_are_gathered_and_forces_added_with_the_elements_last() -> None:
    """The second chunk of four of six elements: two true ones, the last repeated."""
    rng = np.random.default_rng(0)
    nodes, values = rng.integers(0, 9, (6, 4)).astype(np.int32), rng.standard_normal((9, 3))
    out = aligned(4, 3, 4)
    assert out.ctypes.data % 64 == 0
    gather_last(values, nodes, 4, out)
    np.testing.assert_array_equal(out, values[nodes[[4, 5, 5, 5]]].transpose(1, 2, 0))
    total, wanted = np.zeros((9, 3)), np.zeros((9, 3))
    square = add_last(out, nodes, 4, 2, total)
    np.add.at(wanted, nodes[4:], out[:, :, :2].transpose(2, 0, 1))
    np.testing.assert_allclose(total, wanted, atol=1e-14)
    assert square == pytest.approx((out[:, :, :2] ** 2).sum())


@pytest.mark.parametrize("spread", [1, 1000], ids=["numbered densely", "with unused nodes"])
def test_elements_are_joined_where_they_share_three_nodes(spread: int) -> None:
    """Four in ten of a box's tetrahedra, against the graph of equal faces; a pair joined by hand."""
    mesh = bodies.box((5, 4, 3))
    rng = np.random.default_rng(0)
    kept = mesh.cells[rng.random(len(mesh.cells)) < 0.4]
    faces = np.sort(kept[:, FACES].reshape(-1, 3), axis=1)
    owner = np.repeat(np.arange(len(kept)), 4)
    number = np.unique(faces, axis=0, return_inverse=True)[1].ravel()
    touch = sparse.csr_matrix((np.ones(len(owner)), (owner, number)))
    together = sparse.lil_matrix(touch @ touch.T)
    together[0, len(kept) - 1] = 1
    count, wanted = connected_components(together, directed=False)
    parent, overlap, size = np.arange(len(kept), dtype=np.int32), np.full(4, -1), 1024
    table = np.empty(size, np.int64), np.empty(size, np.int32), np.full((size, 2), -1, np.int32)
    match_faces(spread * kept, FACES, 0, spread * len(mesh.points), *table, parent, overlap)
    join_pairs(np.array([0]), np.array([len(kept) - 1]), parent)
    resolve(parent)
    assert overlap[0] == -1
    assert 1 < len(np.unique(parent)) == count
    assert len(set(zip(parent.tolist(), wanted.tolist(), strict=True))) == count


def test_half_of_a_held_matrix_is_that_of_the_closed_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREOP_THREADS", "2")
    monkeypatch.setattr(shares, "SHARED_ENTRIES", 10)
    rng, count = np.random.default_rng(0), 40
    pattern = Pattern([np.stack([np.arange(count - 2), np.arange(1, count - 1), np.arange(2, count)], axis=1)], count)
    blocks = pattern.complete(rng.standard_normal((pattern.kept, 9)), balanced=False)
    matrix = pattern.matrix(blocks)
    free = 1.0 * (rng.random((count, 3)) > 0.3)
    held = Held(matrix, Rim(free, *pattern.held(free), pattern.diagonal))
    dense, chosen = matrix.toarray(), free.ravel() > 0
    wanted = np.where(np.outer(chosen, chosen), dense, np.eye(3 * count))
    np.testing.assert_array_equal(held.whole.toarray(), wanted)
    halves = Halves.of(Turns.of(held))
    assert len(halves.parts) == 2
    vector = rng.standard_normal(3 * count)
    np.testing.assert_allclose(HalfRows(held, halves) @ vector, wanted @ vector, rtol=1e-12, atol=1e-11)
