"""What makes pressures [Pa] comparable with displacements [m] in one field of unknowns."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .model import Model


def row_scale(model: Model) -> NDArray[np.float64]:
    """(rows, 1): 1 for a displacement; for a pressure μ/h [Pa/m].

    With p = s q both equations are forces and all blocks of the tangent are of the size μ h: mean shear modulus of the
    mixed elements over the mean distance of their nodes.
    """
    scale = np.ones((len(model.points), 1))
    if model.nodes < len(model.points):
        mixed = [block for block in model.blocks if block.element.pressures]
        shear = [np.broadcast_to(np.asarray(block.material.small_strain_shear()), len(block.nodes)) for block in mixed]
        extent = float(np.ptp(np.asarray(model.points), axis=0).max())
        scale[model.nodes :] = float(np.concatenate(shear).mean()) / (extent / model.nodes ** (1 / 3))
    return scale
