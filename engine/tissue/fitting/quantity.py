"""Any float array of a problem as an unknown: a density, a spring's stiffness, a traction, a path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ....imaging.errors import SolverError
from .. import given
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
        place = f"Quantity {name!r}"
        spread = None if spread is None else given.number(spread, "a spread", place, above=0.0)
        scale, size = given.number(scale, "a scale", place, above=0.0), given.whole(size, "entries", place)
        if not callable(where):
            advice = "Give a function of the problem: lambda p: p.supports[0].stiffness"
            raise SolverError(f"a {type(where).__name__} points nowhere", where=place, advice=advice)
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
        found = self._array(setting.problem)
        if self._given is None:
            self._given = np.asarray(found)
            if not self.logarithmic and self._given.size != self.count:
                raise SolverError(
                    f"the array has {self._given.size} entries, not {self.count}",
                    where=f"Quantity {self.label!r}",
                    advice=f"Give size={self._given.size}",
                )
        change = self.spread * coordinates
        value = found * jnp.exp(change[0]) if self.logarithmic else found + jnp.reshape(change, jnp.shape(found))
        return eqx.tree_at(lambda s: self.where(s.problem), setting, value)

    def _array(self, problem: Any) -> Array:
        found: Any
        try:
            found = self.where(problem)
        except (AttributeError, IndexError, KeyError):
            found = None
        if not eqx.is_inexact_array(found):
            raise SolverError(
                f"the problem has no array of floats there, but a {type(found).__name__}",
                where=f"Quantity {self.label!r}",
                advice="Point at one: lambda p: p.supports[0].stiffness",
            )
        return found

    def report(self, coordinates: np.ndarray) -> list[Reported]:
        """Each entry, or the common factor times the first entry."""
        before = np.atleast_1d(np.zeros(1) if self._given is None else self._given).ravel()
        if self.logarithmic:
            return [Reported(self.label, self.unit, float(before[0]), self.spread, logarithmic=True)]
        names = [self.label] if self.count == 1 else [f"{self.label}[{k}]" for k in range(self.count)]
        return [
            Reported(n, self.unit, float(g), self.spread, logarithmic=False) for n, g in zip(names, before, strict=True)
        ]
