"""Forces on the volume."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ....imaging.errors import SolverError
from .. import given
from ..block import ElementBlock
from ..elements.base import Element
from ..model import Model
from ..terms import Schedule, Term, schedule

STANDARD_GRAVITY = 9.80665
"""m/s² (CGPM 1901)."""
FASTEST = 5000.0
"""m/s²: 500 g, a hard blow to the head; 9806.65 is gravity in mm/s²."""


class Gravity(eqx.Module):
    """Weight: f = ∫ ρ g N dV.

    | symbol | meaning | unit |
    |---|---|---|
    | g `acceleration` | in LPS axes; (0, +9.80665, 0) for a patient lying on the back | m/s² |
    | ρ | the region's density | kg/m³ |
    """

    acceleration: Float[Array, "3"]
    when: Schedule

    def __init__(
        self, acceleration: Sequence[float] = (0.0, STANDARD_GRAVITY, 0.0), *, during: Sequence[float] = (0.0, 1.0)
    ) -> None:
        self.when = schedule(during, "gravity")
        self.acceleration = given.array(acceleration, "an acceleration", "gravity", (3,), advice="Give x, y, z in m/s²")
        given.small(self.acceleration, FASTEST, "an acceleration", "m/s²", "gravity", "Give m/s²: gravity is 9.80665")

    def bind(self, model: Model) -> list[Term]:
        """One term per element block."""
        return [
            BodyTerm(
                block.vertices,
                self.acceleration * (block.density * block.element.section(block.material))[:, None],
                block.element,
                self.when,
                None,
            )
            for block in model.blocks
        ]


class BodyForce(eqx.Module):
    """A force per reference volume b(X) [N/m³], given as a function of the reference position (3,) [m]."""

    density: Callable[[Array], Array] = eqx.field(static=True)
    when: Schedule

    def __init__(self, density: Callable[[Array], Array], *, during: Sequence[float] = (0.0, 1.0)) -> None:
        if not callable(density):
            advice = "Give a function of the reference position (3,) m that returns (3,) N/m³"
            raise SolverError(f"a {type(density).__name__} is no body force", where="body force", advice=advice)
        self.density, self.when = density, schedule(during, "body force")

    def check(self, model: Model) -> None:
        """It is a force at every node.

        Raises:
            SolverError: it is not; the shape or the first entry that is not finite is told.
        """
        advice = "Return x, y, z in N/m³"
        given.array(self.density(model.points[0]), "a body force", "body force", (3,), advice=advice)
        values = jax.vmap(self.density)(model.points)
        given.array(values, "a body force at the nodes", "body force", model.points.shape, advice=advice)

    def bind(self, model: Model) -> list[Term]:
        """One term per element block."""
        return [
            BodyTerm(block.vertices, _ones(block), block.element, self.when, self.density) for block in model.blocks
        ]


def _ones(block: ElementBlock) -> Array:
    return jnp.ones((len(block.nodes), 3)) * jnp.reshape(block.element.section(block.material), (-1, 1))


class BodyTerm(Term):
    """∫ b N dV over one element, by the rule for loads; `intensity` holds thickness or area where there is one."""

    nodes: Int[Array, "groups m"]
    intensity: Float[Array, "groups 3"]
    element: Element = eqx.field(static=True)
    when: Schedule
    field: Callable[[Array], Array] | None = eqx.field(static=True)

    @property
    def dead(self) -> bool:
        """Always."""
        return True

    def force(self, reference: Array, displacement: Array, fraction: Array) -> Array:
        """Consistent nodal forces [N]."""
        rule = self.element.load_quadrature
        shape = jnp.asarray(self.element.shape(rule.points))
        _, weight = self.element.geometry(reference[None], rule)
        weight = weight[:, 0] * self.when(fraction)
        if self.field is None:
            return (weight @ shape)[:, None] * self.intensity
        values = jax.vmap(self.field)(shape @ reference) * self.intensity
        return jnp.einsum("q,qa,qi->ai", weight, shape, values)
