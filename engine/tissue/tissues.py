"""Catalogue of tissues: stiffness, compressibility and density with range and source. Imports nothing heavy.

Small-strain values of isotropic, nearly incompressible tissue. The Poisson ratio is a modelling choice (`NU`): soft
tissue hardly changes its volume (bulk modulus near that of water, 2.2 GPa; Fung, *Biomechanics*, 1993), and
displacement elements lock as ν → 0.5.
An entry without a citation does not enter. Values are group means: a patient's own may lie anywhere in the range.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

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
class Law:
    """A nonlinear law of a tissue.

    Attributes:
        material: its name in the registry of materials.
        parameters: as the class of that name takes them, Pa; directions and the bulk modulus are the body's.
        source: citation.
        note: where it was fitted.
    """

    material: str
    parameters: Mapping[str, float | tuple[float, ...]]
    source: str
    note: str = ""


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
        laws: nonlinear laws that were fitted to it, the first one to be preferred.
    """

    name: str
    young: float
    young_range: tuple[float, float]
    poisson: float
    density: float
    stiffness_source: str
    density_source: str
    note: str = ""
    laws: tuple[Law, ...] = field(default=())

    def __post_init__(self) -> None:
        if not (self.stiffness_source and self.density_source):
            raise ValueError(f"tissue {self.name!r} lacks a citation")


def _tissue(
    name: str,
    young_kpa: float,
    low: float,
    high: float,
    density: float,
    source: str,
    note: str = "",
    *,
    laws: tuple[Law, ...] = (),
) -> Tissue:
    return Tissue(name, 1e3 * young_kpa, (1e3 * low, 1e3 * high), NU, density, source, ICRU, note, laws)


ADVENTITIA = Law(
    "holzapfel-gasser-ogden",
    {"shear_modulus": 7.64e3, "fiber_modulus": 996.6e3, "fiber_exponent": 524.6, "dispersion": 0.226},
    "Gasser, Ogden and Holzapfel, J R Soc Interface 3:15 (2006)",
    "adventitia of a human iliac artery, families at ±49.98° to the circumference; other layers and arteries differ",
)
ANEURYSM = Law("yeoh", {"coefficients": (174e3, 1.881e6)}, WALL, "population means, uniaxial tension")
THROMBUS = Law(
    "mooney-rivlin",
    {"c1": 0.0, "c2": 26e3},
    "Di Martino and Vorp, Ann Biomed Eng 31:804 (2003)",
    "the first term of their law in the second invariant",
)
MYOCARDIUM_SHEAR = Law(
    "holzapfel-ogden",
    {"a": 59.0, "b": 8.023, "a_f": 18472.0, "b_f": 16.026, "a_s": 2481.0, "b_s": 11.12, "a_fs": 216.0, "b_fs": 11.436},
    "Holzapfel and Ogden, Phil Trans R Soc A 367:3445 (2009), table 1",
    "simple shear of porcine myocardium in six modes",
)
MYOCARDIUM_LAND = Law(
    "guccione",
    {"stiffness": 2e3, "along_fiber": 8.0, "across_fiber": 2.0, "fiber_shear": 4.0},
    "Land et al., Proc R Soc A 471:20150641 (2015), problems 1 and 3",
    "of a benchmark, of the size of heart muscle",
)


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
            "incremental, at physiological pressure", laws=(ADVENTITIA,)),
    _tissue("aneurysm_wall", 1044.0, 900.0, 1200.0, 1100.0, WALL,
            "tangent at rest; the wall stiffens with strain, which a neo-Hookean law does not show", laws=(ANEURYSM,)),
    _tissue("aortic_thrombus", 156.0, 50.0, 540.0, 1060.0, "Di Martino and Vorp, Ann Biomed Eng 31:804 (2003): "
            "W = c₁(II−3) + c₂(II−3)², c₁ = 0.026 MPa; at rest E = 6c₁. Upper end: Wang et al., J Biomech Eng 123:536 "
            "(2001), luminal layer at large strain", "softer toward the wall", laws=(THROMBUS,)),
    _tissue("fat", 2.9, 1.6, 4.2, 950.0, "Alkhouli et al., Am J Physiol 305:E1427 (2013): omental 2.9 kPa, "
            "subcutaneous 1.6 kPa; Samani et al., Phys Med Biol 52:1565 (2007): breast 3.25 ± 0.91 kPa"),
    _tissue("muscle", 11.1, 7.0, 15.2, 1050.0, f"{ARDA}, gastrocnemius 11.1 ± 4.1 kPa", "at rest; anisotropic"),
    _tissue("kidney", 5.0, 2.1, 7.9, 1050.0, f"{ARDA}, renal cortex 5.0 ± 2.9 kPa"),
    _tissue("spleen", 2.9, 1.1, 4.7, 1060.0, f"{ARDA}, 2.9 ± 1.8 kPa"),
    _tissue("pancreas", 4.8, 1.8, 7.8, 1040.0, f"{ARDA}, 4.8 ± 3 kPa"),
    _tissue("myocardium", 12.0, 7.2, 18.0, 1050.0, "Land et al., Proc R Soc A 471:20150641 (2015): tangents at rest of "
            "Guccione's law with C = 2 kPa; 8, 2, 4: C (b_f + b_t/2) = 18 kPa along the fibre, 7.2 kPa across",
            "stiffens at once with strain and along fibres: take one of the laws",
            laws=(MYOCARDIUM_LAND, MYOCARDIUM_SHEAR)),
    _tissue("skin", 420.0, 420.0, 850.0, 1090.0, "Agache et al., Arch Dermatol Res 269:221 (1980): torsion in vivo "
            "of 138 people, 0.42 MPa in the young, twice that in the old",
            "tension along Langer's lines is far stiffer"),
    Tissue("cartilage", 0.6e6, (0.5e6, 0.7e6), 0.1, 1100.0, "Athanasiou et al., J Orthop Res 9:330 (1991): aggregate "
           "modulus and Poisson's ratio of the human distal femur, 0.53 to 0.70 MPa and 0.0 to 0.1", ICRU,
           "at rest, with its water drained; under a quick load it is nearly incompressible and stiffer"),
    Tissue("cortical_bone", 17.0e9, (11.5e9, 17.0e9), 0.3, 1920.0, "Reilly and Burstein, J Biomech 8:393 (1975): "
           "human femur, 17.0 GPa along the shaft, 11.5 GPa across", ICRU,
           "isotropic here; ν = 0.3 is a modelling choice"),
    Tissue("trabecular_bone", 326e6, (110e6, 920e6), 0.3, 1180.0, "Morgan, Bayraktar and Keaveny, J Biomech 36:897 "
           "(2003): vertebra, 4730 MPa ρ^1.56 at 0.18 (0.09 to 0.35) g/cm³", f"{ICRU}: spongiosa, marrow included",
           "differs tenfold with density and site: take it from HU (`tissue.bone`)"),
    Tissue("titanium", 110e9, (105e9, 110e9), 0.34, 4430.0, "Long and Rack, Biomaterials 19:1621 (1998): Ti-6Al-4V "
           "110 GPa, commercially pure titanium 105 GPa",
           "Boyer, Welsch and Collings, Materials Properties Handbook: Titanium Alloys, ASM (1994)",
           "Ti-6Al-4V, below its yield"),
    Tissue("peek", 4.0e9, (3.0e9, 4.0e9), 0.36, 1300.0, "Kurtz and Devine, Biomaterials 28:4845 (2007): unfilled "
           "PEEK, 3 to 4 GPa",
           "Kurtz and Devine, Biomaterials 28:4845 (2007)", "with carbon fibres 18 GPa and more"),
    Tissue("nitinol", 83e9, (28e9, 83e9), 0.33, 6450.0, "SMA Inc., Selected properties of NiTi (2003): austenite "
           "about 83 GPa, martensite 28 to 41 GPa", "SMA Inc., Selected properties of NiTi (2003): 6.45 g/cm³",
           "as elastic austenite, below the plateau: superelasticity and memory are not modelled"),
)  # fmt: skip

TISSUES: dict[str, Tissue] = {tissue.name: tissue for tissue in _ENTRIES}
