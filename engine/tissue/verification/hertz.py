"""Hertz's contact: a ball on a rigid plane, and two balls of different meshes pressed together.

A quarter of a cap, eight contact radii wide and high, moves as Hertz's pressure on an elastic half-space moves it
at its outer faces, and as a whole by the approach; what is computed is the contact itself. The load is scaled
down (radius by s, approach by s², force by s³) until strains are those of the linear theory.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....imaging.progress import Progress
from ....meshing.mesh import TetMesh
from ..contact import HalfSpace, RigidBody, RigidContact, TissueContact, contact_state
from ..contact.points import ContactPoints
from ..materials import NeoHookean
from ..model import Model
from ..prescribed import Prescribed
from ..problem import Problem
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
    for t, part in zip(ring, share * np.sqrt(1 - ring**2), strict=True):
        for angle in angles:
            off = points - radius * t * np.array([np.cos(angle), np.sin(angle), 0.0])
            away = np.linalg.norm(off, axis=1)
            flat = off[:, 2] / away**2 - (1 - 2 * POISSON) / (away + off[:, 2])
            down = (2 * (1 - POISSON) + off[:, 2] ** 2 / away**2)[:, None] * np.array([0.0, 0.0, 1.0])
            load = part / len(angles) * SCALE**3 * FORCE / (4 * np.pi * shear * away)
            total += load[:, None] * (flat[:, None] * off * np.array([1.0, 1.0, 0.0]) + down)
    return total


def quarter(rings: int, layers: int, element: str) -> Model:
    """The cap on the side z > 0 of the plane of contact."""
    law = NeoHookean.from_young(YOUNG, POISSON)
    mesh = rod(rings, layers, sectors=1)
    return curved(Model.from_mesh(mesh, {"*": law}, element=element), cap)


def ball_on_plane(rings: int, layers: int, element: str, **contact: Any) -> Problem:
    """A ball on a rigid plane."""
    body = quarter(rings, layers, element)

    def outer(at: Any) -> Any:
        return far_field(np.asarray(at)) - np.array([0.0, 0.0, 0.5 * SCALE**2 * APPROACH])

    ground = RigidBody(HalfSpace((0.0, 0.0, 0.0), (0.0, 0.0, 1.0)), label="plane")
    return body.problem(
        supports=[Fixed("x0", "x"), Fixed("y0", "y")],
        prescribed=[*(Prescribed(side, outer, components=held) for side, held in (("rim", "xyz"), ("z1", "xyz")))],
        contacts=[RigidContact("z0", ground, **contact)],
    )


def ball_on_ball(rings: int, layers: int, element: str, **contact: Any) -> Problem:
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

    def outer(at: Any) -> Any:
        side = np.where(np.asarray(at)[:, 2:] < 0, -1.0, 1.0)
        up = far_field(np.abs(np.asarray(at)) * np.array([1.0, 1.0, 1.0]))
        up = up - np.array([0.0, 0.0, 0.5 * SCALE**2 * APPROACH])
        return up * np.concatenate([np.ones_like(side), np.ones_like(side), side], axis=1)

    body = curved(Model.from_mesh(mesh, {"*": NeoHookean.from_young(YOUNG, POISSON)}, element=element), place)
    sides = ("upper_", "lower_")
    return body.problem(
        supports=[Fixed(f"{side}{axis}0", axis) for side in sides for axis in "xy"],
        prescribed=[Prescribed(f"{side}{name}", outer) for side in sides for name in ("rim", "z1")],
        contacts=[TissueContact("upper_z0", "lower_z0", **contact)],
    )


def read(found: ContactPoints) -> dict[str, float]:
    """Force, contact radius and peak pressure as those of the unscaled problem.

    The bodies approach by δ = 0.01 m, which the far field is told; that at another force follows from δ ~ F^(2/3).
    The radius is that of Hertz's pressure with the same mean of r²: ∫ p r² dA / ∫ p dA = 2a²/5.
    """
    load = (found.pressure * found.area).ravel()
    square = (np.asarray(found.position)[..., :2] ** 2).sum(axis=-1).ravel()
    radius = float(np.sqrt(2.5 * (load @ square) / load.sum()))
    middle = square < (0.5 * radius) ** 2
    peak = np.asarray(found.pressure).ravel()[middle] / np.sqrt(1 - square[middle] / radius**2)
    area = np.asarray(found.area).ravel()[middle]
    force = 4.0 * float(load.sum()) / SCALE**3
    return {
        "force": force,
        "approach at 10 kN": APPROACH * (FORCE / force) ** (2 / 3),
        "contact radius": radius / SCALE,
        "peak pressure": float(peak @ area / area.sum()) / SCALE,
    }


def compute(problem: Problem, progress: Progress) -> Computed:
    """Solved in two steps."""
    solution = solve(problem, load_steps=2, tolerance=1e-8, progress=progress)
    solved = solution.require_converged().problems[-1]
    return Computed(read(contact_state(solved, solution.final, solved.contacts[0])[0]), describe(problem))


RINGS, LAYERS = 15, 10
PEAK = 1.5 * FORCE / (np.pi * CONTACT**2)


def _quantities(power: float) -> tuple[Quantity, ...]:
    cells = RINGS * INNER / FINE
    linear = model(2 * SCALE * CONTACT / RADIUS, "a/R of geometry and strain: Hertz's theory is of first order")
    mesh = order(power, cells, "the contact radius, at whose edge the slope of the pressure is infinite")
    sinks = model(0.01, "penetration of the penalty over the approach")
    return (
        Quantity("force", FORCE, mesh + linear + sinks, "N"),
        Quantity("approach at 10 kN", APPROACH, mesh + linear + sinks, "m"),
        Quantity("contact radius", CONTACT, mesh + linear + sinks, "m"),
        Quantity("peak pressure", PEAK, mesh + linear + sinks + digits(PEAK, 1.0), "Pa"),
    )


SOURCE = "Hertz (1882); Johnson, Contact Mechanics (1985), section 4.2"
CASES = tuple(
    Case(
        f"hertz-{name}-{element}",
        SOURCE,
        _quantities(power),
        partial(lambda make, kind, progress: compute(make(RINGS, LAYERS, kind), progress), make, element),
    )
    for name, make in (("plane", ball_on_plane), ("ball", ball_on_ball))
    for element, power in (("T4", 1.5), ("T10", 1.5))
)
