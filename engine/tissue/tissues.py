"""Catalogue of tissues: stiffness, compressibility and density with range and source. Imports nothing heavy.

Small-strain values of isotropic, nearly incompressible tissue. The Poisson ratio is a modelling choice (`NU`): soft
tissue hardly changes its volume (bulk modulus near that of water, 2.2 GPa; Fung, *Biomechanics*, 1993), and
displacement elements lock as ν → 0.5.
An entry without a citation does not enter. Values are group means: a patient's own may lie anywhere in the range.
"""

from __future__ import annotations

from dataclasses import dataclass

NU = 0.45
"""Poisson ratio for linear tetrahedra; take 0.49 with T10."""

ICRU = "ICRU Report 44 (1989)"
WALL = "Raghavan and Vorp, J Biomech 33:475 (2000): W = α(I₁−3) + β(I₁−3)², mean α = 0.174 MPa; at rest E = 6α"
LESIONS = (
    "Guibal et al., Eur Radiol 23:1138 (2013): shear-wave elastography, 53 metastases 28.8 ± 16 kPa, 26 hepatocellular "
    "carcinomas 14.9 ± 10 kPa, 7 cholangiocarcinomas 56.9 ± 25.6 kPa"
)
ARDA = "Arda et al., AJR 197:532 (2011): shear-wave elastography of 127 healthy volunteers"


@dataclass(frozen=True)
class Tissue:
    """One tissue.

    Attributes:
        name: key of the catalogue.
        young: E at small strain, Pa.
        young_range: (low, high) reported, Pa.
        poisson: ν used with displacement elements.
        density: kg/m³.
        stiffness_source: citation for E and its range.
        density_source: citation for the density.
        note: what the number is and is not.
    """

    name: str
    young: float
    young_range: tuple[float, float]
    poisson: float
    density: float
    stiffness_source: str
    density_source: str
    note: str = ""

    def __post_init__(self) -> None:
        if not (self.stiffness_source and self.density_source):
            raise ValueError(f"tissue {self.name!r} lacks a citation")


def _tissue(
    name: str, young_kpa: float, low: float, high: float, density: float, source: str, note: str = ""
) -> Tissue:
    return Tissue(name, 1e3 * young_kpa, (1e3 * low, 1e3 * high), NU, density, source, ICRU, note)


_ENTRIES = (
    _tissue("liver", 5.5, 3.9, 7.1, 1050.0, "Roulot et al., J Hepatol 48:606 (2008): transient elastography of healthy "
            "adults, 5.5 ± 1.6 kPa", "fibrosis raises it"),
    _tissue("liver_cirrhotic", 17.0, 12.5, 75.0, 1050.0, "Castera et al., J Hepatol 48:835 (2008): transient "
            "elastography, cirrhosis from 12.5 kPa up to the device's 75 kPa", "wide range: measure it"),
    _tissue("liver_tumor", 28.8, 5.0, 82.0, 1050.0, LESIONS, "the mean of metastases; kinds differ"),
    _tissue("hepatic_vessel", 620.0, 300.0, 2980.0, 1060.0, "Umale et al., J Biomech 44:1678 (2011): porcine hepatic "
            "veins, 0.62 MPa at small and 2.98 MPa at large strain", "the wall, not wall and blood together"),
    _tissue("aortic_wall", 430.0, 300.0, 900.0, 1100.0, "Bergel, J Physiol 156:445 (1961): static incremental modulus "
            "at 100 mmHg, canine thoracic aorta 0.43 MPa, abdominal aorta about twice that",
            "incremental, at physiological pressure"),
    _tissue("aneurysm_wall", 1044.0, 900.0, 1200.0, 1100.0, WALL,
            "tangent at rest; the wall stiffens with strain, which a neo-Hookean law does not show"),
    _tissue("aortic_thrombus", 156.0, 50.0, 540.0, 1060.0, "Di Martino and Vorp, Ann Biomed Eng 31:804 (2003): "
            "W = c₁(II−3) + c₂(II−3)², c₁ = 0.026 MPa; at rest E = 6c₁. Upper end: Wang et al., J Biomech Eng 123:536 "
            "(2001), luminal layer at large strain", "softer toward the wall"),
    _tissue("fat", 2.9, 1.6, 4.2, 950.0, "Alkhouli et al., Am J Physiol 305:E1427 (2013): omental 2.9 kPa, "
            "subcutaneous 1.6 kPa; Samani et al., Phys Med Biol 52:1565 (2007): breast 3.25 ± 0.91 kPa"),
    _tissue("muscle", 11.1, 7.0, 15.2, 1050.0, f"{ARDA}, gastrocnemius 11.1 ± 4.1 kPa", "at rest; anisotropic"),
    _tissue("kidney", 5.0, 2.1, 7.9, 1050.0, f"{ARDA}, renal cortex 5.0 ± 2.9 kPa"),
    _tissue("spleen", 2.9, 1.1, 4.7, 1060.0, f"{ARDA}, 2.9 ± 1.8 kPa"),
    _tissue("pancreas", 4.8, 1.8, 7.8, 1040.0, f"{ARDA}, 4.8 ± 3 kPa"),
)  # fmt: skip

TISSUES: dict[str, Tissue] = {tissue.name: tissue for tissue in _ENTRIES}
