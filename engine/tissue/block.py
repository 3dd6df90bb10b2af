"""A body's elements of one type and one material class."""

from __future__ import annotations

from dataclasses import replace

import equinox as eqx
from jaxtyping import Array, Float, Int

from .elements.base import Element
from .materials import Material


class ElementBlock(eqx.Module):
    """Elements of one type and one material class.

    Attributes:
        nodes: rows of each element's unknowns: its nodes, then its pressures if it is mixed.
        material: every parameter an array over the elements of the block.
        density: kg/m³.
        region: label id.
        source: number of the element: its place in the mesh, elements added later after those of the mesh.
    """

    element: Element = eqx.field(static=True)
    nodes: Int[Array, "elements nodes_per_element"]
    material: Material
    density: Float[Array, " elements"]
    region: Int[Array, " elements"]
    source: Int[Array, " elements"]

    @property
    def stiffest(self) -> ElementBlock:
        """With cables taut and sheets without wrinkles: what bounds the step of the explicit solver."""
        return replace(self, material=getattr(self.material, "stiffest", self.material))

    @property
    def vertices(self) -> Int[Array, "elements nodes_per_element"]:
        """The nodes of each element, without the rows of its pressures."""
        return self.nodes[:, : self.element.nodes]
