"""Catalogue of tissues: stiffness, compressibility and density with range and source. Imports nothing heavy.

Small-strain values of isotropic, nearly incompressible tissue. The Poisson ratio is a modelling choice (`NU`): soft
tissue hardly changes its volume (bulk modulus near that of water, 2.2 GPa; Fung, *Biomechanics*, 1993), and
displacement elements lock as ν → 0.5.
An entry without a citation does not enter, nor a number that was not found in what is cited; `confirmed` says where
it was read. Values are group means: a patient's own may lie anywhere in the range.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

NU = 0.45
"""Poisson ratio for linear tetrahedra; take 0.49 with T10."""

ICRU = "ICRU Report 44 (1989)"
MIXED_BONE = f"{ICRU}: cortical bone 1.92 and red marrow 1.03 g/cm³, mixed"
WALL = (
    "Raghavan and Vorp, J Biomech 33:475 (2000): W = α(I₁−3) + β(I₁−3)², mean α = 0.174 MPa, β = 1.881 MPa; at rest "
    "E = 6α"
)
LESIONS = (
    "Guibal et al., Eur Radiol 23:1138 (2013), doi:10.1007/s00330-012-2692-y: shear-wave elastography, 53 metastases "
    "28.8 ± 16 kPa, 26 hepatocellular carcinomas 14.9 ± 10 kPa, 7 cholangiocarcinomas 56.9 ± 25.6 kPa"
)
ARDA = "Arda et al., AJR 197:532 (2011), doi:10.2214/AJR.10.5449: shear-wave elastography of 127 healthy volunteers"
CLOT = (
    "Gasser et al., J Vasc Surg 48:179 (2008): W = c Σ(λᵢ⁴ − 1), c = 2.62, 1.98 and 1.73 kPa in its luminal, middle "
    "and abluminal layer; at rest E = 24c"
)

Confirmed = Literal["abstract", "itself", "quoted", "definition"]
"""Where a number was read: in the paper's own abstract; in the source itself (a data sheet, a problem's statement); in
published code or tables that name the paper as its source; or it follows from the law beside it."""


@dataclass(frozen=True)
class Law:
    """A nonlinear law of a tissue.

    Attributes:
        material: its name in the registry of materials.
        parameters: as the class of that name takes them, Pa; directions and the bulk modulus are the body's.
        source: citation.
        confirmed: where the parameters were read.
        note: where it was fitted.
    """

    material: str
    parameters: Mapping[str, float | tuple[float, ...]]
    source: str
    confirmed: Confirmed
    note: str = ""


@dataclass(frozen=True)
class Tissue:
    """One tissue.

    Attributes:
        name: key of the catalogue.
        young: E at small strain, Pa.
        young_range: (low, high) reported, Pa: a standard deviation about the mean where a mean is given.
        poisson: ν used with displacement elements.
        density: kg/m³.
        stiffness_source: citation for E and its range.
        density_source: citation for the density.
        confirmed: where E and its range were read. Densities of ICRU 44 were read where it is quoted.
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
    confirmed: Confirmed
    note: str = ""
    laws: tuple[Law, ...] = ()

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
    confirmed: Confirmed = "abstract",
    density_source: str = ICRU,
    laws: tuple[Law, ...] = (),
) -> Tissue:
    range_ = (1e3 * low, 1e3 * high)
    return Tissue(name, 1e3 * young_kpa, range_, NU, density, source, density_source, confirmed, note, laws)


ADVENTITIA = Law(
    "holzapfel-gasser-ogden",
    {"shear_modulus": 7.64e3, "fiber_modulus": 996.6e3, "fiber_exponent": 524.6, "dispersion": 0.226},
    "Gasser, Ogden and Holzapfel, J R Soc Interface 3:15 (2006), doi:10.1098/rsif.2005.0073",
    "quoted",
    "adventitia of a human iliac artery, families at ±49.98° to the circumference; other layers and arteries differ",
)
ANEURYSM = Law("yeoh", {"coefficients": (174e3, 1.881e6)}, WALL, "quoted", "population means, uniaxial tension")
THROMBUS = Law(
    "ogden",
    {"moduli": (8 * 1.98e3,), "exponents": (4.0,)},
    CLOT,
    "quoted",
    "the middle layer; Ogden's law with α = 4 and μ = 8c. Luminal 20.96, abluminal 13.84 kPa",
)
MYOCARDIUM_SHEAR = Law(
    "holzapfel-ogden",
    {"a": 59.0, "b": 8.023, "a_f": 18472.0, "b_f": 16.026, "a_s": 2481.0, "b_s": 11.12, "a_fs": 216.0, "b_fs": 11.436},
    "Holzapfel and Ogden, Phil Trans R Soc A 367:3445 (2009), doi:10.1098/rsta.2009.0091, table 1",
    "quoted",
    "simple shear of porcine myocardium in six modes",
)
MYOCARDIUM_LAND = Law(
    "guccione",
    {"stiffness": 2e3, "along_fiber": 8.0, "across_fiber": 2.0, "fiber_shear": 4.0},
    "Land et al., Proc R Soc A 471:20150641 (2015), doi:10.1098/rspa.2015.0641, problems 1 and 3",
    "itself",
    "of a benchmark, of the size of heart muscle",
)
_WALL_DENSITY = f"{ICRU}: that of muscle, for want of one of vessel walls"


_ENTRIES = (
    _tissue("liver", 5.5, 3.9, 7.1, 1060.0, "Roulot et al., J Hepatol 48:606 (2008), doi:10.1016/j.jhep.2007.11.020: "
            "transient elastography of 429 healthy adults, 5.49 ± 1.59 kPa", "fibrosis raises it"),
    _tissue("liver_cirrhotic", 17.6, 12.5, 75.5, 1060.0, "Foucher et al., Gut 55:403 (2006), "
            "doi:10.1136/gut.2005.069153: transient elastography, 12.5 to 75.5 kPa in cirrhosis, which 17.6 kPa tells "
            "with 90 % of certainty", "wide range: measure it", density_source=f"{ICRU}: liver"),
    _tissue("liver_tumor", 28.8, 5.0, 82.0, 1060.0, LESIONS, "the mean of metastases; kinds differ",
            density_source=f"{ICRU}: liver"),
    _tissue("hepatic_vessel", 620.0, 210.0, 2810.0, 1050.0, "Umale et al., J Biomech 44:1678 (2011), "
            "doi:10.1016/j.jbiomech.2011.03.029: porcine hepatic veins, 0.62 ± 0.41 MPa at small and 2.81 ± 2.23 MPa "
            "at large strain", "the wall, not wall and blood together", density_source=_WALL_DENSITY),
    _tissue("aortic_wall", 736.0, 537.0, 990.0, 1050.0, "Patel, Janicki and Carew, Circ Res 25:765 (1969): thoracic "
            "aorta of 14 living dogs at 154 cm of water, incremental moduli 5480, 7510 and 10100 g/cm² across the "
            "wall, around it and along it", "incremental, at physiological pressure; E around the vessel",
            density_source=_WALL_DENSITY, laws=(ADVENTITIA,)),
    _tissue("aneurysm_wall", 1044.0, 900.0, 1200.0, 1050.0, WALL, "tangent at rest; the wall stiffens with strain, "
            "which a neo-Hookean law does not show; the range is a choice", confirmed="quoted",
            density_source=_WALL_DENSITY, laws=(ANEURYSM,)),
    _tissue("aortic_thrombus", 47.5, 41.5, 62.9, 1060.0, CLOT, "the middle layer; softer toward the wall",
            confirmed="quoted", density_source=f"{ICRU}: whole blood", laws=(THROMBUS,)),
    _tissue("fat", 2.26, 2.26, 4.48, 950.0, "Hatt, Lloyd, Bolsterlee and Bilston, J Mech Behav Biomed Mater 143:105924 "
            "(2023), doi:10.1016/j.jmbbm.2023.105924: magnetic resonance elastography of ten buttocks, shear modulus "
            "752 Pa; upper end: Wenderott et al., Sci Rep 10:20423 (2020), visceral fat under the atomic force "
            "microscope, 4.48 kPa", "E = 3 μ; in diabetes 11.5 kPa (Wenderott)"),
    _tissue("muscle", 11.1, 7.0, 15.2, 1050.0, f"{ARDA}, gastrocnemius 11.1 ± 4.1 kPa", "at rest; anisotropic"),
    _tissue("kidney", 5.0, 2.1, 7.9, 1050.0, f"{ARDA}, renal cortex 5.0 ± 2.9 kPa"),
    _tissue("spleen", 2.9, 1.1, 4.7, 1060.0, f"{ARDA}, 2.9 ± 1.8 kPa"),
    _tissue("pancreas", 4.8, 1.8, 7.8, 1040.0, f"{ARDA}, 4.8 ± 3 kPa"),
    _tissue("myocardium", 12.0, 7.2, 18.0, 1050.0, "Land et al., Proc R Soc A 471:20150641 (2015): tangents at rest of "
            "Guccione's law with C = 2 kPa; 8, 2, 4: C (b_f + b_t/2) = 18 kPa along the fibre, 7.2 kPa across",
            "stiffens at once with strain and along fibres: take one of the laws", confirmed="definition",
            laws=(MYOCARDIUM_LAND, MYOCARDIUM_SHEAR)),
    _tissue("skin", 129.0, 41.0, 217.0, 1090.0, "Diridollou et al., Skin Res Technol 6:214 (2000): suction of the "
            "forearm of ten men, 129 ± 88 kPa", "doubles with age (Agache et al., Arch Dermatol Res 269:221, 1980, "
            "138 people); tension along Langer's lines is far stiffer"),
    Tissue("cartilage", 1.03e6, (0.48e6, 1.58e6), 0.05, 1100.0, "Keenan et al., Comput Methods Biomech Biomed Engin "
           "12:415 (2009), PMC2858459: aggregate modulus 0.48 to 1.58 MPa and Poisson's ratio 0.00 to 0.05 over a "
           "tibial plateau, the range of human cartilage", ICRU, "abstract",
           "the middle of the range; at rest, with its water drained: under a quick load it is nearly incompressible "
           "and stiffer. The aggregate modulus is E but for 0.5 % at this ν"),
    Tissue("cortical_bone", 17.0e9, (11.5e9, 17.0e9), 0.3, 1920.0, "Reilly and Burstein, J Biomech 8:393 (1975), "
           "doi:10.1016/0021-9290(75)90075-5: human femur, 17.0 GPa along the shaft, 11.5 GPa across", ICRU, "quoted",
           "isotropic here; ν = 0.3 is a modelling choice"),
    Tissue("trabecular_bone", 232e6, (102e6, 362e6), 0.3, 1300.0, "Haba et al., Open Orthop J 6:458 (2012): femoral "
           "heads of 22 people, 232 ± 130 MPa at 0.353 g/cm³ of mineral", f"{MIXED_BONE} at 0.353/0.6 g/cm³",
           "abstract", "differs tenfold with density and site: take it from HU (`tissue.bone`)"),
    Tissue("mandible_cortical", 25e9, (10e9, 30e9), 0.3, 1920.0, "Schwartz-Dabney and Dechow, Am J Phys Anthropol "
           "120:252 (2003), doi:10.1002/ajpa.10121: ultrasound at 31 places of ten mandibles, 20 to 30 GPa along, 50 "
           "to 100 % stiffer than across", ICRU, "abstract", "the middle along the jaw; isotropic here"),
    Tissue("mandible_trabecular", 511e6, (114e6, 907e6), 0.3, 1285.0, "O'Mahony et al., Clin Oral Implants Res 11:415 "
           "(2000): seven cubes of one jaw at 0.55 g/cm³, 907 MPa along the arch, 511 MPa from cheek to tongue, 114 "
           "MPa up and down", f"{MIXED_BONE} at 0.55 g/cm³", "abstract",
           "the middle one; fresh jaws pressed whole gave 7 to 200 MPa (J Med Eng 2014:470539)"),
    Tissue("titanium", 113.8e9, (105e9, 120e9), 0.342, 4430.0, "ASM material data sheet, Ti-6Al-4V ELI annealed "
           "(2026; asm.matweb.com, MTP643): 113.8 GPa, ν = 0.342; range of makers' data sheets",
           "ASM material data sheet, Ti-6Al-4V ELI annealed (2026): 4.43 g/cm³", "itself",
           "Ti-6Al-4V, below its yield"),
    Tissue("peek", 4.0e9, (3.3e9, 4.0e9), 0.36, 1300.0, "MakeItFrom.com, unfilled PEEK (2026): 4.0 "
           "GPa; lower end: Evans et al. (2015), PMC4294703, injection moulded, of which 2.45 GPa are 73.4 %",
           "MakeItFrom.com, PEEK (2026): 1.3 g/cm³", "itself",
           "ν is a modelling choice; with carbon fibres 10 to 24 GPa"),
    Tissue("nitinol", 83e9, (28e9, 83e9), 0.33, 6450.0, "SMA Inc., Selected properties of NiTi (2003): austenite "
           "about 83 GPa, martensite 28 to 41 GPa", "SMA Inc., Selected properties of NiTi (2003): 6.45 g/cm³",
           "itself", "as elastic austenite, below the plateau: superelasticity and memory are not modelled"),
)  # fmt: skip

TISSUES: dict[str, Tissue] = {tissue.name: tissue for tissue in _ENTRIES}
