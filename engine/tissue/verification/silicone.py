"""A measured body: a silicone cylinder, clamped at one end, that bends under its own weight.

The only unknown is E/ρ: it is fitted to the measured surface, and with that one number the surface and the end point,
which was measured apart and has no part in the fit, must be where they were seen.
"""

from __future__ import annotations

import os
from pathlib import Path

import equinox as eqx
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from ....imaging.progress import Progress
from ..fitting.fit import fit
from ..fitting.stiffness import RegionStiffness
from ..fitting.surface import SurfacePoints
from ..loads import Gravity
from ..materials import NeoHookean
from ..model import Model
from ..problem import Problem
from ..solution import State
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
RINGS, LAYERS = 3, 14
LENGTH_ALIKE = 0.029
"""m over which what E/ρ alone leaves of the surface goes together."""
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
    """Incompressible, with E/ρ as given [m²/s²]; all of its free surface is the set `skin`."""
    law = NeoHookean(stiffness * DENSITY / 3, float("inf"))
    simple = Model.from_mesh(rod(RINGS, LAYERS), {"*": law}, density=DENSITY, element="T10P1")
    body = curved(simple, round_rod(RADIUS, LENGTH))
    skin = np.concatenate([body.facets_of("rim"), body.facets_of("z1")])
    body = eqx.tree_at(lambda m: m.facet_sets, body, {**body.facet_sets, "skin": skin})
    return body.problem(loads=[Gravity((0.0, -GRAVITY, 0.0))], supports=[Fixed("z0")])


def end_point(posed: Problem, state: State) -> NDArray[np.float64]:
    """Where the middle of the free end is [m]."""
    place = (0.0, 0.0, LENGTH)
    return np.array(place) + displacement_at(posed.model, state, place)


def _compute(progress: Progress) -> Computed:
    """E/ρ from the surface alone, then surface and end point with it."""
    points = measured()
    seen = SurfacePoints("skin", points, correlation=LENGTH_ALIKE)
    found = fit(cylinder(GUESS), [RegionStiffness(("*",))], [seen], load_steps=8, tolerance=1e-6, progress=progress)
    away = surface_distance(found.problem, found.state, points)
    values = {
        "distance of the end point": 1e3 * float(np.linalg.norm(end_point(found.problem, found.state) - END)),
        "RMS distance of the surface": 1e3 * float(np.sqrt(np.mean(away**2))),
    }
    stiffness = GUESS * found.estimates[0].value
    return Computed(values, f"{describe(found.problem)}; E/ρ = {stiffness:.4g} m²/s²")


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
    facets = body.facets_of("skin")
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
        "measured surface of a bent silicone cylinder (SOFA, share/mesh; LGPL), E/ρ fitted to that surface alone",
        (
            Quantity("distance of the end point", 0.0, _LIMIT, "mm", "absolute"),
            Quantity("RMS distance of the surface", 0.0, _LIMIT, "mm", "absolute"),
        ),
        _compute,
        missing=missing,
    ),
)
