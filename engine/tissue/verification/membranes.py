"""Membranes blown up: a sphere and a tube of an incompressible neo-Hookean sheet."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ....imaging.progress import Progress
from ..loads import Pressure
from ..materials import NeoHookean, Sheet
from ..model import Model
from ..parts import Part
from ..static import solve
from ..supports import Fixed
from .case import Case, Computed, Quantity
from .limits import order
from .probes import describe
from .sheets import sheet

LAW, THICK, RADIUS, STRETCH = NeoHookean.from_young(3e5, 0.45), 1e-3, 0.1, 1.2
"""The sheet keeps its volume, so that only μ counts; below the largest pressure, which a sphere bears at 7^(1/6)."""
CELLS = 6
"""Over a right angle."""
TENSION = float(LAW.shear_modulus) * THICK / RADIUS


def octant(cells: int) -> tuple[NDArray, NDArray, dict[str, NDArray]]:
    """An eighth of a sphere as three warped squares about its middle: points, triangles, nodes of its three sides."""
    middle = np.ones(3) / np.sqrt(3)
    points, triangles, count = [], [], 0
    for axis in range(3):
        corner, left, right = np.eye(3)[axis], np.eye(3)[(axis + 1) % 3], np.eye(3)[(axis + 2) % 3]
        halves = [(corner + side) / np.sqrt(2) for side in (left, right)]

        def place(unit: NDArray, corner: NDArray = corner, halves: list[NDArray] = halves) -> NDArray:
            u, v = unit[:, :1], unit[:, 1:]
            flat = (1 - u) * ((1 - v) * corner + v * halves[1]) + u * ((1 - v) * halves[0] + v * middle)
            return RADIUS * flat / np.linalg.norm(flat, axis=1)[:, None]

        own, connected, _ = sheet((cells, cells), place)
        points.append(own)
        triangles.append(connected + count)
        count += len(own)
    every = np.round(np.concatenate(points) / RADIUS, 9) + 0.0
    _, first, back = np.unique(every, axis=0, return_index=True, return_inverse=True)
    merged = np.concatenate(points)[first]
    sides = {f"{name}0": np.flatnonzero(np.abs(merged[:, i]) < 1e-9) for i, name in enumerate("xyz")}
    return merged, back.reshape(-1)[np.concatenate(triangles)], sides


def _sphere(progress: Progress) -> Computed:
    points, triangles, sides = octant(CELLS // 2)
    pressure = 2 * TENSION * (1 / STRETCH - STRETCH**-7)
    supports = [Fixed("x0", "x"), Fixed("y0", "y"), Fixed("z0", "z")]
    return _blown(points, triangles, sides, pressure, supports, 3, progress)


def _tube(progress: Progress) -> Computed:
    def place(unit: NDArray) -> NDArray:
        angle = 0.5 * np.pi * unit[:, 0]
        return np.stack([RADIUS * np.cos(angle), RADIUS * np.sin(angle), 0.02 * unit[:, 1]], axis=1)

    points, triangles, unit = sheet((CELLS, 1), place)
    sets = {"x0": np.flatnonzero(unit[:, 0] == 1), "y0": np.flatnonzero(unit[:, 0] == 0), "all": np.arange(len(unit))}
    supports = [Fixed("all", "z"), Fixed("x0", "x"), Fixed("y0", "y")]
    return _blown(points, triangles, sets, TENSION * (1 - STRETCH**-4), supports, 2, progress)


def _blown(
    points: NDArray, triangles: NDArray, sets: dict[str, NDArray], pressure: float, supports: list[Fixed],
    axes: int, progress: Progress,
) -> Computed:  # fmt: skip
    """Under a pressure from inside: the mean stretch of its nodes."""
    first, second = (points[triangles[:, k]] - points[triangles[:, 0]] for k in (1, 2))
    turned = np.cross(first, second)
    outward = np.sign((turned * points[triangles[:, 0]]).sum(axis=1))
    skin = Part("M6", triangles, Sheet(LAW, THICK, incompressible=True))
    body = Model.from_parts(points, [skin], node_sets=sets, facet_sets={"wall": triangles})
    load = Pressure("wall", -pressure * float(outward[0]), symmetric=True)
    posed = body.problem(loads=[load], supports=supports)
    state = solve(posed, load_steps=4, progress=progress).final
    reached = np.linalg.norm((points + np.asarray(state.displacement))[:, :axes], axis=1) / RADIUS
    return Computed({"stretch": float(reached.mean())}, describe(posed))


_LIMIT = order(3, CELLS, "a right angle")

CASES = (
    Case(
        "membrane-sphere",
        "neo-Hookean balloon: p = 2 μ h/R (1/λ − 1/λ⁷)",
        (Quantity("stretch", STRETCH, _LIMIT),),
        _sphere,
        quick=True,
    ),
    Case(
        "membrane-tube",
        "neo-Hookean tube of fixed length: p = μ h/R (1 − 1/λ⁴)",
        (Quantity("stretch", STRETCH, _LIMIT),),
        _tube,
        quick=True,
    ),
)
