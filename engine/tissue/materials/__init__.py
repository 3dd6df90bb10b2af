"""Materials by name. A new one is a file here and a line in `MATERIALS`; its tests come with the line."""

from __future__ import annotations

from ....imaging.errors import SolverError
from .active_contraction import ActiveContraction
from .base import Material, batch_last
from .damage import Damage
from .fung import Fung
from .guccione import Guccione
from .holzapfel_gasser_ogden import HolzapfelGasserOgden
from .holzapfel_ogden import HolzapfelOgden
from .linear import LinearElastic
from .mooney_rivlin import MooneyRivlin
from .mullins import Mullins
from .neo_hookean import NeoHookean
from .neo_hookean_decoupled import DecoupledNeoHookean
from .ogden import Ogden
from .residual_strain import ResidualStrain
from .saint_venant_kirchhoff import SaintVenantKirchhoff
from .sheet import Sheet
from .strand import Strand
from .veronda_westmann import VerondaWestmann
from .viscoelastic import Viscoelastic
from .yeoh import Yeoh

MATERIALS: dict[str, type[Material]] = {
    material.name: material
    for material in (
        LinearElastic,
        SaintVenantKirchhoff,
        NeoHookean,
        DecoupledNeoHookean,
        MooneyRivlin,
        Yeoh,
        Ogden,
        VerondaWestmann,
        Guccione,
        Fung,
        HolzapfelGasserOgden,
        HolzapfelOgden,
        ActiveContraction,
        ResidualStrain,
        Viscoelastic,
        Mullins,
        Damage,
    )
}

__all__ = [
    "MATERIALS",
    "ActiveContraction",
    "Damage",
    "DecoupledNeoHookean",
    "Fung",
    "Guccione",
    "HolzapfelGasserOgden",
    "HolzapfelOgden",
    "LinearElastic",
    "Material",
    "MooneyRivlin",
    "Mullins",
    "NeoHookean",
    "Ogden",
    "ResidualStrain",
    "SaintVenantKirchhoff",
    "Sheet",
    "Strand",
    "VerondaWestmann",
    "Viscoelastic",
    "Yeoh",
    "batch_last",
    "material_named",
]


def material_named(name: str) -> type[Material]:
    """The material class registered under `name`.

    Raises:
        SolverError: no such material.
    """
    if name not in MATERIALS:
        raise SolverError(f"no material is named {name!r}", where="material", advice=f"Choose from {sorted(MATERIALS)}")
    return MATERIALS[name]
