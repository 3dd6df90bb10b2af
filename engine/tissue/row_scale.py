"""What makes pressures [Pa] comparable with displacements [m] in one field of unknowns."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float
from numpy.typing import NDArray

from .elements.mixed import small_strain_shear
from .materials import batch_last
from .model import Model


def row_scale(model: Model) -> NDArray[np.float64]:
    """(rows, 1): 1 for a displacement; for a pressure μ/h [Pa/m].

    With p = s q both equations are forces and all blocks of the tangent are of the size μ h: mean shear modulus of the
    mixed elements over the mean distance of their nodes.
    """
    scale = np.ones((model.nodes + len(model.pressure_corners), 1))
    if len(model.pressure_corners):
        mixed = [block for block in model.blocks if block.element.pressures]
        shear = [small_strain_shear(batch_last(block.material)) for block in mixed]
        extent = float(np.ptp(np.asarray(model.points), axis=0).max())
        mean = float(np.concatenate([np.asarray(values) for values in shear]).mean())
        scale[model.nodes :] = mean * model.nodes ** (1 / 3) / extent
    return scale


def traced_row_scale(model: Model) -> Float[Array, "rows 1"]:
    """`row_scale` of a model whose arrays may be traced; a unit is not differentiated."""
    one = jnp.ones((model.nodes, 1))
    mixed = [block for block in model.blocks if block.element.pressures]
    if not mixed:
        return one
    shear = jnp.concatenate([jnp.ravel(small_strain_shear(batch_last(block.material))) for block in mixed])
    size = jnp.mean(shear) * model.nodes ** (1 / 3) / jnp.max(jnp.ptp(model.points, axis=0))
    return jax.lax.stop_gradient(jnp.concatenate([one, jnp.full((len(model.pressure_corners), 1), size)]))
