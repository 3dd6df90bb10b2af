"""Thin shells of linear theory: plates with closed forms, and the obstacle course of curved shells."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array
from numpy.typing import NDArray

from ....imaging.progress import Progress
from ..loads import BodyForce, NodalForces, Traction
from ..materials import NeoHookean, Sheet
from ..model import Model
from ..parts import Part
from ..problem import Problem
from ..supports import Fixed
from .case import Case, Computed, Quantity
from .limits import Limit, digits, order
from .probes import describe, linear_response
from .sheets import disc, rim, sheet

YOUNG, POISSON, THICK = 1e6, 0.3, 0.01
RIGIDITY = YOUNG * THICK**3 / (12 * (1 - POISSON**2))
"""Of the plates; they are one metre wide, or of radius one."""
RINGS = 8


class Posed(NamedTuple):
    """A problem, and where and which way its displacement is read."""

    problem: Problem
    node: int
    way: NDArray


def _shell(
    mesh: tuple[NDArray, NDArray, NDArray], sheet_: Sheet, clamped: NDArray | None, sets: dict[str, NDArray]
) -> Model:
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
    body = _shell(mesh, PLATE, None, {"rim": rim(mesh[2])})
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
    body = _shell(mesh, PLATE, mesh[2] if built_in else None, {"rim": mesh[2]})
    posed = body.problem(loads=[Traction("face", (0.0, 0.0, 64 * RIGIDITY))], supports=[Fixed("rim")])
    return Computed({"w at the middle": float(linear_response(posed)[0, 2])}, describe(posed))


def _roof(cells: int) -> Posed:
    """A quarter: from the crown to the free edge, from mid-length to the diaphragm."""

    def place(unit: NDArray) -> NDArray:
        angle = np.radians(40) * unit[:, 0]
        return np.stack([25 * np.sin(angle), 25 * np.cos(angle), 25 * unit[:, 1]], axis=1)

    mesh = sheet((cells, cells), place)
    crown, middle, end = (np.flatnonzero(mesh[2][:, axis] == value) for axis, value in ((0, 0), (1, 0), (1, 1)))
    body = _shell(
        mesh, Sheet(NeoHookean.from_young(4.32e8, 0.0), 0.25), np.union1d(crown, middle),
        {"crown": crown, "middle": middle, "end": end},
    )  # fmt: skip
    supports = [Fixed("crown", "x"), Fixed("middle", "z"), Fixed("end", "xy")]
    node = int(np.flatnonzero((mesh[2] == [1, 0]).all(axis=1))[0])
    posed = body.problem(loads=[Traction("face", (0.0, -90.0, 0.0))], supports=supports)
    return Posed(posed, node, np.array([0, -1, 0]))


def _cylinder(cells: int) -> Posed:
    """An eighth: from the load at the crown to the side, from mid-length to the diaphragm."""

    def place(unit: NDArray) -> NDArray:
        angle = 0.5 * np.pi * unit[:, 0]
        return np.stack([300 * np.sin(angle), 300 * np.cos(angle), 300 * unit[:, 1]], axis=1)

    mesh = sheet((cells, cells), place)
    picks = {"crown": (0, 0), "side": (0, 1), "middle": (1, 0), "end": (1, 1)}
    sets = {name: np.flatnonzero(mesh[2][:, axis] == value) for name, (axis, value) in picks.items()}
    sets["load"] = np.intersect1d(sets["crown"], sets["middle"])
    held = np.unique(np.concatenate([sets[name] for name in ("crown", "side", "middle")]))
    body = _shell(mesh, Sheet(NeoHookean.from_young(3e6, 0.3), 3.0), held, sets)
    supports = [Fixed("crown", "x"), Fixed("side", "y"), Fixed("middle", "z"), Fixed("end", "xy")]
    posed = body.problem(loads=[NodalForces("load", (0.0, -0.25, 0.0))], supports=supports)
    return Posed(posed, int(sets["load"][0]), np.array([0, -1, 0]))


def _hemisphere(cells: int) -> Posed:
    """A quarter, from the hole to the equator, pulled at one end of the equator and pushed at the other."""

    def place(unit: NDArray) -> NDArray:
        along, down = 0.5 * np.pi * unit[:, 0], np.radians(18 + 72 * unit[:, 1])
        return 10 * np.stack([np.sin(down) * np.cos(along), np.sin(down) * np.sin(along), np.cos(down)], axis=1)

    mesh = sheet((cells, cells), place)
    first, last, equator = (np.flatnonzero(mesh[2][:, axis] == value) for axis, value in ((0, 0), (0, 1), (1, 1)))
    sets = {"first": first, "last": last}
    sets |= {"pulled": np.intersect1d(first, equator), "pushed": np.intersect1d(last, equator)}
    body = _shell(mesh, Sheet(NeoHookean.from_young(6.825e7, 0.3), 0.04), np.union1d(first, last), sets)
    loads = [NodalForces("pulled", (1.0, 0.0, 0.0)), NodalForces("pushed", (0.0, -1.0, 0.0))]
    supports = [Fixed("first", "y"), Fixed("last", "x"), Fixed("pulled", "z")]
    return Posed(body.problem(loads=loads, supports=supports), int(sets["pulled"][0]), np.array([1, 0, 0]))


SHELLS = {"roof": _roof, "cylinder": _cylinder, "hemisphere": _hemisphere}
REFERENCES = {"roof": 0.3024, "cylinder": 1.8248e-5, "hemisphere": 0.0940}
CELLS = {"roof": (8, 16), "cylinder": (16, 32), "hemisphere": (16, 32)}
LAYER = {"roof": (25 * 0.25) ** 0.5, "cylinder": (300 * 3.0) ** 0.5, "hemisphere": (10 * 0.04) ** 0.5}
"""√(R t), over which a shell's edge effects and what a force stirs up die away."""
WIDE = {"roof": 25.0, "cylinder": 150 * np.pi, "hemisphere": 5 * np.pi}
"""Length of the longer side, which is cut into cells."""


def _curved(name: str, progress: Progress) -> Computed:
    found, posed = [], None
    for index, cells in enumerate(CELLS[name]):
        posed = SHELLS[name](cells)
        found.append(float(linear_response(posed.problem)[posed.node] @ posed.way))
        progress(0.2 + 0.6 * index, f"{cells} cells")
    assert posed is not None
    gaps = [abs(value - REFERENCES[name]) for value in found]
    values = {
        "extrapolated in h²": (4 * found[1] - found[0]) / 3,
        "order": float(np.log2(gaps[0] / gaps[1])) if gaps[1] else np.inf,
    }
    return Computed({key: values[key] for key in _NAMES[name]}, describe(posed.problem))


_NAMES = {
    "roof": ("extrapolated in h²",),
    "cylinder": ("extrapolated in h²", "order"),
    "hemisphere": ("extrapolated in h²", "order"),
}


def _slack(cells: int) -> Limit:
    return Limit(float(np.log2(1 + 1 / cells)), "log₂(1 + h/L): the next term of the error on the coarser mesh")


def _curved_case(name: str, text: str) -> Case:
    per_layer = LAYER[name] / (WIDE[name] / CELLS[name][1])
    power = 4 if name == "hemisphere" else 3
    what = {
        "roof": "√(Rt)", "cylinder": "√(Rt)",
        "hemisphere": "√(Rt); chords of a sphere that bends without stretching stretch by (h²/Rt)²",
    }[name]  # fmt: skip
    reference = REFERENCES[name]
    limit = order(power, per_layer, what) + digits(reference, 10.0 ** (np.floor(np.log10(reference)) - 3))
    quantities = [Quantity("extrapolated in h²", reference, limit, "m")]
    if "order" in _NAMES[name]:
        quantities.append(Quantity("order", 2.0, _slack(CELLS[name][0]), measure="at least"))
    return Case(f"shell-{name}", text, tuple(quantities), partial(_curved, name))


_MACNEAL = "MacNeal and Harder, Finite Elem Anal Des 1:3 (1985)"
_DISC = order(2, RINGS / 2, "half the radius, over which (1 − r²)² changes by its own size")
_WAVE = order(2, 16 / np.pi, "1/π, over which a sine changes by its own size")

CASES = (
    Case(
        "shell-plate-order",
        "Navier's square plate: w = sin πx sin πy under the load 4π⁴ D w, supported",
        (
            Quantity("order of w", 2.0, _slack(8), measure="at least"),
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
    _curved_case("roof", f"{_MACNEAL}: Scordelis and Lo's roof under its weight, at the middle of the free edge"),
    _curved_case("cylinder", f"{_MACNEAL}: cylinder between diaphragms, pinched by two forces"),
    _curved_case("hemisphere", f"{_MACNEAL}: hemisphere with a hole of 18°, pulled and pushed at its equator"),
)  # fmt: skip
