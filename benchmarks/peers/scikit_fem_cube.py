"""The sheared and stretched cube in scikit-fem with PyAMG's smoothed aggregation and conjugate gradients.

    benchmarks/peers/.venv/bin/python benchmarks/peers/scikit_fem_cube.py --cells 16

Newton's method with the prescribed motion in the first step, full steps, each linear system to 1e-6; the tangent is
∂P/∂F written out, as scikit-fem's own example of hyperelasticity does, and the hierarchy is made anew each time.
"""

from __future__ import annotations

import argparse
import json
import resource
import time

import numpy as np
import pyamg
from skfem import Basis, BilinearForm, ElementTetP1, ElementVector, Functional, LinearForm, MeshTet, condense
from skfem.helpers import ddot, det, grad, inv, transpose

YOUNG, POISSON = 1e4, 0.45
MU, LAMBDA = YOUNG / (2 * (1 + POISSON)), YOUNG * POISSON / ((1 + POISSON) * (1 - 2 * POISSON))
TOLERANCE = 1e-8


def deformation(w):
    """F at the quadrature points."""
    return grad(w["u"]) + np.eye(3)[:, :, None, None]


@Functional
def energy(w):
    """W."""
    f = deformation(w)
    log = np.log(det(f))
    return MU / 2 * (ddot(f, f) - 3) - MU * log + LAMBDA / 2 * log**2


@LinearForm
def residual(v, w):
    """P : ∇v, P = μ (F − F⁻ᵀ) + λ ln J F⁻ᵀ."""
    f = deformation(w)
    back = transpose(inv(f))
    return ddot(MU * (f - back) + LAMBDA * np.log(det(f)) * back, grad(v))


@BilinearForm
def tangent(u, v, w):
    """∇v : ∂P/∂F : ∇u."""
    f = deformation(w)
    inverse = inv(f)
    back, du = transpose(inverse), grad(u)
    turned = np.einsum("ji...,kj...,lk...->il...", inverse, du, inverse)  # F⁻ᵀ duᵀ F⁻ᵀ
    rate = MU * du + (MU - LAMBDA * np.log(det(f))) * turned + LAMBDA * ddot(back, du) * back
    return ddot(rate, grad(v))


def modes(points: np.ndarray) -> np.ndarray:
    """Rigid body modes (3 n, 6)."""
    found = np.zeros((len(points), 3, 6))
    for axis in range(3):
        found[:, axis, axis] = 1.0
        found[:, :, 3 + axis] = np.cross(np.eye(3)[axis], points - points.mean(axis=0))
    return found.reshape(-1, 6)


def solve(cells: int) -> dict:
    """Newton's method from rest."""
    ticks = np.linspace(0, 1, cells + 1)
    mesh = MeshTet.init_tensor(ticks, ticks, ticks)
    basis = Basis(mesh, ElementVector(ElementTetP1()), intorder=0)
    order = basis.nodal_dofs.T.ravel()
    top = basis.get_dofs(lambda x: np.isclose(x[2], 1.0))
    held = np.union1d(top.flatten(), basis.get_dofs(lambda x: np.isclose(x[2], 0.0)).flatten())
    goal = np.zeros(basis.N)
    goal[top.nodal["u^1"]], goal[top.nodal["u^3"]] = 0.3, 0.2
    free = np.setdiff1d(np.arange(basis.N), held)
    kernel = modes(mesh.p.T)
    near = np.empty_like(kernel)
    near[order] = kernel
    u, linear, seconds = np.zeros(basis.N), 0, {"assembly": 0.0, "linear": 0.0}
    for newton in range(50):  # noqa: B007
        start = time.perf_counter()
        force = residual.assemble(basis, u=basis.interpolate(u))
        moving = np.any(u[held] != goal[held])
        if not moving and np.linalg.norm(force[free]) <= TOLERANCE * np.linalg.norm(force[held]):
            break
        matrix = tangent.assemble(basis, u=basis.interpolate(u))
        step = np.zeros(basis.N)
        step[held] = (goal - u)[held]
        inner, rhs, _, _ = condense(matrix, -force, x=step, I=free)
        seconds["assembly"] += time.perf_counter() - start
        start = time.perf_counter()
        # Three unknowns of a node side by side, so that PyAMG sees blocks.
        blocked = np.searchsorted(free, order[np.isin(order, free)])
        block = inner[blocked][:, blocked].tobsr(blocksize=(3, 3))
        cycle = pyamg.smoothed_aggregation_solver(block, B=near[free][blocked], symmetry="symmetric")
        count = []
        found, info = pyamg.krylov.cg(block, rhs[blocked], tol=1e-6, M=cycle.aspreconditioner(), callback=count.append)
        assert info == 0
        linear += len(count)
        step[free[blocked]] = found
        u += step
        seconds["linear"] += time.perf_counter() - start
    else:
        raise SystemExit("scikit-fem did not converge")
    reaction = [float(force[top.nodal[f"u^{k}"]].sum()) for k in (1, 2, 3)]
    found_energy = float(energy.assemble(basis, u=basis.interpolate(u)))
    return {"newton": newton, "linear": linear, "parts_s": seconds, "energy_J": found_energy, "top_N": reaction}


def main() -> None:
    """Prints one line of JSON: the second of two solves."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=16)
    options = parser.parse_args()
    times = []
    for _ in range(2):
        start, busy = time.perf_counter(), time.process_time()
        found = solve(options.cells)
        times.append((time.perf_counter() - start, time.process_time() - busy))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({**found, "cold_s": times[0][0], "warm_s": times[1][0], "cpu_s": times[1][1], "peak_MiB": peak}))


if __name__ == "__main__":
    main()
