"""One material of each registered law, for checks that run over all of them."""

from __future__ import annotations

from ..materials import MATERIALS, Material

YOUNG, POISSON = 1e4, 0.4


def sample_material(name: str) -> Material:
    """A plausible soft tissue of this law: E = 10 kPa and ν = 0.4 where it is made from these."""
    kind = MATERIALS[name]
    return kind.from_young(YOUNG, POISSON)
