"""Unknown stiffness: one factor per region, or a field."""

from __future__ import annotations

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float

from ....imaging.errors import SolverError
from .. import given
from ..model import Model
from .matern import element_modes
from .moduli import moduli_of, scaled, young_modulus
from .setting import Reported, Setting, Unknown

LOG_LIMIT = 1.5
"""Largest change of the logarithm of a stiffness in one step: a factor of 4.5."""


class RegionStiffness(Unknown):
    """One factor per region on all moduli of its material: stiffness = given stiffness × exp(s ξ).

    | symbol | meaning | unit |
    |---|---|---|
    | `regions` | names; several in one tuple entry (`("liver", "tumour")`) share a factor | – |
    | s `spread` | prior standard deviation of the logarithm (0.7: within a factor of 2 in two of three cases) | – |

    `spread=None` is no prior at all; then what the data leave open stays open, and the fit says so.
    """

    def __init__(self, regions: Sequence[str | tuple[str, ...]], spread: float | None = None) -> None:
        if not regions or isinstance(regions, str):
            raise SolverError("name at least one region, in a tuple or list", where="RegionStiffness")
        if spread is not None:
            spread = given.number(spread, "a spread", "RegionStiffness", above=0.0, advice="0.5 to 1.5, say")
        self.groups = [(r,) if isinstance(r, str) else tuple(r) for r in regions]
        self.prior, self.spread = spread, 1.0 if spread is None else float(spread)
        self.label = "stiffness"
        self._given: Model | None = None
        self._young: list[float | None] = []

    @property
    def size(self) -> int:
        """One per group of regions."""
        return len(self.groups)

    @property
    def flat(self) -> Bool[np.ndarray, " n"]:
        """All or none."""
        return np.full(self.size, self.prior is None)

    @property
    def limit(self) -> float:
        """So that the stiffness changes by a factor of 4.5 at most."""
        return LOG_LIMIT / self.spread

    def apply(self, setting: Setting, coordinates: Float[Array, " n"]) -> Setting:
        """Multiplies the moduli region by region."""
        model = setting.problem.model
        if not any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(model)):
            self._given, self._young = model, []
        factors = [_per_element(labels, self.spread * coordinates) for labels in self._labels(model)]
        return with_stiffness(setting, factors)

    def _labels(self, model: Model) -> list[np.ndarray]:
        """For each block: which group (or −1) every element belongs to."""
        owner: dict[int, int] = {}
        names = {name: label for label, name in model.region_names}
        for index, group in enumerate(self.groups):
            for name in group:
                chosen = list(names.values()) if name == "*" else [names.get(name)]
                if None in chosen:
                    raise SolverError(
                        f"no region is named {name!r}", where="RegionStiffness", advice=f"Choose from {sorted(names)}"
                    )
                owner.update({int(label): index for label in chosen if label is not None})
        return [np.array([owner.get(int(r), -1) for r in np.asarray(block.region)]) for block in model.blocks]

    def report(self, coordinates: np.ndarray) -> list[Reported]:
        """The factor on the stiffness given, and what that was."""
        if not self._young:
            self._young = [self._young_of(k) for k in range(self.size)]
        return [
            Reported(f"stiffness of {' and '.join(group)}", "× given", 1.0, self.spread, logarithmic=True, young=young)
            for group, young in zip(self.groups, self._young, strict=True)
        ]

    def _young_of(self, group: int) -> float | None:
        """Young's modulus of what was given [Pa], where it is one number."""
        if self._given is None:
            return None
        pairs = zip(self._given.blocks, self._labels(self._given), strict=True)
        solid = [(b, owner == group) for b, owner in pairs if (owner == group).any()]
        if any(block.element.dimension < 3 for block, _ in solid):
            return None
        found = {young_modulus(block.material, chosen) for block, chosen in solid}
        return found.pop() if len(found) == 1 else None


class StiffnessField(Unknown):
    """A factor on all moduli that varies smoothly: exp(s g(X)), g a Matérn field by its first modes.

    | symbol | meaning | unit |
    |---|---|---|
    | s `spread` | prior standard deviation of the logarithm | – |
    | ℓ `length` | distance over which the prior's correlation falls to 0.14 | m |
    | `modes` | how many Laplace modes carry the field; the prior's variance they miss is `missed` | – |
    """

    def __init__(self, model: Model, spread: float, length: float, modes: int = 60) -> None:
        spread = given.number(spread, "a spread", "StiffnessField", above=0.0, advice="0.5 to 1.5, say")
        length = given.number(length, "a length", "StiffnessField", above=0.0, advice="Give m")
        modes = given.whole(modes, "modes", "StiffnessField")
        extent = float(np.ptp(np.asarray(model.points), axis=0).max())
        if length > 20 * extent:
            raise SolverError(
                f"a length of {length:g} m is {length / extent:.0f} times the body",
                where="StiffnessField",
                advice="Give m",
            )
        self.spread, self.length, self.label = float(spread), float(length), "stiffness field"
        self.basis, self.missed = element_modes(model, length, modes)

    @property
    def size(self) -> int:
        """Number of modes."""
        return self.basis.shape[1]

    @property
    def limit(self) -> float:
        """In terms of the largest entry of the basis."""
        return LOG_LIMIT / (self.spread * max(float(np.abs(self.basis).max()), 1e-12))

    def apply(self, setting: Setting, coordinates: Float[Array, " n"]) -> Setting:
        """Multiplies the moduli element by element."""
        log_factor = self.spread * (jnp.asarray(self.basis) @ coordinates)
        return with_stiffness(setting, [jnp.exp(log_factor[b.source]) for b in setting.problem.model.blocks])

    def log_factor(self, coordinates: np.ndarray) -> Float[np.ndarray, " elements"]:
        """The logarithm of the factor, in the mesh's element order."""
        return self.spread * (self.basis @ coordinates)

    def log_spread(self, covariance: np.ndarray) -> Float[np.ndarray, " elements"]:
        """Its standard deviation, from the covariance (n, n) of the coordinates; the modes left out added."""
        inside = np.einsum("ei,ij,ej->e", self.basis, covariance, self.basis)
        return self.spread * np.sqrt(np.maximum(inside, 0.0) + self.missed)

    def report(self, coordinates: np.ndarray) -> list[Reported]:
        """Nothing number by number: see `log_factor` and `log_spread`."""
        return []


def with_stiffness(setting: Setting, factors: list[Array]) -> Setting:
    """The setting with the moduli of each block multiplied by (elements,) factors."""
    blocks = setting.problem.model.blocks
    materials = [
        scaled(block.material, moduli_of(block.material), factor) for block, factor in zip(blocks, factors, strict=True)
    ]
    return eqx.tree_at(lambda s: [b.material for b in s.problem.model.blocks], setting, materials)


def _per_element(groups: np.ndarray, log_factor: Array) -> Array:
    """exp of the logarithm of each element's group; 1 where it has none."""
    padded = jnp.concatenate([log_factor, jnp.zeros(1, log_factor.dtype)])
    return jnp.exp(padded[groups])
