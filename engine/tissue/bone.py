"""Bone: from Hounsfield units to density to Young's modulus, element by element. Imports nothing heavy.

    scanner = Calibration.from_points((0.0, 0.0), (1000.0, 0.75))       # HU → g/cm³ of apparent density
    stiffness = bone_stiffness(hu, "femoral_neck", scanner)             # hu: (E,) mean HU of each element
    model = Model.from_mesh(mesh, {"femur": NeoHookean.from_young(stiffness.young, 0.3)})

Laws give the modulus along the main trabecular direction at the apparent (wet, marrow-free) density of millimetre-sized
specimens; used as isotropic they are too stiff across it. They were measured at one site each: a law of another site
may be off by a factor of two at the same density (Morgan et al. 2003).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...imaging.errors import SolverError
from . import given

MORGAN = "Morgan, Bayraktar and Keaveny, J Biomech 36:897 (2003), doi:10.1016/s0021-9290(03)00071-x"
ASH_SHARE = 0.598
"""ρ_ash/ρ of compact and of trabecular bone (Schileo et al., J Biomech 41:2483, 2008; in its abstract)."""
CT_RANGE = (-1024.0, 3071.0)
"""HU of a 12-bit scanner; what lies outside is metal, padding or no HU."""
TRABECULAR, ALL = (0.1, 1.0), (0.1, 2.0)
"""Apparent densities [g/cm³] within which a law is used; a choice made here: below, marrow would bear nothing and
leave the body floating; above 1 g/cm³ bone is compact, above 2 g/cm³ it is none."""


@dataclass(frozen=True)
class BoneLaw:
    """E = factor · ρ^exponent.

    Attributes:
        site: key of the catalogue.
        factor: Pa at 1 g/cm³.
        exponent: of the density.
        densities: apparent densities (low, high) it is meant for, g/cm³.
        source: citation.
    """

    site: str
    factor: float
    exponent: float
    densities: tuple[float, float]
    source: str

    def young(self, density: NDArray | float) -> NDArray:
        """E [Pa] at apparent densities [g/cm³]."""
        return self.factor * np.asarray(density, float) ** self.exponent


BONE_LAWS: dict[str, BoneLaw] = {
    law.site: law
    for law in (
        BoneLaw("vertebra", 4.730e9, 1.56, TRABECULAR, f"{MORGAN}: 61 specimens"),
        BoneLaw("femoral_neck", 6.850e9, 1.49, TRABECULAR, f"{MORGAN}: 27 specimens"),
        BoneLaw(
            "spine_and_femur", 10.500e9 * ASH_SHARE**2.29, 2.29, ALL,
            "Keller, J Biomech 27:1159 (1994): E = 10500 MPa ρ_ash^2.29",
        ),
        BoneLaw(
            "any", 3.790e9 * 0.01**0.06, 3.0, ALL,
            "Carter and Hayes, J Bone Joint Surg 59-A:954 (1977): trabecular and compact; E = 3790 MPa ε̇^0.06 ρ³ at a "
            "rate of 0.01/s",
        ),
    )
}  # fmt: skip
"""All four were read where published code quotes them, Morgan's two also with their sites and numbers of specimens in
the paper's abstract. Its laws of tibia and trochanter could not be confirmed and are left out. There is none of the
mandible: Lettry et al., Bone 32:35 (2003), found CT numbers and moduli too weakly correlated to predict one from the
other."""


@dataclass(frozen=True)
class Calibration:
    """Apparent density ρ = intercept + slope · HU of one scanner and protocol.

    Attributes:
        intercept: g/cm³ at 0 HU.
        slope: g/cm³ per HU.
    """

    intercept: float
    slope: float

    def __post_init__(self) -> None:
        """Checks it.

        Raises:
            SolverError: not finite, not rising, or in kg/m³.
        """
        given.number(self.intercept, "an intercept", "calibration", advice="Give g/cm³ at 0 HU")
        if not given.number(self.slope, "a slope", "calibration", advice="Give g/cm³ per HU") > 0:
            raise SolverError(
                f"a calibration of {self.intercept:g} + {self.slope:g} HU does not rise", where="calibration"
            )
        if self.slope > 0.02 or abs(self.intercept) > 2:
            raise SolverError(
                f"a calibration of {self.intercept:g} + {self.slope:g} HU is implausible",
                where="calibration",
                advice="Give g/cm³: compact bone is near 1.8 g/cm³ at 1500 to 2000 HU, a slope near 0.001",
            )

    @classmethod
    def from_points(cls, first: tuple[float, float], second: tuple[float, float]) -> Calibration:
        """Through two (HU, apparent density [g/cm³]) pairs.

        Raises:
            SolverError: the same HU twice, or as above.
        """
        for point in (first, second):
            given.array(point, "a point", "calibration", (2,), advice="Give (HU, g/cm³)")
        if first[0] == second[0]:
            raise SolverError(f"two points at {first[0]:g} HU make no line", where="calibration")
        slope = (second[1] - first[1]) / (second[0] - first[0])
        return cls(first[1] - slope * first[0], slope)

    @classmethod
    def from_phantom(cls, intercept: float, slope: float) -> Calibration:
        """From the line of a hydroxyapatite phantom, ρ_QCT = intercept + slope · HU [g/cm³].

        ρ_ash = 0.079 + 0.877 ρ_QCT, ρ = ρ_ash/0.598 (Schileo et al., J Biomech 41:2483, 2008).
        """
        return cls((0.079 + 0.877 * intercept) / ASH_SHARE, 0.877 * slope / ASH_SHARE)


@dataclass(frozen=True, eq=False)
class BoneStiffness:
    """Of each element.

    Attributes:
        young: E, Pa (E,).
        density: apparent density it was taken at, g/cm³ (E,).
        below: which elements were lighter than the law is meant for, and took its lowest density (E,).
        above: which were denser: the law is extrapolated there, up to 2 g/cm³ (E,).
        law: the law.
    """

    young: NDArray[np.float64]
    density: NDArray[np.float64]
    below: NDArray[np.bool_]
    above: NDArray[np.bool_]
    law: BoneLaw

    def summary(self) -> str:
        """One line: E, and how much of it lies outside of what the law is meant for."""
        low, middle, high = np.percentile(self.young, [5, 50, 95]) / 1e6
        return (
            f"{self.law.site}: E {middle:.0f} MPa (5 to 95 %: {low:.0f} to {high:.0f}); "
            f"{100 * self.below.mean():.0f} % of the elements lighter than the law is meant for, "
            f"{100 * self.above.mean():.0f} % denser (extrapolated)"
        )


def bone_stiffness(hounsfield: Any, site: str, calibration: Calibration) -> BoneStiffness:
    """Young's modulus of each element from its HU.

    Args:
        hounsfield: mean HU of each element (E,). Marrow and fat among trabeculae belong to it; metal does not.
        site: a key of `BONE_LAWS`.
        calibration: of the scanner.

    Raises:
        SolverError: no such site; an HU that is not finite or that no scanner gives, with its element.
    """
    if site not in BONE_LAWS:
        raise SolverError(f"no bone law for {site!r}", where="bone", advice=f"Choose from {sorted(BONE_LAWS)}")
    if not isinstance(calibration, Calibration):
        told = f"a {type(calibration).__name__} is no calibration"
        raise SolverError(told, where="bone", advice="Give one of the scanner: Calibration.from_points")
    law, values = BONE_LAWS[site], np.atleast_1d(np.asarray(hounsfield))
    if values.dtype.kind not in "fiub" or values.size == 0:
        raise SolverError("there are no HU", where="bone", advice="Give the mean HU of each element")
    values = values.astype(float)
    bad = np.flatnonzero(~(np.isfinite(values) & (values >= CT_RANGE[0]) & (values <= CT_RANGE[1])))
    if bad.size:
        raise SolverError(
            f"element {bad[0]} has {values[bad[0]]:g} HU, which no scanner gives",
            where="bone",
            advice=f"HU lie between {CT_RANGE[0]:g} and {CT_RANGE[1]:g}: look for metal, padding or another unit",
        )
    density = calibration.intercept + calibration.slope * values
    low, high = law.densities
    used = np.clip(density, low, max(high, 2.0))
    return BoneStiffness(law.young(used), used, density < low, density > high, law)
