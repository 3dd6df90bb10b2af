"""Cook's membrane in five variants: bending and shear of a tapered sheet, linear and finite, to incompressibility."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ....imaging.progress import Progress
from ..loads import Traction
from ..materials import DecoupledNeoHookean, Material, NeoHookean
from ..model import Model
from ..static import solve
from ..supports import Fixed
from .case import Case, Computed, Quantity
from .limits import Limit, digits, model, order
from .meshes import box, curved
from .probes import describe, displacement_at

CELLS = 16
"""Measured with 8, 12 and 16: the loaded corner of `corner` errs by 0.91, 0.25 and 0.09 %, its limit falls by less.
That of `near-incompressible` comes to 6.875, 6.912 and 6.923; its source has 128 × 128 elements on an even mesh."""
WIDEST = CELLS / (0.5 * np.pi)
"""The sheet over its longest cell; the first cell at an edge is the square of that share of it."""


@dataclass(frozen=True)
class Variant:
    """One membrane.

    Attributes:
        force: on the right edge, per unit of thickness.
        share: of the force that is applied; less than one where the source is linear.
        corner: whether the upper right corner is looked at, and not the middle of the right edge.
        singular: exponent of the displacement at the upper clamped corner, of 108.4° (Williams 1952, clamped–free).
        last: last digit of the source.
        sheet: free faces (plane stress) in place of held ones (plane strain).
    """

    name: str
    source: str
    law: Material
    force: float
    element: str
    deflection: float
    last: float
    singular: float
    corner: bool = False
    share: float = 1.0
    sheet: bool = False
    steps: int = 1

    @property
    def thickness(self) -> float:
        """[m]; a sheet is thin against the smallest length of its plane, 16 m."""
        return 0.5 if self.sheet else 3.0


def place(unit: NDArray, thickness: float) -> NDArray:
    """The tapered sheet 48 × 44/16, its cells shrinking like the square root of the distance to all four edges."""
    along, up = (np.sin(0.5 * np.pi * unit[:, axis]) ** 2 for axis in (0, 1))
    return np.stack([48 * along, 44 * along + (44 - 28 * along) * up, thickness * unit[:, 2]], axis=1)


def _compute(variant: Variant, progress: Progress) -> Computed:
    simple = Model.from_mesh(box((CELLS, CELLS, 1)), {"*": variant.law}, element=variant.element)
    body = curved(simple, lambda unit: place(unit, variant.thickness))
    held = [Fixed("x0"), Fixed("z0", "z"), Fixed("z1", "z")]
    # Of a sheet one face is a symmetry plane, the clamped edge may grow thinner.
    held = [Fixed("x0", "xy"), Fixed("z0", "z")] if variant.sheet else held
    pull = Traction("x1", (0.0, variant.share * variant.force / 16.0, 0.0))
    posed = body.problem(loads=[pull], supports=held)
    state = solve(posed, load_steps=variant.steps, progress=progress).final
    where = (48.0, 60.0 if variant.corner else 52.0, 0.0)
    moved = displacement_at(body, state, where)[1] / variant.share
    return Computed({_name(variant): float(moved)}, describe(posed))


def _name(variant: Variant) -> str:
    return f"v at (48, {60 if variant.corner else 52})"


def _limit(variant: Variant) -> Limit:
    smooth = order(3, round(WIDEST, 1), "the sheet")
    corner = order(2 * variant.singular, round(WIDEST**2, 0), f"the clamped corner, r^{variant.singular:g}")
    limit = smooth + corner + digits(variant.deflection, variant.last)
    if variant.corner:
        limit = limit + order(1, round(WIDEST**2, 0), "the loaded corner, where the traction ends: r ln r")
    if variant.share < 1:
        limit = limit + model(10 * variant.share, "geometry is not linear: 10 × the share of the load")
    if variant.sheet:
        limit = limit + model((2 * variant.thickness / 16) ** 2, "a sheet of finite thickness: (thickness/16)²")
    return limit


def _lame(lame: float, shear: float) -> NeoHookean:
    return NeoHookean(shear, lame)


VARIANTS = (
    Variant(
        "plane-stress",
        "FinEALE (Krysl): linear plane stress, E = 1, ν = 1/3, F = 1",
        NeoHookean.from_young(1e3, 1 / 3), 1e3, "T10", 23.97, 0.01, 0.677, share=1e-5, sheet=True,
    ),
    Variant(
        "plane-strain",
        "FinEALE (Krysl), T6 with Richardson's extrapolation: linear plane strain, λ = 0.75e7, G = 0.375, F = 1",
        _lame(0.75e10, 0.375e3), 1e3, "T10P1", 16.43258, 0.00001, 0.544, share=1e-5,
    ),
    Variant(
        "decoupled",
        "deal.II code gallery, quasi-static finite-strain compressible elasticity: μ = 0.4225 MPa, ν = 0.3, F = 1 N, "
        "decoupled neo-Hookean",
        DecoupledNeoHookean.from_young(2.6 * 0.4225e3, 0.3), 1e3, "T10", 14.74, 0.01, 0.644,
    ),
    Variant(
        "corner",
        "Elmer test (6.1468); Müller, thesis, Duisburg-Essen 2015 (6.1469): neo-Hookean, E = 200, ν = 0.35, traction 4",
        NeoHookean.from_young(200.0, 0.35), 64.0, "T10", 6.1468, 0.0001, 0.615, corner=True,
    ),
    Variant(
        "near-incompressible",
        "Elguedj et al., Comput. Methods Appl. Mech. Eng. 197:2732 (2008), as quoted by FinEALE for 128² elements: "
        "E = 240.565, ν = 0.4999, F = 100",
        NeoHookean.from_young(240.565, 0.4999), 100.0, "T10P1", 6.9083, 0.0001, 0.544, corner=True,
    ),
)  # fmt: skip

CASES = tuple(
    Case(
        f"cook-{variant.name}",
        variant.source,
        (Quantity(_name(variant), variant.deflection, _limit(variant)),),
        partial(_compute, variant),
        quick=variant.name == "decoupled",
    )
    for variant in VARIANTS
)
