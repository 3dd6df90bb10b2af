"""The obstacle course of curved shells, linear: Scordelis and Lo's roof, a pinched cylinder, a pinched hemisphere.

Three meshes of one family, the element of second order. Asked are that order; that the finest mesh is off by no more
than the h² of the two coarser foretells (Roache); and that h² extrapolated comes to the deflection of the thin shell.
That is not quite the obstacle course's: its values are of 1969 to 1985, of other shell theories, truncated series and
rounded. Kirchhoff and Love's own are of series (`tests/engine/shell_series.py`), the published ones beside them.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ....imaging.progress import Progress
from ..loads import NodalForces, Traction
from ..materials import NeoHookean, Sheet
from ..problem import Problem
from ..supports import Fixed
from .case import Case, Computed, Quantity
from .limits import Limit, digits, model, order
from .probes import describe, linear_response
from .sheets import sheet
from .shells import slack, thin_shell


class Posed(NamedTuple):
    """A problem, and where and which way its displacement is read."""

    problem: Problem
    node: int
    way: NDArray


def _roof(cells: int) -> Posed:
    """A quarter: from the crown to the free edge, from mid-length to the diaphragm."""

    def place(unit: NDArray) -> NDArray:
        angle = np.radians(40) * unit[:, 0]
        return np.stack([25 * np.sin(angle), 25 * np.cos(angle), 25 * unit[:, 1]], axis=1)

    mesh = sheet((cells, cells), place)
    crown, middle, end = (np.flatnonzero(mesh[2][:, axis] == value) for axis, value in ((0, 0), (1, 0), (1, 1)))
    body = thin_shell(
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
    body = thin_shell(mesh, Sheet(NeoHookean.from_young(3e6, 0.3), 3.0), held, sets)
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
    body = thin_shell(mesh, Sheet(NeoHookean.from_young(6.825e7, 0.3), 0.04), np.union1d(first, last), sets)
    loads = [NodalForces("pulled", (1.0, 0.0, 0.0)), NodalForces("pushed", (0.0, -1.0, 0.0))]
    supports = [Fixed("first", "y"), Fixed("last", "x"), Fixed("pulled", "z")]
    return Posed(body.problem(loads=loads, supports=supports), int(sets["pulled"][0]), np.array([1, 0, 0]))


SHELLS = {"roof": _roof, "cylinder": _cylinder, "hemisphere": _hemisphere}
PUBLISHED = {"roof": 0.3024, "cylinder": 1.8248e-5, "hemisphere": 0.0940}
THIN = {"roof": 0.30061, "cylinder": 1.8271e-5, "hemisphere": 0.09352}
"""Deflections [m] of Kirchhoff and Love's shell, by series."""
CELLS = (16, 32, 64)
LAYER = {"roof": (25 * 0.25) ** 0.5, "cylinder": (300 * 3.0) ** 0.5, "hemisphere": (10 * 0.04) ** 0.5}
"""√(R t), over which a shell's edge effects and what a force stirs up die away."""
WIDE = {"roof": 25.0, "cylinder": 150 * np.pi, "hemisphere": 5 * np.pi}
"""Length of the longer side, which is cut into cells."""
NEXT = {"roof": 3, "cylinder": 3, "hemisphere": 4}
"""Power of h that follows h²; chords of a sphere that bends without stretching stretch by (h²/Rt)²."""
_THIN, _SOURCE, _ORDER = "extrapolated in h², thin shell", "extrapolated in h²", "order of three meshes"
_FORETOLD = "error of the finest over that foretold"


def _curved(name: str, progress: Progress) -> Computed:
    found, text = [], ""
    for index, cells in enumerate(CELLS):
        posed = SHELLS[name](cells)
        found.append(float(linear_response(posed.problem)[posed.node] @ posed.way))
        text = describe(posed.problem)
        progress((0.1, 0.3, 0.9)[index], f"{cells} cells")
    coarse, middle, fine = found
    limit = (4 * fine - middle) / 3
    return Computed({
        _ORDER: float(np.log2(abs(middle - coarse) / abs(fine - middle))),
        _FORETOLD: abs(fine - THIN[name]) / (abs(middle - coarse) / (2**2 - 1) / 2**2),
        _THIN: limit, _SOURCE: limit,
    }, text)  # fmt: skip


def _last(value: float) -> float:
    """One unit of the fourth digit."""
    return 10.0 ** (np.floor(np.log10(value)) - 3)


def _extrapolated(name: str) -> Limit:
    per_layer = LAYER[name] / (WIDE[name] / CELLS[-1])
    what = "√(Rt): the term after h²" + ("; chords of a sphere stretch by (h²/Rt)²" if NEXT[name] == 4 else "")
    return order(NEXT[name], per_layer, what)


def _case(name: str, text: str) -> Case:
    published, thin = PUBLISHED[name], THIN[name]
    other = model(abs(thin / published - 1), f"the source's theory and digits: Kirchhoff and Love's shell has {thin:g}")
    foretold = model(0.25, "Roache's safety of 1.25 on |x₂ − x₁|/(2² − 1)/2² of the two coarser meshes")
    quantities = (
        Quantity(_ORDER, 2.0, slack(CELLS[0]), measure="at least"),
        Quantity(_FORETOLD, 1.0, foretold, measure="at most"),
        Quantity(_THIN, thin, _extrapolated(name) + digits(thin, _last(thin)), "m"),
        Quantity(_SOURCE, published, _extrapolated(name) + other, "m"),
    )
    return Case(f"shell-{name}", f"{_MACNEAL}: {text}; thin shell: own series", quantities, partial(_curved, name))


_MACNEAL = "MacNeal and Harder, Finite Elem Anal Des 1:3 (1985)"

CASES = (
    _case("roof", "Scordelis and Lo's roof under its weight, at the middle of the free edge"),
    _case("cylinder", "cylinder between diaphragms, pinched by two forces"),
    _case("hemisphere", "hemisphere with a hole of 18°, pulled and pushed at its equator"),
)
