"""`ShellSection`: a `Sheet` with what a shell must know of its edges; made by the model, not by the user."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from ..tensors import Scalar, Tensor
from .base import batch_last
from .sheet import Sheet, sheet_moduli

FREE, JOINED, HELD = 0.0, 1.0, 2.0
"""What becomes of the slope at an edge of a shell: nothing holds it; a neighbour does; it stays as it was."""


class ShellSection(eqx.Module):
    """A sheet that bends.

    | symbol | meaning | unit |
    |---|---|---|
    | `sheet` | material and thickness | – |
    | `edges` | of each of three edges: 0 free, 1 joined to a neighbour, 2 slope held | – |
    | D `rigidity` | A h³/12, A the in-plane modulus at rest; weighs kinks between elements | N m |
    """

    sheet: Sheet
    edges: Float[Array, "elements 3"]
    rigidity: Scalar
    dimension: ClassVar[int] = 2
    vectors: ClassVar[dict[str, tuple[int, ...]]] = {"edges": (3,)}

    @classmethod
    def of(cls, sheet: Sheet, edges: np.ndarray) -> ShellSection:
        """For a sheet with one value of every parameter per element."""
        rest = [jnp.full(len(edges), v) for v in (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)]
        frame = [jnp.full(len(edges), v) for v in (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)]
        modulus = sheet_moduli(batch_last(sheet), rest, frame)[0, 0]
        return cls(sheet, jnp.asarray(edges, float), modulus * sheet.thickness**3 / 12.0)

    @property
    def thickness(self) -> Scalar:
        """Of the sheet [m]."""
        return self.sheet.thickness

    def problems(self) -> list[str]:
        """Of the sheet."""
        return self.sheet.problems()

    def at(self, fraction: Any) -> Self:
        """With its sheet at a load fraction."""
        return eqx.tree_at(lambda whole: whole.sheet, self, self.sheet.at(fraction))

    def prepared(self, points: int) -> Self:
        """With room for its sheet's history at so many points, all layers counted."""
        return eqx.tree_at(lambda whole: whole.sheet, self, self.sheet.prepared(points))

    def stepped(self, seconds: Scalar) -> Self:
        """With its sheet in a time step of this length."""
        return eqx.tree_at(lambda whole: whole.sheet, self, self.sheet.stepped(seconds))

    def advanced(self, deformation_gradient: Tensor) -> Self:
        """With its sheet's history moved on."""
        return eqx.tree_at(lambda whole: whole.sheet, self, self.sheet.advanced(deformation_gradient))
