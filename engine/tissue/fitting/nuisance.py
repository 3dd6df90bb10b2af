"""Numbers known only by a range or within an error, as unknowns beside those that are looked for.

What a fit holds fixed it takes as known. A `Nuisance` is a further unknown with a prior, so that the intervals of the
other numbers have in them what it may be; any number of the setting can be one:

    nu = poisson_ratio(0.45, 0.5)
    length = Nuisance("length", stretched, "m", mean=0.178, spread=5e-4)   # stretched(setting, value) -> setting
    found = fit(problem, [RegionStiffness(("*",)), nu, length, *pose(5e-4, 0.01)], [seen])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import equinox as eqx
import numpy as np
from jaxtyping import Array, Bool, Float

from ....imaging.errors import SolverError
from .. import given
from ..block import ElementBlock
from ..model import Model
from .moduli import with_poisson_ratio
from .setting import Reported, Setting, Unknown

Put = Callable[[Setting, Array], Setting]
"""The setting with a number in place; differentiable."""
INCOMPRESSIBLE = 0.5 - 1e-7
"""ν whose K is 10⁶ E and more: finite, and so are derivatives by ν."""
ENDS = np.sqrt(3.0)
"""Where a range ends, in standard deviations of the uniform law over it."""


class Nuisance(Unknown):
    """One number, however it enters.

    | symbol | meaning |
    |---|---|
    | `put` | `put(setting, value) -> setting` changes what depends on the number and leaves the rest, in any order |
    | `between` | (low, high): known by a range. The prior has mean and variance of the uniform law; none outside |
    | `mean`, `spread` | known within an error: normal prior |

    Give `between`, or `mean` and `spread`.
    """

    def __init__(
        self,
        name: str,
        put: Put,
        unit: str = "",
        *,
        between: tuple[float, float] | None = None,
        mean: float | None = None,
        spread: float | None = None,
    ) -> None:
        place = f"Nuisance {name!r}"
        if not callable(put):
            advice = "Give a function of (setting, value)"
            raise SolverError(f"a {type(put).__name__} puts no number in place", where=place, advice=advice)
        if (between is None) == (mean is None) or (mean is None) != (spread is None):
            raise SolverError("what is known of it is not said", where=place, advice="between, or mean and spread")
        self.label, self.put, self.unit, self.ranged = name, put, unit, between is not None
        if between is not None:
            low, high = np.asarray(given.array(between, "a range", place, (2,), advice="Give low and high"))
            if not low < high:
                raise SolverError(f"a range from {low:g} to {high:g} is empty", where=place, advice="Give low, high")
            self.mean, self.spread = 0.5 * (low + high), 0.5 * (high - low) / ENDS
        else:
            self.mean = given.number(mean, "a mean", place)
            self.spread = given.number(spread, "a spread", place, above=0.0)

    @property
    def size(self) -> int:
        """One."""
        return 1

    @property
    def bounds(self) -> tuple[float, float]:
        """The ends of a range."""
        return (-ENDS, ENDS) if self.ranged else (-np.inf, np.inf)

    @property
    def limit(self) -> float:
        """Two standard deviations in one step."""
        return 2.0

    def apply(self, setting: Setting, coordinates: Float[Array, " n"]) -> Setting:
        """Puts the number in."""
        found = self.put(setting, self.mean + self.spread * coordinates[0])
        if not isinstance(found, Setting):
            told = f"putting it in place gives a {type(found).__name__}"
            raise SolverError(told, where=f"Nuisance {self.label!r}", advice="Return the setting")
        return found

    def report(self, coordinates: np.ndarray) -> list[Reported]:
        """The number."""
        return [Reported(self.label, self.unit, self.mean, self.spread, logarithmic=False)]


def poisson_ratio(low: float, high: float, regions: Sequence[str] = ("*",)) -> Nuisance:
    """Small-strain ν of isotropic regions, known by a range; Young's modulus stays.

    Displacement elements lock towards 0.5, mixed ones bear 0.5 itself.

    Raises:
        SolverError: an empty range, one beyond −1 or 0.5, or a law that has no ν; no such region.
    """
    place = "poisson_ratio"
    low, high = (given.number(v, "Poisson's ratio", place, above=-1.0, high=0.5) for v in (low, high))

    def put(setting: Setting, value: Array) -> Setting:
        model = setting.problem.model
        chosen = [_chosen(model, block, regions) for block in model.blocks]
        materials = [
            with_poisson_ratio(b.material, value, own) if own.any() else b.material
            for b, own in zip(model.blocks, chosen, strict=True)
        ]
        return eqx.tree_at(lambda s: [b.material for b in s.problem.model.blocks], setting, materials)

    return Nuisance("Poisson's ratio" + _of(regions), put, between=(low, min(high, INCOMPRESSIBLE)))


def pose(shift: float, turn: float) -> list[Nuisance]:
    """Where the frame of the observations lies, about the model's: six numbers.

    Args:
        shift: standard deviation along each axis [m].
        turn: about each axis [rad], around the middle of the nodes.
    """
    shift = given.number(shift, "a shift", "pose", above=0.0, advice="Give m")
    turn = given.number(turn, "a turn", "pose", above=0.0, below=0.5, advice="Give rad")

    def moved(axis: int) -> Put:
        return lambda s, v: eqx.tree_at(lambda t: t.translation, s, s.translation.at[axis].set(v))

    def turned(axis: int) -> Put:
        return lambda s, v: eqx.tree_at(lambda t: t.rotation, s, s.rotation.at[axis].set(v))

    shifts = [Nuisance(f"shift along {a}", moved(k), "m", mean=0.0, spread=shift) for k, a in enumerate("xyz")]
    turns = [Nuisance(f"turn about {a}", turned(k), "rad", mean=0.0, spread=turn) for k, a in enumerate("xyz")]
    return [*shifts, *turns]


def _chosen(model: Model, block: ElementBlock, regions: Sequence[str]) -> Bool[np.ndarray, " elements"]:
    """Which elements of a block lie in the regions."""
    names = {name: label for label, name in model.region_names}
    if "*" in regions:
        return np.ones(len(block.nodes), bool)
    missing = [name for name in regions if name not in names]
    if missing:
        told = f"no region is named {missing[0]!r}"
        raise SolverError(told, where="poisson_ratio", advice=f"Choose from {sorted(names)}")
    return np.isin(np.asarray(block.region), [names[name] for name in regions])


def _of(regions: Sequence[str]) -> str:
    return "" if "*" in regions else " of " + " and ".join(regions)
