"""Torsion of an incompressible neo-Hookean rod: a moment, and the normal force that keeps its length (Poynting)."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from ....imaging.progress import Progress
from .. import fields
from ..materials import NeoHookean
from ..model import Model
from ..prescribed import Prescribed
from ..static import solve
from ..supports import Fixed
from .case import Case, Computed, Quantity
from .limits import order
from .meshes import curved, rod, round_rod
from .probes import describe

RADIUS, LENGTH, SHEAR, TWIST = 1.0, 1.0, 1e4, 0.5
"""m, m, Pa, rad/m."""
RINGS, LAYERS = 5, 4
"""Measured: M errs by 1.6, 0.23, 0.057 and 0.021 % with 1, 2, 4 and 8 layers: they count, not only the rings."""


def turned(points: Array) -> Array:
    """Displacement [m] of the turned end section: in pure torsion no radius changes."""
    angle = TWIST * LENGTH
    x, y = points[:, 0], points[:, 1]
    cosine, sine = jnp.cos(angle) - 1.0, jnp.sin(angle)
    return jnp.stack([cosine * x - sine * y, sine * x + cosine * y, 0.0 * x], axis=1)


def _compute(progress: Progress) -> Computed:
    law = NeoHookean(SHEAR, float("inf"))
    body = curved(Model.from_mesh(rod(RINGS, LAYERS), {"*": law}, element="T10P1"), round_rod(RADIUS, LENGTH))
    posed = body.problem(supports=[Fixed("z0")], prescribed=[Prescribed("z1", turned)])
    state = solve(posed, load_steps=2, tolerance=1e-7, progress=progress).final
    place = np.asarray(body.points) + np.asarray(state.displacement)
    force = fields.reaction_forces(posed, state)[: body.nodes]
    top = body.nodes_of("z1")
    moment = (place[:, 0] * force[:, 1] - place[:, 1] * force[:, 0])[top].sum()
    return Computed({"M": float(moment), "N": pull(place, force)}, describe(posed))


def pull(place: NDArray, force: NDArray) -> float:
    """N from the virtual work of a stretch that keeps the volume, (−x/2, −y/2, z)/L.

    In torsion the end sections carry no radial traction. The sum of the axial forces alone would be the work of a
    stretch whose ends keep their radius: singular at the rim, and so a poorer functional of the same solution.
    """
    work = force[:, 2] * place[:, 2] - 0.5 * (force[:, 0] * place[:, 0] + force[:, 1] * place[:, 1])
    return float(work.sum()) / LENGTH


_MESH = (
    order(4, RINGS, "the radius")
    + order(4, 2 * RINGS / np.pi, "a radian of the rim")
    + order(4, LAYERS / (TWIST * LENGTH), "a radian of the twist")
)
CASES = (
    Case(
        "torsion",
        "M = πμψR⁴/2, N = −πμψ²R⁴/4 (Rivlin 1949)",
        (
            Quantity("M", np.pi * SHEAR * TWIST * RADIUS**4 / 2, _MESH, "N m"),
            Quantity("N", -np.pi * SHEAR * TWIST**2 * RADIUS**4 / 4, _MESH, "N"),
        ),
        _compute,
        quick=True,
    ),
)
