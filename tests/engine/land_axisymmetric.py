"""Land's inflated ventricle as a body of revolution: quadrilaterals of nine nodes with four pressures, from scratch.

Independent of the engine's elements, meshes, materials and solvers: unknowns are (r, z) displacements and the
multiplier p of J = 1; the energy is differentiated by JAX, the linear system is SciPy's. Lengths in m, pressures in Pa.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_matrix, csc_matrix
from scipy.sparse.linalg import spsolve

STIFFNESS, PRESSURE = 10e3, 10e3
"""C of W = C/2 (exp(Ē : Ē) − 1): Guccione's law with all exponents 1 is isotropic; p on the inner face."""
HALF, WALL, BASE = np.array([7e-3, 17e-3]), 3e-3, 5e-3
"""Half-axes of the endocardium, thickness, height of the base plane."""
POINTS, WEIGHTS = (0.5 * part for part in np.polynomial.legendre.leggauss(4))
POINTS = POINTS + 0.5


def _quadratic(x: NDArray) -> tuple[NDArray, NDArray]:
    """Values and slopes (q, 3) of the parabolas through 0, ½ and 1."""
    values = np.stack([(1 - x) * (1 - 2 * x), 4 * x * (1 - x), x * (2 * x - 1)], axis=1)
    return values, np.stack([4 * x - 3, 4 - 8 * x, 4 * x - 1], axis=1)


LINE, LINE_SLOPE = _quadratic(POINTS)
SHAPE = np.einsum("ia,jb->ijab", LINE, LINE).reshape(16, 9)
SLOPE = np.stack([np.einsum("ia,jb->ijab", *pair).reshape(16, 9) for pair in ((LINE_SLOPE, LINE), (LINE, LINE_SLOPE))])
BILINEAR = np.einsum("ia,jb->ijab", *2 * [np.stack([1 - POINTS, POINTS], axis=1)]).reshape(16, 4)
AREA = np.outer(WEIGHTS, WEIGHTS).ravel()


class Mesh(NamedTuple):
    """Nodes (N, 2), nine of them and four pressures of each element, inner edges, held numbers, nodes at the apex."""

    place: NDArray
    cells: NDArray
    pressures: NDArray
    inner: NDArray
    held: NDArray
    apex: tuple[int, int]


def mesh(along: int, through: int) -> Mesh:
    """Cells half as long at apex and base as evenly; every node lies on its ellipse."""
    s, t = np.linspace(0, 1, 2 * along + 1), np.linspace(0, 1, 2 * through + 1)
    share = (s - 0.5 * np.sin(2 * np.pi * s) / (2 * np.pi))[:, None]
    short, long = HALF[0] + WALL * t, HALF[1] + WALL * t
    angle = share * (np.pi - np.arccos(BASE / long))
    place = np.stack([short * np.sin(angle), -long * np.cos(angle)], axis=-1)
    number = np.arange(len(s) * len(t)).reshape(len(s), len(t))
    corner = np.arange((along + 1) * (through + 1)).reshape(along + 1, through + 1)
    pairs = [(i, j) for i in range(along) for j in range(through)]
    cells = np.array([number[2 * i : 2 * i + 3, 2 * j : 2 * j + 3].ravel() for i, j in pairs])
    pressures = np.array([corner[i : i + 2, j : j + 2].ravel() for i, j in pairs])
    inner = np.array([number[2 * i : 2 * i + 3, 0] for i in range(along)])
    held = np.concatenate([2 * number[-1], 2 * number[-1] + 1, 2 * number[0]])
    return Mesh(place.reshape(-1, 2), cells, pressures, inner, held, (int(number[0, 0]), int(number[0, -1])))


def _energy(numbers: jax.Array, place: jax.Array) -> jax.Array:
    """∫ W̄ + p (J − 1) dV of one element: 18 displacements, 4 pressures."""
    moved, pressure = numbers[:18].reshape(9, 2), numbers[18:]
    map_ = jnp.einsum("dqa,ai->qid", SLOPE, place)
    slopes = jnp.einsum("dqa,qdi->qai", SLOPE, jnp.linalg.inv(map_))
    radius = SHAPE @ place[:, 0]
    flat, hoop = jnp.eye(2) + jnp.einsum("ai,qaj->qij", moved, slopes), 1.0 + SHAPE @ moved[:, 0] / radius
    volume = jnp.linalg.det(flat) * hoop
    strain = 0.5 * (volume[:, None, None] ** (-2 / 3) * jnp.einsum("qki,qkj->qij", flat, flat) - jnp.eye(2))
    around = 0.5 * (volume ** (-2 / 3) * hoop**2 - 1.0)
    shape = 0.5 * STIFFNESS * jnp.expm1(jnp.sum(strain**2, axis=(1, 2)) + around**2)
    density = shape + (BILINEAR @ pressure) * (volume - 1.0)
    return 2 * jnp.pi * jnp.sum(density * jnp.abs(jnp.linalg.det(map_)) * radius * AREA)


def _enclosed(moved: jax.Array, place: jax.Array) -> jax.Array:
    """π ∫ r² dz over one inner edge: the pressure works on it."""
    now = place + moved.reshape(3, 2)
    return jnp.pi * jnp.sum(WEIGHTS * (LINE @ now[:, 0]) ** 2 * (LINE_SLOPE @ now[:, 1]))


FORCE, TANGENT = jax.jit(jax.vmap(jax.grad(_energy))), jax.jit(jax.vmap(jax.hessian(_energy)))
PUSH, PUSH_TANGENT = jax.jit(jax.vmap(jax.grad(_enclosed))), jax.jit(jax.vmap(jax.hessian(_enclosed)))


def _sparse(numbers: NDArray, blocks: NDArray, size: int) -> csc_matrix:
    rows, columns = (np.broadcast_to(part, blocks.shape) for part in (numbers[:, :, None], numbers[:, None, :]))
    return coo_matrix((blocks.ravel(), (rows.ravel(), columns.ravel())), (size, size)).tocsc()


def apex_heights(along: int, through: int, first: float = 0.1) -> tuple[float, float]:
    """z [mm] of the apex, inside and outside, under full pressure; Newton's method, steps that fail are halved."""
    body = mesh(along, through)
    moves = 2 * len(body.place)
    own = np.concatenate([(2 * body.cells[:, :, None] + np.arange(2)).reshape(-1, 18), moves + body.pressures], axis=1)
    edge = (2 * body.inner[:, :, None] + np.arange(2)).reshape(-1, 6)
    size = moves + int(body.pressures.max()) + 1
    free = np.setdiff1d(np.arange(size), body.held)
    found, reached, step = np.zeros(size), 0.0, first
    while reached < 1.0:
        share = min(reached + step, 1.0)
        trial, good = found.copy(), False
        for _ in range(12):
            residual = np.zeros(size)
            np.add.at(residual, own, np.asarray(FORCE(trial[own], body.place[body.cells])))
            np.add.at(residual, edge, -share * PRESSURE * np.asarray(PUSH(trial[edge], body.place[body.inner])))
            left = np.linalg.norm(residual[free])
            good = bool(left < 1e-10)
            if good or not left < 1e4:
                break
            body_part = _sparse(own, np.asarray(TANGENT(trial[own], body.place[body.cells])), size)
            load_part = _sparse(edge, np.asarray(PUSH_TANGENT(trial[edge], body.place[body.inner])), size)
            matrix = (body_part - share * PRESSURE * load_part)[free][:, free]
            trial[free] += spsolve(matrix, -residual[free])
        step = 1.3 * step if good else 0.5 * step
        assert step > 1e-4, "no balance was found"
        if good:
            found, reached = trial, share
    inside, outside = (float(1e3 * (body.place[n, 1] + found[2 * n + 1])) for n in body.apex)
    return inside, outside
