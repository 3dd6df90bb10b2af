"""Thin plates of linear theory, of the shell element, with closed forms."""

from __future__ import annotations

from functools import partial

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from ....imaging.progress import Progress
from ..loads import BodyForce, Traction
from ..materials import NeoHookean, Sheet
from ..model import Model
from ..parts import Part
from ..problem import Problem
from ..supports import Fixed
from .case import Case, Computed, Quantity
from .limits import Limit, order
from .probes import describe, linear_response
from .sheets import disc, rim, sheet

YOUNG, POISSON, THICK = 1e6, 0.3, 0.01
RIGIDITY = YOUNG * THICK**3 / (12 * (1 - POISSON**2))
"""Of the plates; they are one metre wide, or of radius one."""
RINGS = 8


def thin_shell(
    mesh: tuple[NDArray, NDArray, NDArray], sheet_: Sheet, clamped: NDArray | None, sets: dict[str, NDArray]
) -> Model:
    """A mesh of `sheets` as a model, its facets the set `face`; `clamped` nodes hold the slope of the rim."""
    points, triangles, _ = mesh
    whole = Part("K6", triangles, sheet_, clamped=clamped)
    return Model.from_parts(points, [whole], node_sets=sets, facet_sets={"face": triangles})


PLATE = Sheet(NeoHookean.from_young(YOUNG, POISSON), THICK)


def wave(places: Array) -> Array:
    """sin πx sin πy."""
    return jnp.sin(jnp.pi * places[..., 0]) * jnp.sin(jnp.pi * places[..., 1])


def _plate_error(cells: int) -> tuple[float, Problem]:
    """Relative error, in the mean square of all nodes, of w = sin πx sin πy under its load 4π⁴ D w."""
    mesh = sheet((cells, cells))
    body = thin_shell(mesh, PLATE, None, {"rim": rim(mesh[2])})
    load = 4 * np.pi**4 * RIGIDITY / THICK
    posed = body.problem(
        loads=[BodyForce(lambda x: load * wave(x) * jnp.array([0.0, 0.0, 1.0]))], supports=[Fixed("rim")]
    )
    exact = np.asarray(wave(jnp.asarray(mesh[0])))
    miss = linear_response(posed)[:, 2] - exact
    return float(np.sqrt(np.mean(miss**2) / np.mean(exact**2))), posed


def _plate(progress: Progress) -> Computed:
    coarse, _ = _plate_error(8)
    progress(0.4, "8 cells")
    fine, posed = _plate_error(16)
    return Computed({"order of w": float(np.log2(coarse / fine)), "error of w": fine}, describe(posed))


def _disc(built_in: bool, _: Progress) -> Computed:
    mesh = disc(RINGS)
    body = thin_shell(mesh, PLATE, mesh[2] if built_in else None, {"rim": mesh[2]})
    posed = body.problem(loads=[Traction("face", (0.0, 0.0, 64 * RIGIDITY))], supports=[Fixed("rim")])
    return Computed({"w at the middle": float(linear_response(posed)[0, 2])}, describe(posed))


def slack(cells: int) -> Limit:
    """Of an observed order, `cells` elements over L on the coarsest mesh."""
    return Limit(float(np.log2(1 + 1 / cells)), "log₂(1 + h/L): the next term of the error on the coarser mesh")


_DISC = order(2, RINGS / 2, "half the radius, over which (1 − r²)² changes by its own size")
_WAVE = order(2, 16 / np.pi, "1/π, over which a sine changes by its own size")

CASES = (
    Case(
        "shell-plate-order",
        "Navier's square plate: w = sin πx sin πy under the load 4π⁴ D w, supported",
        (
            Quantity("order of w", 2.0, slack(8), measure="at least"),
            Quantity("error of w", 0.0, _WAVE, measure="absolute"),
        ),
        _plate,
        quick=True,
    ),
    *(
        Case(
            f"shell-disc-{manner}",
            f"Kirchhoff's circular plate under an even load q = 64 D/R⁴: w = {form} R at the middle",
            (Quantity("w at the middle", value, _DISC, "m"),),
            partial(_disc, manner == "clamped"),
            quick=True,
        )
        for manner, form, value in (
            ("clamped", "1", 1.0), ("supported", "(5 + ν)/(1 + ν)", (5 + POISSON) / (1 + POISSON)),
        )
    ),
)  # fmt: skip
