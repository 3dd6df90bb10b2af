"""Materials by name. A new one is a file here and a line in `MATERIALS`; its tests come with the line."""

from __future__ import annotations

from ....imaging.errors import SolverError
from .base import Material, batch_last
from .neo_hookean import NeoHookean
from .neo_hookean_decoupled import DecoupledNeoHookean
from .saint_venant_kirchhoff import SaintVenantKirchhoff

MATERIALS: dict[str, type[Material]] = {
    material.name: material for material in (NeoHookean, DecoupledNeoHookean, SaintVenantKirchhoff)
}

__all__ = [
    "MATERIALS",
    "DecoupledNeoHookean",
    "Material",
    "NeoHookean",
    "SaintVenantKirchhoff",
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
