"""Any float array of a problem as an unknown: a density, a spring's stiffness, a traction, a path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ....imaging.errors import SolverError
from .setting import Reported, Setting, Unknown


class Quantity(Unknown):
    """What `where(problem)` points at.

    | symbol | meaning |
    |---|---|
    | `where` | a function of the problem that returns one of its float arrays, as for `equinox.tree_at` |
    | `spread` | prior standard deviation: of the logarithm (`logarithmic`), else in the array's own unit |
    | `logarithmic` | one positive factor for the whole array; else every entry is free by itself |
    | `scale` | where there is no prior: a change of the entries that would matter, in their unit |

        Quantity("bed", lambda p: p.supports[0].stiffness, "N/m³", spread=1.0, logarithmic=True)
    """

    def __init__(
        self,
        name: str,
        where: Callable[[Any], Any],
        unit: str = "",
        *,
        spread: float | None = None,
        logarithmic: bool = False,
        scale: float = 1.0,
        size: int = 1,
    ) -> None:
        for what, value in (("spread", 1.0 if spread is None else spread), ("scale", scale)):
            if not (np.isfinite(value) and value > 0):
                raise SolverError(f"a {what} of {value} is not possible", where=f"Quantity {name!r}")
        self.label, self.where, self.unit, self.prior = name, where, unit, spread
        self.spread = float(scale if spread is None else spread)
        self.logarithmic, self.count = logarithmic, 1 if logarithmic else size
        self._given: np.ndarray | None = None

    @property
    def size(self) -> int:
        """1, or the number of entries."""
        return self.count

    @property
    def flat(self) -> Bool[np.ndarray, " n"]:
        """All or none."""
        return np.full(self.size, self.prior is None)

    @property
    def limit(self) -> float:
        """A factor of 4.5 for a logarithmic one."""
        return 1.5 / self.spread if self.logarithmic else np.inf

    def apply(self, setting: Setting, coordinates: Float[Array, " n"]) -> Setting:
        """Puts the changed array in."""
        given = self.where(setting.problem)
        if self._given is None:
            self._given = np.asarray(given)
            if not self.logarithmic and self._given.size != self.count:
                raise SolverError(
                    f"the array has {self._given.size} entries, not {self.count}",
                    where=f"Quantity {self.label!r}",
                    advice=f"Give size={self._given.size}",
                )
        change = self.spread * coordinates
        value = given * jnp.exp(change[0]) if self.logarithmic else given + jnp.reshape(change, jnp.shape(given))
        return eqx.tree_at(lambda s: self.where(s.problem), setting, value)

    def report(self, coordinates: np.ndarray) -> list[Reported]:
        """Each entry, or the common factor times the first entry."""
        given = np.atleast_1d(np.zeros(1) if self._given is None else self._given).ravel()
        if self.logarithmic:
            return [Reported(self.label, self.unit, float(given[0]), self.spread, logarithmic=True)]
        names = [self.label] if self.count == 1 else [f"{self.label}[{k}]" for k in range(self.count)]
        return [
            Reported(n, self.unit, float(g), self.spread, logarithmic=False) for n, g in zip(names, given, strict=True)
        ]
