"""Darker crevices, from the depth image of a rendering.

After Luft, Colditz & Deussen 2006 (doi:10.1145/1141911.1142016): what lies behind the mean of its surroundings is
darkened, which costs a software renderer next to nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def crevice_shade(
    depth: NDArray[np.float64], hit: NDArray[np.bool_], size: tuple[int, int], mm_per_pixel: float, strength: float
) -> NDArray[np.float64] | None:
    """Factors in [0, 1] by which to multiply a picture; None where nothing is in it.

    Args:
        depth: (h, w) mm from the camera's near plane, at half of the picture's resolution.
        hit: (h, w) where a surface is.
        size: (width, height) of the picture and so of the answer, in pixels.
        mm_per_pixel: of the picture.
        strength: how far the deepest recess is darkened, in [0, 1].
    """
    from scipy.ndimage import gaussian_filter, zoom

    if not hit.any():
        return None
    factor = np.ones_like(depth)
    for sigma_mm, weight_mm in ((6.0, 14.0), (18.0, 42.0)):
        sigma = sigma_mm / (mm_per_pixel * 2)
        weight = gaussian_filter(hit.astype(float), sigma, truncate=2.5)
        mean = gaussian_filter(np.where(hit, depth, 0.0), sigma, truncate=2.5) / np.maximum(weight, 1e-3)
        recess = np.clip((depth - mean) / weight_mm, 0, 1)
        factor -= np.where(hit, strength * 0.5 * recess, 0.0)
    scale = np.array(size[::-1]) / np.array(factor.shape)
    return np.clip(zoom(factor, scale, order=1), 0, 1)
