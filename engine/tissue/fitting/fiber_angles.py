"""Unknown directions of fibres: angles in a plane that the body gives, by depth in a wall or by region."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float
from numpy.typing import NDArray

from ....imaging.errors import SolverError
from .. import given
from ..fibers import WallFrame
from ..materials import Material
from ..model import Model
from .setting import Reported, Setting, Unknown

STEP = 30.0
"""Largest change of an angle in one step [°]."""
PLAIN: Mapping[str, float] = {"fiber": 1.0}


class FiberAngles(Unknown):
    """f = cos α c + sin α l in every element, α a weighted mean of unknown angles.

    | symbol | meaning | unit |
    |---|---|---|
    | c `around`, l `along` | unit vectors at right angles, of each element of the mesh (E, 3), LPS | – |
    | `weights` | of each angle in each element (E, n); a row of zeros leaves the element's fibre as it is | – |
    | `angles` | first guess, by name | ° |
    | `spread` | prior standard deviation; None: no prior | ° |
    | `fields` | which directions of the material turn, and by which multiple of α | – |

        FiberAngles.helix(WallFrame.of(mesh, wall, axis=(0, 0, 1)), inner=60.0, outer=-60.0)
        families = {"first_fiber": 1.0, "second_fiber": -1.0}
        FiberAngles.by_region(model, (1, 0, 0), (0, 1, 0), {"media": 30.0}, fields=families)

    A fibre has no sense: α and α + 180° are the same, and where only its square counts so may be α and −α.
    """

    def __init__(
        self,
        around: NDArray,
        along: NDArray,
        weights: NDArray,
        angles: Mapping[str, float],
        *,
        spread: float | None = None,
        fields: Mapping[str, float] = PLAIN,
    ) -> None:
        place = "FiberAngles"
        self.label, self.names = "fibre angles", list(angles)
        self.first = np.array(
            [given.number(v, f"angle {k!r}", place, advice="Give degrees") for k, v in angles.items()]
        )
        self.prior = (
            None if spread is None else given.number(spread, "a spread", place, above=0.0, advice="Give degrees")
        )
        self.spread = STEP if self.prior is None else float(self.prior)
        self.around, self.along = (np.asarray(given.array(v, "a direction", place, (None, 3))) for v in (around, along))
        self.weights = np.asarray(given.array(weights, "a weight", place, (len(self.around), len(self.first))))
        self.fields = dict(fields)
        off = np.abs(np.einsum("ei,ei->e", self.around, self.along)).max(initial=0.0)
        sizes = np.linalg.norm(np.stack([self.around, self.along]), axis=-1)
        if self.along.shape != self.around.shape or off > 1e-6 or np.abs(sizes - 1.0).max(initial=0.0) > 1e-6:
            raise SolverError("c and l are no unit vectors at right angles", where=place, advice="Use fibers.WallFrame")

    @classmethod
    def helix(cls, frame: WallFrame, *, inner: float, outer: float, **options: Any) -> FiberAngles:
        """The rule of `fibers.helix`: α linear in the depth, from the inner to the outer surface of a wall."""
        weights = np.stack([1.0 - frame.depth, frame.depth], axis=1)
        return cls(frame.around, frame.along, weights, {"inner": inner, "outer": outer}, **options)

    @classmethod
    def by_region(
        cls, model: Model, around: NDArray, along: NDArray, angles: Mapping[str, float], **options: Any
    ) -> FiberAngles:
        """One angle in each region named; `around`, `along` (3,) or of each element of the mesh (E, 3)."""
        elements = 1 + max(int(np.asarray(block.source).max()) for block in model.blocks)
        labels = {name: label for label, name in model.region_names}
        weights = np.zeros((elements, len(angles)))
        for column, name in enumerate(angles):
            if name not in labels:
                advice = f"Choose from {sorted(labels)}"
                raise SolverError(f"the model has no region {name!r}", where="FiberAngles", advice=advice)
            for block in model.blocks:
                chosen = np.asarray(block.source)[np.asarray(block.region) == labels[name]]
                weights[chosen, column] = 1.0
        plane = [np.broadcast_to(np.asarray(v, float), (elements, 3)) for v in (around, along)]
        return cls(plane[0], plane[1], weights, angles, **options)

    @property
    def size(self) -> int:
        """One per angle."""
        return len(self.first)

    @property
    def flat(self) -> Bool[np.ndarray, " n"]:
        """All or none."""
        return np.full(self.size, self.prior is None)

    @property
    def limit(self) -> float:
        """30° in one step."""
        return STEP / self.spread

    def directions(self, angles: Float[Array, " n"], multiple: float = 1.0) -> Float[Array, "elements 3"]:
        """Of every element of the mesh, for angles [°]."""
        turned = jnp.radians(multiple * (jnp.asarray(self.weights) @ angles))[:, None]
        return jnp.cos(turned) * self.around + jnp.sin(turned) * self.along

    def apply(self, setting: Setting, coordinates: Float[Array, " n"]) -> Setting:
        """Turns the fibres of all materials that have the fields.

        Raises:
            SolverError: no material has them, or one has a direction at each quadrature point.
        """
        angles, changed = jnp.asarray(self.first) + self.spread * coordinates, 0
        for name, multiple in self.fields.items():
            whole = self.directions(angles, multiple)
            for number, block in enumerate(setting.problem.model.blocks):
                path = _carrier(block.material, name)
                source = np.asarray(block.source)
                if path is None or source.max() >= len(whole):
                    continue
                before = getattr(_at(block.material, path), name)
                if before.shape != (len(source), 3):
                    told = f"{name!r} of a {block.material.name} has the shape {before.shape}"
                    raise SolverError(told, where="FiberAngles", advice="Give one direction for each element")
                own = (self.weights[source] != 0.0).any(axis=1)[:, None]
                turned, changed = jnp.where(own, whole[source], before), changed + int(own.any())
                setting = eqx.tree_at(
                    lambda s, k=number, p=path, n=name: getattr(_at(s.problem.model.blocks[k].material, p), n),
                    setting,
                    turned,
                )
        if not changed:
            raise SolverError(
                f"no material of these elements has the directions {list(self.fields)}",
                where="FiberAngles",
                advice="Name the material's own: fields={'first_fiber': 1, 'second_fiber': -1}",
            )
        return setting

    def report(self, coordinates: np.ndarray) -> list[Reported]:
        """Each angle."""
        return [
            Reported(f"angle {name!r}", "°", float(first), self.spread, logarithmic=False)
            for name, first in zip(self.names, self.first, strict=True)
        ]


def _carrier(material: Material, name: str) -> int | None:
    """How many wrappers (viscosity, contraction) deep the material with a field lies; None where none has it."""
    depth, inner = 0, material
    while not hasattr(inner, name):
        inner, depth = getattr(inner, "base", None), depth + 1
        if inner is None:
            return None
    return depth


def _at(material: Material, depth: int) -> Any:
    for _ in range(depth):
        material = material.base  # pyright: ignore[reportAttributeAccessIssue]
    return material
