"""Hertz's contact of two equal spheres: by symmetry, one sphere against the rigid plane between them.

The cap of the sphere near the contact is meshed; its far side moves as the source's half-space does far from a load
(Boussinesq), so that the approach and the force belong together.
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from ....imaging.progress import Progress
from ..contact import HalfSpace, RigidBody, RigidContact
from ..materials import LinearElastic
from ..model import Model
from ..prescribed import Prescribed
from ..problem import Problem
from ..static import solve
from ..supports import Fixed
from .case import Case, Computed, Quantity
from .limits import model, order
from .meshes import curved, rod, round_rod
from .probes import describe

RADIUS, YOUNG, POISSON, FORCE = 2.0, 1.40625e7, 0.25, 1e4
CONTACT, APPROACH = 0.1, 0.01
"""a = (3FR*/4E*)^(1/3) [m] and the approach a²/R* [m] of the centres, R* = R/2, E* = E/2(1 − ν²)."""
CAP, RINGS, LAYERS, STRETCH = 1.0, 10, 6, 4.0
"""Radius and height of the cap [m], its cells, and how fast they grow away from the contact: r ~ sinh(4 s)."""


def _grown(share: NDArray) -> NDArray:
    return np.sinh(STRETCH * share) / np.sinh(STRETCH)


def cap(simple: NDArray) -> NDArray:
    """The lower end of the sphere over the plane z = 0, which it touches at the origin; flat on top."""
    disc = round_rod(1.0, 1.0)(simple)
    ring = np.hypot(disc[:, 0], disc[:, 1])
    scale = np.divide(CAP * _grown(ring), ring, out=np.zeros_like(ring), where=ring > 0)
    x, y = scale * disc[:, 0], scale * disc[:, 1]
    floor = RADIUS - np.sqrt(RADIUS**2 - x**2 - y**2)
    return np.stack([x, y, floor + (CAP - floor) * _grown(disc[:, 2])], axis=1)


def far(points: Array) -> Array:
    """Half the approach downwards, and what a force F at the origin moves in a half-space (Boussinesq 1885) [m]."""
    x, y, z = points.T
    distance = jnp.sqrt(x**2 + y**2 + z**2)
    scale = FORCE * (1 + POISSON) / (2 * jnp.pi * YOUNG * distance)
    outward = scale * (z / distance**2 - (1 - 2 * POISSON) / (distance + z))
    up = scale * (2 * (1 - POISSON) + (z / distance) ** 2)
    return jnp.stack([outward * x, outward * y, up - 0.5 * APPROACH], axis=1)


def pressed() -> Problem:
    """A quarter of the cap between planes of symmetry."""
    law = LinearElastic.from_young(YOUNG, POISSON)
    body = curved(Model.from_mesh(rod(RINGS, LAYERS, 1), {"*": law}, element="T10"), cap)
    plane = RigidBody(HalfSpace((0.0, 0.0, 0.0), (0.0, 0.0, 1.0)), label="plane of symmetry")
    contact = RigidContact("z0", plane, penetration=1e-3 * APPROACH)
    return body.problem(
        supports=[Fixed("x0", "x"), Fixed("y0", "y")],
        prescribed=[Prescribed("z1", far), Prescribed("rim", far)],
        contacts=[contact],
    )


def _compute(progress: Progress) -> Computed:
    posed = pressed()
    solution = solve(posed, load_steps=2, tolerance=1e-6, progress=progress)
    state = solution.final
    # The contact with the multipliers that the solve found.
    (contact,) = solution.problems[-1].contacts
    found = contact.points(posed.model, np.asarray(state.displacement), 1.0)
    weight = (np.asarray(found.pressure) * np.asarray(found.area)).ravel()
    square = (np.asarray(found.position)[..., :2] ** 2).sum(axis=-1).ravel()
    values = {
        "force at an approach of 0.01": 4 * float(weight.sum()),
        "contact radius": float(np.sqrt(2.5 * (weight @ square) / weight.sum())),
    }
    return Computed(values, describe(posed))


_CELLS = float(np.arcsinh(CONTACT / CAP * np.sinh(STRETCH)) / STRETCH * RINGS)
_HALF_SPACE = FORCE * (1 + POISSON) * (3 - 2 * POISSON) / (2 * np.pi * YOUNG) / (2 * RADIUS) / (0.5 * APPROACH)
"""What Boussinesq's field moves at a distance r over the approach, times r/2R, by which the sphere is no half-space."""


def _limit(share: float):
    mesh = order(2, round(_CELLS, 1), "the contact radius; pressure falls to zero like a square root")
    gap = model(share * _HALF_SPACE, "the sphere is no half-space: F(1 + ν)(3 − 2ν)/(2πE · 2R) over half the approach")
    return mesh + gap + model((CONTACT / RADIUS) ** 2, "the sphere is no paraboloid: (a/R)²")


CASES = (
    Case(
        "hertz-spheres",
        "Hertz (1882); Johnson, Contact Mechanics, section 4.2: R = 2, E = 1.40625e7, ν = 0.25, F = 1e4",
        (
            Quantity("force at an approach of 0.01", FORCE, _limit(1.5), "N"),
            Quantity("contact radius", CONTACT, _limit(0.5), "m"),
        ),
        _compute,
    ),
)
