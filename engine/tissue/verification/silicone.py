"""A measured body: a silicone cylinder, clamped at one end, that bends under its own weight.

The only unknown is E/ρ: it is found from the height of the measured end point, and must then give the whole surface.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ....imaging.progress import Progress, part
from ..loads import Gravity
from ..materials import NeoHookean
from ..model import Model
from ..problem import Problem
from ..solution import State
from ..static import solve
from ..supports import Fixed
from .case import Case, Computed, Quantity
from .limits import model
from .meshes import curved, rod, round_rod
from .probes import describe, displacement_at

RADIUS, LENGTH, GRAVITY, DENSITY = 0.019, 0.178, 9.81, 1000.0
END = np.array([0.0, -0.119383, 0.126842])
"""Where the middle of the end was measured [m]."""
GUESS = 65.0
"""E/ρ [m²/s²] to begin with."""
RINGS, LAYERS, CORRECTIONS = 3, 14, 3
BENT = Path("meshes") / "silicone_cylinder_bent.obj"


def measured_file() -> Path:
    """The measured surface; in the folder that PREOP_SHARED_DATA names, or in `shared/data` beside the repository."""
    beside = Path(__file__).resolve().parents[3].parent / "shared" / "data"
    return Path(os.environ.get("PREOP_SHARED_DATA", beside)) / BENT


def missing() -> str:
    """Why the case cannot run here, "" where it can."""
    file = measured_file()
    return "" if file.is_file() else f"the measured surface is not here: {file} (set PREOP_SHARED_DATA)"


def measured() -> NDArray[np.float64]:
    """Points (N, 3) [m] of the measured surface that are not in the clamp's plane."""
    with measured_file().open(encoding="utf-8") as lines:
        points = np.array([[float(word) for word in line.split()[1:4]] for line in lines if line.startswith("v ")])
    return points[points[:, 2] > 1e-4]


def cylinder(stiffness: float) -> Problem:
    """Incompressible, with E/ρ as given [m²/s²]."""
    law = NeoHookean(stiffness * DENSITY / 3, float("inf"))
    simple = Model.from_mesh(rod(RINGS, LAYERS), {"*": law}, density=DENSITY, element="T10P1")
    body = curved(simple, round_rod(RADIUS, LENGTH))
    return body.problem(loads=[Gravity((0.0, -GRAVITY, 0.0))], supports=[Fixed("z0")])


def end_point(posed: Problem, state: State) -> NDArray[np.float64]:
    """Where the middle of the free end is [m]."""
    place = (0.0, 0.0, LENGTH)
    return np.array(place) + displacement_at(posed.model, state, place)


def _compute(progress: Progress) -> Computed:
    """Secant method for the height of the end; each solve begins from the one before."""
    posed = cylinder(GUESS)
    state = solve(posed, load_steps=8, tolerance=1e-6, progress=part(progress, 0.0, 0.4)).final
    stiffness, tried = GUESS, [(GUESS, _miss(posed, state))]
    for index in range(CORRECTIONS):
        stiffness = _next(tried)
        posed = cylinder(stiffness)
        piece = part(progress, 0.4 + 0.2 * index, 0.6 + 0.2 * index)
        state = solve(posed, start=state, tolerance=1e-6, progress=piece).final
        tried.append((stiffness, _miss(posed, state)))
    away = surface_distance(posed, state, measured())
    values = {
        "distance of the end point": 1e3 * float(np.linalg.norm(end_point(posed, state) - END)),
        "RMS distance of the surface": 1e3 * float(np.sqrt(np.mean(away**2))),
    }
    return Computed(values, f"{describe(posed)}; E/ρ = {stiffness:.4g} m²/s²")


def _miss(posed: Problem, state: State) -> float:
    """How much too high the end is [m]."""
    return float(end_point(posed, state)[1] - END[1])


def _next(tried: list[tuple[float, float]]) -> float:
    """The next E/ρ: the sag goes roughly with 1/E, later a secant."""
    now, miss = tried[-1]
    if len(tried) == 1:
        return now * (END[1] + miss) / END[1]
    before, older = tried[-2]
    return now - miss * (now - before) / (miss - older)


def surface_distance(posed: Problem, state: State, points: NDArray) -> NDArray[np.float64]:
    """Distance [m] of points (N, 3) from the deformed free surface, by its tangent planes at fine samples."""
    place, normal, spacing = _samples(posed, state)
    _, nearest = cKDTree(place).query(points)
    offset = points - place[nearest]
    across = np.einsum("ni,ni->n", offset, normal[nearest])
    along = np.linalg.norm(offset - across[:, None] * normal[nearest], axis=1)
    return np.hypot(across, np.maximum(along - spacing, 0.0))


def _samples(posed: Problem, state: State, count: int = 8) -> tuple[NDArray, NDArray, float]:
    """Points (S, 3) m and unit normals of the rim and the end, and how far apart the points may lie [m]."""
    body, facet = posed.model, posed.model.element.facet
    facets = np.concatenate([body.facets_of("rim"), body.facets_of("z1")])
    local = np.array([(i + 1 / 3, j + 1 / 3) for i in range(count) for j in range(count - i)]) / count
    moved = np.asarray(body.points)[facets] + np.asarray(state.displacement)[facets]
    place = np.einsum("qa,fai->fqi", facet.shape(local), moved).reshape(-1, 3)
    slopes = np.einsum("qad,fai->fqdi", facet.gradient(local), moved)
    normal = np.cross(slopes[:, :, 0], slopes[:, :, 1]).reshape(-1, 3)
    size = np.linalg.norm(normal, axis=1)
    return place, normal / size[:, None], float(np.sqrt(size.max()) / count)


_LIMIT = model(1.0, "the measurement: a coarse quadratic mesh of others came to 0.86 mm at the end, 0.72 mm RMS")

CASES = (
    Case(
        "silicone-cylinder",
        "measured surface of a bent silicone cylinder (SOFA, share/mesh; LGPL), E/ρ from the height of its end",
        (
            Quantity("distance of the end point", 0.0, _LIMIT, "mm", "absolute"),
            Quantity("RMS distance of the surface", 0.0, _LIMIT, "mm", "absolute"),
        ),
        _compute,
        missing=missing,
    ),
)
