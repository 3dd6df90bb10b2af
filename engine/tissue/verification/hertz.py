"""Hertz's contact: a ball on a rigid plane, and two balls of different meshes pressed together.

A quarter of a cap, eight contact radii wide and high, moves at its outer faces as Hertz's pressure on an elastic
half-space moves it, and as a whole towards the other body, by as much as it takes until the contact bears the force
(secant method). What is computed is that approach and the contact itself. The load is scaled down (radius by s,
approach by s², force by s³) until strains are those of the linear theory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from ....imaging.progress import Progress, part
from ....meshing.mesh import TetMesh
from ..contact import HalfSpace, RigidBody, RigidContact, TissueContact, contact_state
from ..contact.points import ContactPoints
from ..materials import NeoHookean
from ..model import Model
from ..prescribed import Prescribed
from ..problem import Problem
from ..solution import State
from ..static import solve
from ..supports import Fixed
from .case import Case, Computed, Quantity
from .limits import digits, model, order
from .meshes import curved, rod
from .probes import describe

YOUNG, POISSON, RADIUS = 1.40625e7, 0.25, 2.0
FORCE, CONTACT, APPROACH = 1e4, 0.1, 0.01
"""Of two equal balls: a³ = 3 F R*/4E*, δ = a²/R*, with R* = R/2, E* = E/2(1 − ν²). A ball on a rigid plane: δ/2."""
SCALE = 0.05
"""s: a/R = 0.25 %."""
WIDE = 8.0
"""Size of the cap over the contact radius."""
FINE, INNER = 1.5, 0.6
"""Elements are of one size out to 1.5 contact radii, with this share of the rings; beyond they grow."""


def graded(share: NDArray) -> NDArray[np.float64]:
    """0 … 1 to 0 … 8 contact radii: even, then growing with its square."""
    beyond = np.maximum(share - INNER, 0.0) / (1.0 - INNER)
    even = FINE / INNER * (1.0 - INNER)
    return FINE * np.minimum(share, INNER) / INNER + even * beyond + (WIDE - FINE - even) * beyond**2


def cap(simple: NDArray) -> NDArray[np.float64]:
    """From the quarter diamond times 0 … 1 to the cap above z = 0, in metres."""
    x, y, z = simple.T
    ring = x + y
    share = np.divide(y, ring, out=np.zeros_like(ring), where=ring > 0)
    along = np.where(share == 1, 0.0, np.cos(0.5 * np.pi * share))
    across = np.where(share == 0, 0.0, np.sin(0.5 * np.pi * share))
    unit = SCALE * CONTACT
    radius, height = unit * graded(ring), unit * graded(z)
    bulge = RADIUS - np.sqrt(RADIUS**2 - radius**2)
    return np.stack([radius * along, radius * across, height + bulge], axis=1)


def far_field(points: NDArray) -> NDArray[np.float64]:
    """Displacement [m] of an elastic half-space z > 0 under Hertz's pressure on its face (Boussinesq's, summed).

    Source: Johnson, *Contact Mechanics*, section 3.2: u_z = F (2(1 − ν) + z²/ρ²)/4πGρ,
    u_r = F r (z/ρ² − (1 − 2ν)/(ρ + z))/4πGρ.
    """
    shear, radius = YOUNG / (2 * (1 + POISSON)), SCALE * CONTACT
    nodes, weights = np.polynomial.legendre.leggauss(12)
    ring, share = 0.5 * (nodes + 1), 0.5 * weights * 3 * 0.5 * (nodes + 1)  # 2πr p dr / F = 3 t √(1 − t²) dt
    angles = 2 * np.pi * (np.arange(24) + 0.5) / 24
    total = np.zeros_like(points)
    for t, weight in zip(ring, share * np.sqrt(1 - ring**2), strict=True):
        for angle in angles:
            off = points - radius * t * np.array([np.cos(angle), np.sin(angle), 0.0])
            away = np.linalg.norm(off, axis=1)
            flat = off[:, 2] / away**2 - (1 - 2 * POISSON) / (away + off[:, 2])
            down = (2 * (1 - POISSON) + off[:, 2] ** 2 / away**2)[:, None] * np.array([0.0, 0.0, 1.0])
            load = weight / len(angles) * SCALE**3 * FORCE / (4 * np.pi * shear * away)
            total += load[:, None] * (flat[:, None] * off * np.array([1.0, 1.0, 0.0]) + down)
    return total


def quarter(rings: int, layers: int, element: str) -> Model:
    """The cap on the side z > 0 of the plane of contact."""
    law = NeoHookean.from_young(YOUNG, POISSON)
    mesh = rod(rings, layers, sectors=1)
    return curved(Model.from_mesh(mesh, {"*": law}, element=element), cap)


class Pressed(NamedTuple):
    """Bodies that wait to be pressed together, and how far each is from the other's side: 1 above, −1 below."""

    model: Model
    side: NDArray
    pose: Callable[[float], Problem]
    """The problem at an approach of each body to the plane of contact [m]."""


def ball_on_plane(rings: int, layers: int, element: str, **contact: Any) -> Pressed:
    """A ball on a rigid plane."""
    body = quarter(rings, layers, element)
    ground = RigidBody(HalfSpace((0.0, 0.0, 0.0), (0.0, 0.0, 1.0)), label="plane")
    return _pressed(body, ("",), RigidContact("z0", ground, **contact))


def _pressed(body: Model, names: tuple[str, ...], contact: Any) -> Pressed:
    """With outer faces `rim` and `z1` and planes of symmetry `x0` and `y0`, each after one of `names`."""
    points = np.asarray(body.points)
    side = np.where(points[:, 2:] < 0, -1.0, 1.0)
    stirred = far_field(points * np.concatenate([np.ones((len(points), 2)), side], axis=1))
    outer = [f"{name}{face}" for name in names for face in ("rim", "z1")]

    def pose(approach: float) -> Problem:
        moved = (stirred - np.array([0.0, 0.0, approach])) * np.concatenate([np.ones((len(side), 2)), side], axis=1)
        return body.problem(
            supports=[Fixed(f"{name}{axis}0", axis) for name in names for axis in "xy"],
            prescribed=[Prescribed(face, moved[np.asarray(body.nodes_of(face))].tolist()) for face in outer],
            contacts=[contact],
        )

    return Pressed(body, side[:, 0], pose)


def ball_on_ball(rings: int, layers: int, element: str, **contact: Any) -> Pressed:
    """Two balls, the lower one of a coarser mesh that does not match."""
    meshes = [rod(rings, layers, sectors=1), rod(max(rings - 2, 2), layers, sectors=1)]
    shift = 2.0  # simple coordinates of the lower ball lie two above the upper one's
    count = len(meshes[0].points)
    points = np.vstack([meshes[0].points, meshes[1].points + np.array([0.0, 0.0, 1e3 * shift])])
    cells = np.vstack([meshes[0].tetrahedra, meshes[1].tetrahedra[:, [0, 2, 1, 3]] + count])
    mirrored = points.copy()
    mirrored[count:, 2] = -meshes[1].points[:, 2] - 1e3
    named = {
        **{f"upper_{name}": facets for name, facets in meshes[0].facet_sets.items()},
        **{f"lower_{name}": facets[:, [0, 2, 1]] + count for name, facets in meshes[1].facet_sets.items()},
    }
    mesh = TetMesh(mirrored, cells, np.ones(len(cells), np.int32), {1: "body"}, facet_sets=named)

    def place(simple: NDArray) -> NDArray:
        lower = simple[:, 2] < -0.5
        flipped = np.where(lower[:, None], simple * np.array([1.0, 1.0, -1.0]) - np.array([0.0, 0.0, 1.0]), simple)
        found = cap(flipped)
        return np.where(lower[:, None], found * np.array([1.0, 1.0, -1.0]), found)

    body = curved(Model.from_mesh(mesh, {"*": NeoHookean.from_young(YOUNG, POISSON)}, element=element), place)
    return _pressed(body, ("upper_", "lower_"), TissueContact("upper_z0", "lower_z0", **contact))


def read(found: ContactPoints) -> dict[str, float]:
    """Force, contact radius and peak pressure as those of the unscaled problem.

    The radius is that of Hertz's pressure with the same mean of r²: ∫ p r² dA / ∫ p dA = 2a²/5.
    """
    load = (found.pressure * found.area).ravel()
    square = (np.asarray(found.position)[..., :2] ** 2).sum(axis=-1).ravel()
    radius = float(np.sqrt(2.5 * (load @ square) / load.sum()))
    middle = square < (0.5 * radius) ** 2
    peak = np.asarray(found.pressure).ravel()[middle] / np.sqrt(1 - square[middle] / radius**2)
    area = np.asarray(found.area).ravel()[middle]
    return {
        "force": 4.0 * float(load.sum()) / SCALE**3,
        "contact radius": radius / SCALE,
        "peak pressure": float(peak @ area / area.sum()) / SCALE,
    }


def approach(pressed: Pressed, state: State) -> float:
    """How far the two bodies have come together, as of the unscaled problem [m].

    Read off the displacement between a third and two thirds of the way to the outer faces, less that of the
    half-space there.
    """
    points, moved = np.asarray(pressed.model.points)[: pressed.model.nodes], np.asarray(state.displacement)
    side = pressed.side[: len(points)]
    upright = points * np.stack([np.ones_like(side), np.ones_like(side), side], axis=1)
    away = np.linalg.norm(points, axis=1) / (SCALE * CONTACT * WIDE)
    inside = np.flatnonzero((away > 1 / 3) & (away < 2 / 3))
    down = far_field(upright[inside])[:, 2] - side[inside] * moved[inside, 2]
    return 2.0 * float(down.mean()) / SCALE**2


def compute(pressed: Pressed, progress: Progress) -> Computed:
    """Solved in two steps at Hertz's approach, then from there until the force is met."""
    now, tried = 0.5 * SCALE**2 * APPROACH, []
    state: State | None = None
    for index in range(CORRECTIONS + 1):
        problem = pressed.pose(now)
        piece = part(progress, index / (CORRECTIONS + 1), (index + 1) / (CORRECTIONS + 1))
        solution = solve(problem, load_steps=1 if state else 2, start=state, tolerance=1e-8, progress=piece)
        solved, state = solution.require_converged().problems[-1], solution.final
        found = read(contact_state(solved, state, solved.contacts[0])[0])
        tried.append((now, found.pop("force")))
        if abs(tried[-1][1] / FORCE - 1) < MET:
            return Computed({"approach": approach(pressed, state), **found}, describe(problem))
        now = _next(tried)
    raise SolverError(f"the force is {tried[-1][1]:.6g} N where {FORCE:g} N are asked", where="Hertz's contact")


def _next(tried: list[tuple[float, float]]) -> float:
    """The next approach: F goes with δ^(3/2), later a secant."""
    now, force = tried[-1]
    if len(tried) == 1:
        return now * (FORCE / force) ** (2 / 3)
    before, other = tried[-2]
    return now + (FORCE - force) * (now - before) / (force - other)


RINGS, LAYERS = 15, 15
CORRECTIONS, MET = 4, 1e-5
"""Of the approach at most, and how well the force is met."""
ACROSS = RINGS * INNER / FINE
"""Elements over the contact radius, as many as in depth."""
PEAK = 1.5 * FORCE / (np.pi * CONTACT**2)
PENALTY = 5e11
"""Pa/m: of the default's size, which follows the elements' stiffness; here it is told, so that the limit can be."""


def _quantities(degree: int, bodies: int) -> tuple[Quantity, ...]:
    """Each is an integral: radius and peak are of the pressure's moments and of its mean over the inner half radius."""
    linear = model(2 * SCALE * CONTACT / RADIUS, "a/R of geometry and strain: Hertz's theory is of first order")
    sunk = PEAK * SCALE / PENALTY / (0.5 * bodies * SCALE**2 * APPROACH)
    sinks = model(sunk, "what the peak pressure over the penalty is of the approach")
    mesh = order(min(2 * degree, 3), ACROSS, "the contact radius; u ~ ρ^(3/2) at its edge, twice that for integrals")
    return (
        Quantity("approach", APPROACH, mesh + linear + sinks, "m"),
        Quantity("contact radius", CONTACT, mesh + linear + sinks, "m"),
        Quantity("peak pressure", PEAK, mesh + linear + sinks + digits(PEAK, 1.0), "Pa"),
    )


SOURCE = "Hertz (1882); Johnson, Contact Mechanics (1985), section 4.2: approach, radius and peak pressure at 10 kN"
CASES = tuple(
    Case(
        f"hertz-{name}-{element}",
        SOURCE,
        _quantities(degree, bodies),
        partial(
            lambda make, kind, progress: compute(make(RINGS, LAYERS, kind, penalty=PENALTY), progress), make, element
        ),
    )
    for name, make, bodies in (("plane", ball_on_plane, 1), ("ball", ball_on_ball, 2))
    for element, degree in (("T4", 1), ("T10", 2))
)
