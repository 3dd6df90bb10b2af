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
ICRP = "ICRP Publication 110 (2009)"
SHELL_WALL = (
    "Raghavan and Vorp, J Biomech 33:475 (2000): W = α(I₁−3) + β(I₁−3)², α = 0.174 MPa, so E = 6α = 1.044 MPa "
    "at small strain"
)


@dataclass(frozen=True)
class Tissue:
    """One tissue.

    Attributes:
        name: key of the catalogue.
        young_modulus: E at small strain, Pa.
        young_range: (low, high) reported, Pa.
        poisson_ratio: ν used with displacement elements.
        density: kg/m³.
        stiffness_source: citation for E and its range.
        density_source: citation for the density.
        note: what the number is and is not.
    """

    name: str
    young_modulus: float
    young_range: tuple[float, float]
    poisson_ratio: float
    density: float
    stiffness_source: str
    density_source: str
    note: str = ""

    def __post_init__(self) -> None:
        if not (self.stiffness_source and self.density_source):
            raise ValueError(f"tissue {self.name!r} lacks a citation")


_ENTRIES = (
    Tissue(
        "liver",
        5.0e3,
        (3.0e3, 7.0e3),
        NU,
        1050.0,
        "Roulot et al., J Hepatol 48:606 (2008): transient elastography of 429 healthy adults, 5.5 ± 1.6 kPa",
        ICRU,
        "healthy; fibrosis raises it",
    ),
    Tissue(
        "cirrhotic liver",
        17.0e3,
        (12.5e3, 75.0e3),
        NU,
        1050.0,
        "Castera et al., J Hepatol 48:835 (2008): transient elastography, cirrhosis above 12.5 kPa up to 75 kPa",
        ICRU,
        "wide range: measure it",
    ),
    Tissue(
        "liver tumor",
        55.0e3,
        (15.0e3, 75.0e3),
        NU,
        1050.0,
        "Barr et al., Radiology 276:845 (2015) and Guibal et al., Ultrasound Med Biol 39:1387 (2013): shear-wave "
        "elastography, carcinoma and metastases 15 to 75 kPa",
        ICRU,
        "kinds differ: metastasis and cholangiocarcinoma stiffer than hepatocellular carcinoma",
    ),
    Tissue(
        "portal vein",
        0.6e6,
        (0.2e6, 2.0e6),
        NU,
        1060.0,
        "Umale et al., J Mech Behav Biomed Mater 17:22 (2013): porcine hepatic and portal veins, small-strain modulus "
        "0.62 MPa",
        ICRU,
        "wall, not the whole vessel",
    ),
    Tissue(
        "aortic aneurysm wall",
        1.044e6,
        (0.9e6, 1.2e6),
        NU,
        1100.0,
        SHELL_WALL,
        ICRU,
        "neo-Hookean tangent at rest; the wall stiffens beyond about 10 % strain",
    ),
    Tissue(
        "aortic wall",
        0.4e6,
        (0.2e6, 0.8e6),
        NU,
        1100.0,
        "Lang et al., Am J Cardiol 74:787 (1994) and Nichols et al., McDonald's Blood Flow in Arteries, 6th ed.: "
        "incremental modulus at 100 mmHg 0.2 to 0.8 MPa",
        ICRU,
        "incremental modulus at physiological pressure",
    ),
    Tissue(
        "intraluminal thrombus",
        0.11e6,
        (0.02e6, 0.3e6),
        NU,
        1060.0,
        "Di Martino and Vorp, Ann Biomed Eng 31:804 (2003): W = c₁(II−3) + c₂(II−3)², c₁ = 0.026 MPa, so E = 6c₁ to "
        "first order 0.156 MPa; Gasser et al., J Vasc Surg 48:179 (2008) luminal to abluminal 0.05 to 0.1 MPa",
        ICRU,
        "softer toward the wall",
    ),
    Tissue(
        "fat",
        2.0e3,
        (0.5e3, 5.0e3),
        NU,
        950.0,
        "Samani et al., Phys Med Biol 52:1565 (2007): breast adipose tissue 3.25 ± 0.91 kPa; Alkhouli et al., "
        "Am J Physiol 305:E1427 (2013): abdominal 1.6 to 2.9 kPa",
        ICRU,
    ),
    Tissue(
        "muscle",
        10.0e3,
        (5.0e3, 30.0e3),
        NU,
        1050.0,
        "Gennisson et al., Ultrasound Med Biol 36:789 (2010): passive biceps, shear-wave 5 to 30 kPa across and along "
        "the fibres",
        ICRU,
        "passive; anisotropic in truth",
    ),
    Tissue(
        "spleen",
        18.0e3,
        (12.0e3, 25.0e3),
        NU,
        1060.0,
        "Arda et al., AJR 197:532 (2011): shear-wave elastography, spleen 2.9 m/s range",
        ICRU,
    ),
    Tissue(
        "kidney",
        12.0e3,
        (5.0e3, 30.0e3),
        NU,
        1050.0,
        "Arda et al., AJR 197:532 (2011): shear-wave elastography, renal cortex",
        ICRU,
    ),
)

TISSUES: dict[str, Tissue] = {tissue.name: tissue for tissue in _ENTRIES}
