"""From the textbook patient to an individual: sizes drawn by the seed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .parameters import Aneurysm, PhantomParameters, Tumour

# Coefficients of variation between adults, about: trunk 5-6 %, organs' length 5-8 %.
TRUNK, ORGAN, FAT, CONTRAST = 0.05, 0.06, 0.25, 0.10


def individual(parameters: PhantomParameters) -> PhantomParameters:
    """The parameters of this seed's patient; the given ones where `variation` is 0.

    Draws are normal, cut at two standard deviations. Every length that is given is the
    middle of its distribution.
    """
    if parameters.variation == 0:
        return parameters
    rng = np.random.default_rng([parameters.seed, 0xB0])

    def factor(deviation: float) -> float:
        return float(1 + parameters.variation * deviation * np.clip(rng.normal(), -2, 2))

    half_axes = parameters.body_half_axes_mm
    half_axes = (half_axes[0] * factor(TRUNK), half_axes[1] * factor(TRUNK))
    scale = np.array([*np.divide(half_axes, parameters.body_half_axes_mm), 1.0])
    drawn = replace(
        parameters,
        body_half_axes_mm=half_axes,
        fat_scale=parameters.fat_scale * factor(FAT),
        enhancement=parameters.enhancement * factor(CONTRAST),
        liver_scale=parameters.liver_scale * factor(0.6 * ORGAN),
        kidney_scale=parameters.kidney_scale * factor(ORGAN),
        spleen_scale=parameters.spleen_scale * factor(ORGAN),
    )
    tumours = tuple(_tumour(t, scale, parameters.variation, factor, rng) for t in parameters.tumours)
    aneurysm = None if parameters.aneurysm is None else _aneurysm(parameters.aneurysm, factor)
    return replace(drawn, tumours=tumours, aneurysm=aneurysm)


def _tumour(tumour: Tumour, scale: np.ndarray, amount: float, factor, rng: np.random.Generator) -> Tumour:
    x, y, z = np.array(tumour.centre) * scale + amount * 3.0 * np.clip(rng.normal(size=3), -2, 2)
    a, b, c = (radius * factor(0.15) for radius in tumour.radii)
    return Tumour((float(x), float(y), float(z)), (a, b, c), tumour.kind)


def _aneurysm(a: Aneurysm, factor) -> Aneurysm:
    return replace(
        a,
        neck_length=a.neck_length * factor(0.15),
        neck_diameter=a.neck_diameter * factor(0.06),
        maximum_diameter=a.maximum_diameter * factor(0.08),
        thrombus_thickness=a.thrombus_thickness * factor(0.15),
        iliac_diameter=a.iliac_diameter * factor(0.08),
        iliac_angle_deg=a.iliac_angle_deg * factor(0.15),
    )
