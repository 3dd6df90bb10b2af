"""Landmarks and numbers that follow from the analytic anatomy."""

from __future__ import annotations

from math import pi

import numpy as np
from scipy.integrate import quad

from .organs import kidney_centre
from .patient import Patient


def measure(patient: Patient) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """(landmarks in LPS mm, numbers with their unit at the end of the name)."""
    landmarks: dict[str, np.ndarray] = {}
    truth: dict[str, float] = {}
    for n, tumour in enumerate(patient.frame.parameters.tumours, start=1):
        landmarks[f"tumour_{n}"] = np.array(tumour.centre)
        truth[f"tumour_{n}_volume_ml"] = 4e-3 / 3 * pi * float(np.prod(tumour.radii))
        truth[f"tumour_{n}_largest_diameter_mm"] = 2 * max(tumour.radii)
    landmarks["liver_edge"] = liver_edge(patient)
    landmarks["kidney_left"] = kidney_centre(patient.frame, 1)
    landmarks["kidney_right"] = kidney_centre(patient.frame, -1)
    _measure_aorta(patient, landmarks, truth)
    return landmarks, truth


def _measure_aorta(patient: Patient, landmarks: dict[str, np.ndarray], truth: dict[str, float]) -> None:
    aorta, aneurysm = patient.aorta, patient.frame.parameters.aneurysm
    landmarks["aortic_bifurcation"] = aorta.bifurcation
    for side, name in ((1, "left"), (-1, "right")):
        landmarks[f"iliac_{name}"] = aorta.iliac(side)[12]
    if aneurysm is None:
        return
    top, bottom = aorta.sac
    z = np.linspace(bottom, top, 2001)
    widest = float(z[np.argmax(aorta.outer_radius(z))])
    x, y = aorta.centre(widest)
    landmarks["aneurysm_centre"] = np.array([float(x), float(y), widest])
    landmarks["aneurysm_neck_end"] = np.array([*(float(v) for v in aorta.centre(top)), top])
    truth["aneurysm_maximum_outer_diameter_mm"] = 2 * float(aorta.outer_radius(widest))
    truth["aneurysm_lumen_diameter_mm"] = 2 * float(aorta.lumen(widest)[2])
    truth["aneurysm_neck_length_mm"] = aneurysm.neck_length
    truth["aneurysm_neck_diameter_mm"] = 2 * aorta.neck_radius
    # Sections are circles inside circles, so volumes are integrals over the height.
    outer = quad(lambda h: pi * float(aorta.outer_radius(h)) ** 2, bottom, top, limit=200)[0]
    lumen = quad(lambda h: pi * float(aorta.lumen(h)[2]) ** 2, bottom, top, limit=200)[0]
    truth["aneurysm_sac_volume_ml"] = outer / 1000
    truth["aneurysm_thrombus_volume_ml"] = (outer - lumen) / 1000


def liver_edge(patient: Patient) -> np.ndarray:
    """(3,) LPS mm: a point 4 mm inside the lowest part of the right lobe's front margin."""
    x = np.arange(-150.0, -40.0, 2.0, dtype=np.float32)
    y = np.arange(-115.0, 0.0, 2.0, dtype=np.float32)
    z = np.arange(-60.0, 100.0, 2.0, dtype=np.float32)
    value = patient.liver.distance(x, y, z)
    # The liver's function reaches 4 mm into the wall.
    k, j, i = np.nonzero(value < -8.0)
    lowest = np.argmin(z[k] + 0.5 * y[j])
    return np.array([x[i[lowest]], y[j[lowest]], z[k[lowest]]], dtype=np.float64)
