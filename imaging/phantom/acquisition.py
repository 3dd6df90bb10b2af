"""What the scanner adds: point spread, correlated noise, tissue texture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft, ndimage

from .shapes import Array

APODISATION_PER_MM = 0.35
"""Frequency (1/mm) at which the reconstruction kernel has fallen to 1/e: a soft-tissue kernel."""
TEXTURE_MM = (4.0, 11.0)
"""Grain sizes of the biological variation."""


def noise_transfer(shape: tuple[int, int], spacing: tuple[float, float]) -> NDArray[np.float32]:
    """(ny, nx//2 + 1) amplitude of filtered back-projection noise over in-plane frequency.

    The noise power of a reconstruction is that of the ramp filter times the kernel's
    window squared, NPS(f) ∝ f·W(f)² (Riederer, Pelc and Chesler, Phys. Med. Biol. 23 (1978)
    446). Scaled so that white noise of unit variance keeps unit variance.
    """
    frequency_y = fft.fftfreq(shape[0], spacing[0])[:, None]
    frequency_x = fft.rfftfreq(shape[1], spacing[1])[None, :]
    frequency = np.hypot(frequency_x, frequency_y)
    nyquist = 0.5 / max(spacing)
    cutoff = min(APODISATION_PER_MM, 0.7 * nyquist)
    power = frequency * np.exp(-2 * (frequency / cutoff) ** 2)
    # rfft keeps half of the plane: inner columns count twice in the variance.
    twice = np.full(power.shape[1], 2.0)
    twice[0] = 1.0
    if shape[1] % 2 == 0:
        twice[-1] = 1.0
    mean = (power * twice).sum() / (shape[0] * shape[1])
    return np.sqrt(power / mean).astype(np.float32)


def noise_slice(k: int, shape: tuple[int, int], transfer: NDArray[np.float32], seed: int) -> Array:
    """(ny, nx) noise of unit standard deviation for slice k; the same for any slab division."""
    white = np.random.default_rng([seed, 0x4E, k]).standard_normal(shape, dtype=np.float32)
    return fft.irfft2(fft.rfft2(white) * transfer, s=shape).astype(np.float32)


class Texture:
    """A correlated random field of unit variance, fixed in the patient (not in the grid)."""

    def __init__(self, low: NDArray[np.float64], high: NDArray[np.float64], seed: int) -> None:
        rng = np.random.default_rng([seed, 0x7E])
        self._lattices = []
        for step, weight in zip(TEXTURE_MM, (0.8, 0.6), strict=True):
            origin = np.floor(low / step) * step - 2 * step
            count = np.ceil((high - origin) / step).astype(int) + 3
            values = ndimage.gaussian_filter(rng.standard_normal(count[::-1], dtype=np.float32), 0.7, mode="wrap")
            self._lattices.append((step, origin, values * np.float32(weight / values.std())))

    def sample(self, x: Array, y: Array, z: Array) -> Array:
        """(nz, ny, nx) at the tensor product of the coordinates (mm)."""
        total = np.zeros((len(z), len(y), len(x)), dtype=np.float32)
        for step, origin, values in self._lattices:
            weights = [
                _linear_weights((c - o) / step, n)
                for c, o, n in zip((x, y, z), origin, values.shape[::-1], strict=True)
            ]
            coarse = np.tensordot(weights[2], values, axes=(1, 0))
            coarse = np.tensordot(coarse, weights[0], axes=(2, 1))
            total += np.matmul(weights[1][None], coarse)
        return total


def _linear_weights(position: NDArray, count: int) -> NDArray[np.float32]:
    """(n, count) matrix of linear interpolation."""
    weights = np.zeros((len(position), count), dtype=np.float32)
    index = np.clip(np.floor(position).astype(int), 0, count - 2)
    fraction = (position - index).astype(np.float32)
    rows = np.arange(len(position))
    weights[rows, index] = 1 - fraction
    weights[rows, index + 1] = fraction
    return weights


def blur_in_plane(hu: Array, spacing: tuple[float, float], sigma_mm: float) -> Array:
    """The in-plane point spread of the reconstruction, (nz, ny, nx)."""
    if sigma_mm <= 0:
        return hu
    return ndimage.gaussian_filter(hu, (0, sigma_mm / spacing[1], sigma_mm / spacing[0]), mode="nearest")
