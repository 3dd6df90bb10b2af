"""Multigrid, Krylov methods, factorisation and the assembled matrix they work on."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import bodies
import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import eigsh, spsolve

from preop.engine.linear import shares
from preop.engine.linear.direct import Factorisation
from preop.engine.linear.hierarchy import Hierarchy, largest_eigenvalue, rigid_body_modes
from preop.engine.linear.host import HostLinearSolver
from preop.engine.linear.krylov import conjugate_gradients, gmres
from preop.engine.tissue.device_system import DeviceSystem
from preop.engine.tissue.host_system import HostSystem
from preop.engine.tissue.loads import Gravity
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.pattern import Pattern
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
    found, vector = largest_eigenvalue(matrix, inverse)
    assert 0.95 * exact < found <= exact * (1 + 1e-12)
    assert largest_eigenvalue(matrix, inverse, vector)[0] >= found * (1 - 1e-12)


def test_products_shared_by_threads_are_those_of_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREOP_THREADS", "3")
    monkeypatch.setattr(shares, "SHARED_ENTRIES", 10)
    _, matrix, rhs = assembled(block(4))
    assert len(shares.RowShares(matrix).parts) == 3
    np.testing.assert_array_equal(shares.RowShares(matrix) @ rhs, matrix @ rhs)
    square = shares.shared_product(matrix, matrix)
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
    entries = np.ascontiguousarray(data.reshape(-1, 9).T)
    summed = pattern.matrix(pattern.completed(entries, balanced=False)).toarray()
    np.testing.assert_allclose(summed, whole + whole.T)
    entries[:, pattern.diagonal] = 0.0
    off = pattern.matrix(entries.T.reshape(-1, 3, 3)).toarray()
    balanced = pattern.matrix(pattern.completed(entries, balanced=True)).toarray()
    np.testing.assert_allclose(balanced, balanced.T, atol=1e-14)
    blocks = (balanced - off - off.T).reshape(6, 3, 6, 3).swapaxes(1, 2)
    sums = (off + off.T).reshape(6, 3, 6, 3).sum(axis=2)
    for a, b in itertools.product(range(6), repeat=2):
        wanted = -0.5 * (sums[a] + sums[a].T) if a == b else np.zeros((3, 3))
        np.testing.assert_allclose(blocks[a, b], wanted, atol=1e-14)
    slot = pattern.slots(np.array([4]), np.array([2]))[0]
    np.testing.assert_array_equal(data[slot], whole[12:15, 6:9])


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
