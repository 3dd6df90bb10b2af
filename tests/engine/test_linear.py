"""Multigrid, Krylov methods, factorisation and the assembled matrix they work on."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import bodies
import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import eigsh, spsolve

from preop.engine.linear import shares
from preop.engine.linear.block_products import smooth
from preop.engine.linear.direct import Factorisation
from preop.engine.linear.gauss_seidel import GaussSeidel, Turns
from preop.engine.linear.half_rows import HalfRows, Halves
from preop.engine.linear.hierarchy import Hierarchy, largest_eigenvalue, rigid_body_modes
from preop.engine.linear.host import HostLinearSolver
from preop.engine.linear.krylov import conjugate_gradients, gmres
from preop.engine.linear.sweeps import inverse_blocks
from preop.engine.tissue.device_system import DeviceSystem
from preop.engine.tissue.host_system import HostSystem
from preop.engine.tissue.loads import Gravity
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.pattern import PairScatter, Pattern
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.engine.tissue.system import Timer
from preop.imaging.errors import SolverError


def block(cells: int, *, stiffer: float = 1.0) -> Problem:
    """A block on a table under its own weight; `stiffer` multiplies the modulus of the elements of the upper half."""
    mesh = bodies.box((cells,) * 3, size=(100.0,) * 3)
    upper = mesh.points[mesh.tetrahedra].mean(axis=1)[:, 2] > 50.0
    law = NeoHookean(4e3 * np.where(upper, stiffer, 1.0), 3e4 * np.where(upper, stiffer, 1.0))
    model = Model.from_mesh(mesh, {"body": law}, density=1000.0)
    return model.problem(loads=[Gravity((0.0, 0.0, -9.81))], supports=[Fixed("z0")])


def assembled(problem: Problem) -> tuple[HostSystem, sparse.bsr_matrix, np.ndarray]:
    """The tangent at rest with unit rows where held, and the weight."""
    system = HostSystem(problem, Timer())
    tangent = system.linearize(system.zeros(), 1.0)
    matrix = tangent.assembly.constrained(tangent.matrix, system.free)
    return system, matrix, (system.external(system.zeros(), 1.0) * system.free).ravel()


def hierarchy_of(system: HostSystem, matrix: sparse.bsr_matrix) -> Hierarchy:
    return Hierarchy.of(matrix, rigid_body_modes(system.points) * system.free.reshape(-1, 1))


@pytest.mark.parametrize("stiffer", [1.0, 1e3])
def test_iterations_hardly_grow_with_the_mesh(stiffer: float) -> None:
    """From 1,296 to 16,464 tetrahedra conjugate gradients alone would take more than twice as many."""
    taken = []
    for cells in (6, 14):
        system, matrix, rhs = assembled(block(cells, stiffer=stiffer))
        found = conjugate_gradients(matrix, rhs, hierarchy_of(system, matrix).cycle(matrix), 1e-8, 200)
        assert found.converged
        assert np.linalg.norm(matrix @ found.solution - rhs) <= 1.01e-8 * np.linalg.norm(rhs)
        assert len(found.residuals) == found.iterations + 1
        taken.append(found.iterations)
    assert taken[1] <= 1.5 * taken[0]


def test_the_cycle_is_symmetric_and_positive() -> None:
    system, matrix, _ = assembled(block(7))
    hierarchy = hierarchy_of(system, matrix)
    assert len(hierarchy.sizes) >= 2
    assert 1.0 < hierarchy.complexity < 2.0
    cycle = hierarchy.cycle(matrix)
    left, right = np.random.default_rng(0).standard_normal((2, matrix.shape[0]))
    assert right @ (cycle @ left) == pytest.approx(left @ (cycle @ right), rel=1e-10)
    assert left @ (cycle @ left) > 0


def test_lanczos_finds_the_largest_eigenvalue() -> None:
    _, matrix, _ = assembled(block(3))
    inverse = 1.0 / matrix.diagonal()
    root = np.sqrt(inverse)
    exact = np.linalg.eigvalsh(root[:, None] * matrix.toarray() * root[None, :])[-1]
    assert 0.95 * exact < largest_eigenvalue(matrix, inverse) <= exact * (1 + 1e-12)


def test_products_shared_by_threads_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREOP_THREADS", "3")
    monkeypatch.setattr(shares, "SHARED_ENTRIES", 10)
    _, matrix, rhs = assembled(block(4))
    assert len(shares.RowShares(matrix).parts) == 3
    np.testing.assert_array_equal(shares.RowShares(matrix) @ rhs, matrix @ rhs)
    blocks = shares.BlockRows(matrix)
    near = {"rtol": 1e-12, "atol": 1e-12 * np.abs(matrix @ rhs).max()}
    np.testing.assert_allclose(blocks @ rhs, matrix @ rhs, **near)
    np.testing.assert_allclose(blocks.left(matrix @ rhs, 2.0 * rhs), -(matrix @ rhs), **near)
    square = shares.block_product(blocks, blocks).whole
    np.testing.assert_allclose(square.toarray(), matrix.toarray() @ matrix.toarray(), rtol=1e-12, atol=1e-6)
    assert list(shares.in_order(lambda k: k * k, range(10))) == [k * k for k in range(10)]


def test_gmres_solves_what_is_not_symmetric() -> None:
    """Convection and diffusion in one dimension, upwinded; longer than one restart."""
    count = 300
    matrix = sparse.diags_array(
        [-3.0 * np.ones(count - 1), 4.5 * np.ones(count), -np.ones(count - 1)], offsets=[-1, 0, 1]
    )
    matrix, rhs = matrix.tocsr(), np.sin(np.arange(count))
    found = gmres(matrix.__matmul__, rhs, sparse.eye_array(count), 1e-10)
    assert found.converged
    np.testing.assert_allclose(found.solution, spsolve(matrix.tocsc(), rhs), rtol=1e-7, atol=1e-9)
    stalled = gmres(matrix.__matmul__, rhs, sparse.eye_array(count), 1e-10, limit=5)
    assert not stalled.converged or stalled.residuals[-1] <= 1e-10


def test_the_factorisation_counts_negative_eigenvalues() -> None:
    _, matrix, rhs = assembled(block(2))
    values = np.sort(np.linalg.eigvalsh(matrix.toarray()))
    # The block is symmetric and has double eigenvalues: a shift must lie in a gap.
    gaps = [k for k in range(1, len(values)) if values[k] - values[k - 1] > 1e-3 * values[k]][:4]
    for below in (0, *gaps):
        shift = 0.0 if below == 0 else 0.5 * (values[below - 1] + values[below])
        moved = matrix - shift * sparse.eye_array(matrix.shape[0])
        factor = Factorisation(moved, symmetric=True)
        assert factor.negative == below
        np.testing.assert_allclose(moved @ (factor @ rhs), rhs, atol=1e-9 * np.abs(rhs).max())


def test_negative_curvature_is_met_by_both_methods() -> None:
    """A matrix with one negative eigenvalue whose vector is in the right-hand side; the step given goes down."""
    system, matrix, rhs = assembled(block(3))
    values, vectors = np.linalg.eigh(matrix.toarray())
    turned = int(np.argmax(np.abs(vectors.T @ rhs)))
    bent = matrix.toarray() - 2.0 * values[turned] * np.outer(vectors[:, turned], vectors[:, turned])
    bent = sparse.bsr_matrix(0.5 * (bent + bent.T), blocksize=(3, 3))
    for method in ("direct", "multigrid"):
        solver = HostLinearSolver(Timer(), method=method)
        found = solver.solve(bent, rhs.reshape(-1, 3), 1e-10, system.free, system.points)
        assert found.indefinite
        assert not found.converged
        assert rhs @ found.solution.ravel() > 0


def test_a_probe_meets_what_the_right_hand_side_does_not_hold() -> None:
    """One direction of negative curvature, sideways and antisymmetric, in a body whose weight is straight down.

    K − 1.2 λ v vᵀ with the vector v of the lowest eigenvalue λ that the weight has no part in.
    """
    system, matrix, rhs = assembled(block(8))
    free = np.flatnonzero(system.free.ravel())
    values, vectors = eigsh(matrix.tocsc()[free][:, free], 6, sigma=0.0)
    unseen = int(np.argmin(np.abs(vectors.T @ rhs[free])))
    mode = np.zeros((len(rhs), 1))
    mode[free, 0] = vectors[:, unseen]
    assert abs(rhs @ mode[:, 0]) < 1e-6 * np.linalg.norm(rhs)
    probe = np.random.default_rng(0).standard_normal(system.points.shape) * system.free
    solver = HostLinearSolver(Timer(), method="multigrid")
    told = solver.solve(matrix, rhs.reshape(-1, 3), 1e-6, system.free, system.points, probe)
    assert told.converged
    assert told.probed
    assert np.linalg.norm(matrix @ told.solution.ravel() - rhs) <= 1.01e-6 * np.linalg.norm(rhs)
    bent = sparse.bsr_matrix(matrix - 1.2 * values[unseen] * sparse.csr_matrix(mode @ mode.T), blocksize=(3, 3))
    silent = solver.solve(bent, rhs.reshape(-1, 3), 1e-6, system.free, system.points, probe)
    assert not silent.probed


def test_direct_and_multigrid_find_the_same_balance() -> None:
    problem = block(3)
    found = {name: solve(problem, linear_solver=name, tolerance=1e-10) for name in ("host", "direct", "multigrid")}
    expected = np.asarray(found["multigrid"].final.displacement)
    for solution in found.values():
        np.testing.assert_allclose(
            np.asarray(solution.final.displacement), expected, atol=1e-9 * np.abs(expected).max()
        )
    step = found["multigrid"].statistics.steps[-1]
    assert len(step.linear_residuals) == step.newton_iterations
    assert sum(len(told) - 1 for told in step.linear_residuals) == step.linear_iterations
    assert found["direct"].statistics.levels == ()
    with pytest.raises(SolverError, match="multigrid"):
        solve(problem, linear_solver="magic")


def test_the_pattern_holds_every_pair_and_its_mirror() -> None:
    groups = [np.array([[0, 1, 4], [4, 2, 1]]), np.array([[5, 3]])]
    pattern = Pattern(groups, 6)
    coupled = {(i, i) for i in range(6)} | {(a, b) for g in groups for row in g for a in row for b in row}
    dense = np.zeros((6, 6), int)
    for row in range(6):
        dense[row, pattern.indices[pattern.indptr[row] : pattern.indptr[row + 1]]] = 1
    assert {(int(i), int(j)) for i, j in np.argwhere(dense)} == {(int(a), int(b)) for a, b in coupled}
    data = np.random.default_rng(0).standard_normal((len(pattern.indices), 3, 3))
    whole = pattern.matrix(data).toarray()
    slot = pattern.slots(np.array([4]), np.array([2]))[0]
    np.testing.assert_array_equal(data[slot], whole[12:15, 6:9])


@pytest.mark.parametrize("balanced", [True, False])
def test_pairs_are_added_with_their_transposes_and_rows_balanced(balanced: bool) -> None:
    """Two elements of three rows in a chunk of four, the last two only filling."""
    nodes = np.array([[0, 1, 4], [4, 2, 1]])
    pattern = Pattern([nodes, np.array([[5, 3]])], 6)
    first, second = np.triu_indices(3, 1 if balanced else 0)
    couplings = np.random.default_rng(0).standard_normal((9, len(first), 4))
    lower, wanted = np.zeros((pattern.kept, 9)), np.zeros((6, 6, 3, 3))
    PairScatter(pattern, nodes[:, first], nodes[:, second]).add(lower, couplings, 0)
    for element, pair in itertools.product(range(2), range(len(first))):
        a, b = nodes[element, first[pair]], nodes[element, second[pair]]
        wanted[a, b] += couplings[:, pair, element].reshape(3, 3)
        wanted[b, a] += couplings[:, pair, element].reshape(3, 3).T
    if balanced:
        wanted[range(6), range(6)] = -wanted.sum(axis=1)
    found = pattern.matrix(pattern.complete(lower, balanced=balanced)).toarray()
    np.testing.assert_allclose(found.reshape(6, 3, 6, 3).swapaxes(1, 2), wanted, atol=1e-14)


@pytest.mark.parametrize("numbering", ["by layers", "at random"])
def test_sweeps_shared_by_threads_are_triangular_solves(numbering: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """(D + L) x = b and (D + U) x = b − L y, L what a row's predecessors give, whatever the threads."""
    monkeypatch.setenv("PREOP_THREADS", "3")
    monkeypatch.setattr(shares, "SHARED_ENTRIES", 10)
    matrix = assembled(long_bar())[1]
    if numbering == "at random":
        order = np.random.default_rng(0).permutation(matrix.shape[0] // 3)
        blocks = sparse.csr_matrix((np.arange(1, len(matrix.data) + 1), matrix.indices, matrix.indptr))[order][:, order]
        blocks.sort_indices()
        matrix = sparse.bsr_matrix((matrix.data[blocks.data - 1], blocks.indices, blocks.indptr), shape=matrix.shape)
    turns = Turns.of(matrix)
    assert len(turns.parts) == 3
    assert 0 < len(turns.between) < 0.2 * matrix.shape[0] / 3
    order = np.concatenate([*turns.parts, turns.between])
    assert sorted(order) == list(range(matrix.shape[0] // 3))
    rows = (3 * order[:, None] + np.arange(3)).ravel()
    dense = matrix.toarray()[np.ix_(rows, rows)]
    of_blocks = np.kron(np.tri(len(order)), np.ones((3, 3)))
    below, above = dense * of_blocks, dense * of_blocks.T
    rhs, start = np.random.default_rng(1).standard_normal((2, matrix.shape[0]))
    near = {"rtol": 1e-10, "atol": 1e-12 * np.abs(np.linalg.solve(below, rhs)).max()}
    for smoother in (GaussSeidel(shares.BlockRows(matrix), turns), HalfRows(matrix, Halves.of(turns))):
        found, left = smoother.forward(rhs)
        np.testing.assert_allclose(found[rows], np.linalg.solve(below, rhs[rows]), **near)
        np.testing.assert_allclose(left, rhs - matrix @ found, rtol=1e-10, atol=1e-12 * np.abs(rhs).max())
        found = start.copy()
        smoother.backward(rhs, found)
        wanted = np.linalg.solve(above, rhs[rows] - (dense - above) @ start[rows])
        np.testing.assert_allclose(found[rows], wanted, **near)
    image = HalfRows(matrix, Halves.of(turns)) @ start
    np.testing.assert_allclose(image, matrix @ start, rtol=1e-12, atol=1e-12 * np.abs(image).max())


def test_sweeps_shared_by_threads_are_repeatable_where_the_pattern_is_not_symmetric(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Entries without a mirrored one, as friction has them, in both directions between the parts."""
    monkeypatch.setenv("PREOP_THREADS", "2")
    monkeypatch.setattr(shares, "SHARED_ENTRIES", 10)
    rng, count = np.random.default_rng(0), 60
    filled = sparse.eye_array(count) + sparse.diags_array(np.ones(count - 1), offsets=1)
    filled = sparse.csr_array(filled + sparse.coo_array((np.ones(2), ([4, 50], [52, 8])), shape=(count, count)))
    filled.sort_indices()
    data = 0.1 * rng.standard_normal((filled.nnz, 3, 3)) + np.eye(3)
    matrix = sparse.bsr_matrix((data, filled.indices, filled.indptr), shape=(3 * count, 3 * count))
    turns = Turns.of(matrix)
    assert len(turns.parts) == 2
    part = np.full(count, -1)
    for k, rows in enumerate(turns.parts):
        part[rows] = k
    ends = part[np.repeat(np.arange(count), np.diff(matrix.indptr))], part[matrix.indices]
    assert not ((ends[0] != ends[1]) & (ends[0] >= 0) & (ends[1] >= 0)).any()
    assert turns.fits(matrix)
    fewer = sparse.bsr_matrix((data[1:], matrix.indices[1:], np.maximum(matrix.indptr - 1, 0)), shape=matrix.shape)
    assert not turns.fits(fewer)


def long_bar() -> Problem:
    """4 × 4 × 24 cells, held at one end."""
    model = Model.from_mesh(bodies.box((4, 4, 24), size=(40.0, 40.0, 240.0)), {"body": NeoHookean(4e3, 3e4)})
    return model.problem(supports=[Fixed("z0")])


def test_a_block_matrix_cut_in_threes_is_the_same() -> None:
    rng = np.random.default_rng(0)
    for high, wide in ((3, 3), (6, 6), (3, 6), (6, 3), (9, 6)):
        filled = sparse.random_array((5, 4), density=0.5, rng=rng, format="csr")
        matrix = sparse.bsr_matrix(
            (rng.standard_normal((filled.nnz, high, wide)), filled.indices, filled.indptr), shape=(5 * high, 4 * wide)
        )
        found = shares.in_threes(matrix)
        np.testing.assert_array_equal(found.whole.toarray(), matrix.toarray())
        vector = rng.standard_normal(4 * wide)
        np.testing.assert_allclose(found @ vector, matrix @ vector, atol=1e-13)


def test_products_and_transposes_of_blocks_are_those_of_the_matrices() -> None:
    rng = np.random.default_rng(0)
    pair = []
    for rows, columns in ((5, 7), (7, 4)):
        filled = sparse.random_array((rows, columns), density=0.5, rng=rng, format="csr")
        blocks = rng.standard_normal((9 * filled.nnz,))
        pair.append(shares.BlockRows.of(filled.indptr, filled.indices, blocks, shape=(3 * rows, 3 * columns)))
    left, right = pair
    dense = left.whole.toarray(), right.whole.toarray()
    np.testing.assert_allclose(shares.block_product(left, right).whole.toarray(), dense[0] @ dense[1], atol=1e-13)
    turned = shares.transposed(left).whole
    np.testing.assert_array_equal(turned.toarray(), dense[0].T)
    assert turned.has_sorted_indices


def test_a_prolongation_is_smoothed_within_its_pattern() -> None:
    """T − D A T for a tentative T of two block columns per node, one node in no aggregate."""
    matrix = shares.BlockRows(assembled(block(2))[1])
    count = matrix.shape[0] // 3
    member = np.arange(count) // 4
    starts = np.concatenate([[0], np.cumsum(np.where(np.arange(count) == 5, 0, 2))])
    columns = np.concatenate([[2 * member[i], 2 * member[i] + 1] for i in range(count) if i != 5]).astype(np.int32)
    rng = np.random.default_rng(0)
    shape = (3 * count, 6 * (int(member.max()) + 1))
    tentative = shares.BlockRows.of(starts.astype(np.int32), columns, rng.standard_normal(9 * starts[-1]), shape=shape)
    damping = rng.random(3 * count)
    found = shares.block_product(matrix, tentative)
    smooth(*found.arrays, damping, *tentative.arrays)
    dense = tentative.whole.toarray()
    wanted = dense - damping[:, None] * (matrix.whole.toarray() @ dense)
    np.testing.assert_allclose(found.whole.toarray(), wanted, rtol=1e-12, atol=1e-12 * np.abs(wanted).max())


def test_diagonal_blocks_are_inverted_and_singular_ones_by_their_diagonal() -> None:
    blocks = np.random.default_rng(0).standard_normal((4, 3, 3))
    blocks[2] = np.outer([1.0, 2.0, 0.0], [1.0, 1.0, 1.0])
    found = np.empty(27)
    inverse_blocks(np.array([3, 0, 2]), blocks.ravel(), found)
    np.testing.assert_allclose(found.reshape(3, 3, 3)[:2], np.linalg.inv(blocks[[3, 0]]), rtol=1e-10)
    np.testing.assert_allclose(found.reshape(3, 3, 3)[2], np.diag([1.0, 0.5, 1.0]))


def test_a_damaged_file_of_the_cache_costs_a_compilation_only(tmp_path: Path) -> None:
    """In processes of their own: what is kept is read once, when a loop is first called."""
    code = (
        "import numpy as np; from preop.engine.linear.sweeps import inverse_blocks as f;"
        " out = np.empty(9); f(np.array([0]), 2.0 * np.eye(3).ravel(), out);"
        " print(out[0], sum(f.stats.cache_hits.values()))"
    )

    def told() -> str:
        place = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, encoding="utf-8", check=True, env=place
        )
        return done.stdout.strip()

    assert [told(), told()] == ["0.5 0", "0.5 1"]
    for kept in tmp_path.rglob("*.nbc"):
        kept.write_bytes(kept.read_bytes()[:100])
    assert [told(), told()] == ["0.5 0", "0.5 1"]


def test_what_is_compiled_is_kept_where_it_was_asked_for(tmp_path: Path) -> None:
    """In a process of its own: the cache is a setting of the whole process."""
    code = (
        "import jax, sys\n"
        "from pathlib import Path\n"
        "from preop.engine.compiled import keep_compiled\n"
        "place = keep_compiled(Path(sys.argv[1]))\n"
        "jax.jit(lambda x: x * 2)(1.0).block_until_ready()\n"
        "print(place)\n"
    )
    call = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(call, capture_output=True, encoding="utf-8", check=True)
    place = Path(done.stdout.strip())
    assert place.parent == tmp_path
    assert any(place.iterdir())


def test_the_cycle_of_the_device_is_that_of_the_host() -> None:
    """Same hierarchy, same tangent: the same vector, and as many iterations."""
    system, matrix, rhs = assembled(block(8))
    device = DeviceSystem(block(8), Timer())
    tangent = device.linearize(device.zeros(), 1.0)
    device.renew(tangent.blocks)
    assert device.cycle is not None
    found = tangent.solve(device.array(rhs.reshape(-1, 3)), 1e-8)
    expected = conjugate_gradients(matrix, rhs, hierarchy_of(system, matrix).cycle(matrix), 1e-8, 200)
    assert found.converged
    assert abs(found.iterations - expected.iterations) <= 1
    exact = spsolve(matrix.tocsc(), rhs).reshape(-1, 3)
    np.testing.assert_allclose(np.asarray(found.solution), exact, atol=1e-7 * np.abs(exact).max())


def test_the_room_of_a_matrix_is_used_again_when_nobody_refers_to_it() -> None:
    pattern = Pattern([np.array([[0, 1], [1, 2]])], 3)
    lower = np.ones((pattern.kept, 9))
    first = pattern.matrix(pattern.complete(lower, balanced=False))
    row, kept = first.data.reshape(-1)[:3], first.toarray()
    second = pattern.matrix(pattern.complete(2.0 * lower, balanced=False))
    del first  # but for three numbers of it
    third = pattern.complete(3.0 * lower, balanced=False)
    np.testing.assert_array_equal(row, kept[0, :3])
    np.testing.assert_array_equal(second.toarray(), 2.0 * kept)
    place = third.ctypes.data
    del third
    assert pattern.complete(lower, balanced=False).ctypes.data == place
