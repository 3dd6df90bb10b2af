"""Landmarks and numbers that follow from the analytic anatomy."""

from __future__ import annotations

from math import pi

import numpy as np

from .organs import kidney_centre
from .patient import Patient


def measure(patient: Patient) -> tuple[dict[str, np.ndarray], dict[str, float]]:
    """(landmarks in LPS mm, numbers with their unit at the end of the name)."""
    landmarks: dict[str, np.ndarray] = {}
    truth: dict[str, float] = {}
    for n, tumour in enumerate(patient.frame.parameters.tumours, start=1):
        landmarks[f"tumour_{n}"] = np.array(tumour.centre)
        truth[f"tumour_{n}_volume_ml"] = 4e-3 / 3 * pi * float(np.prod(tumour.radii))
    landmarks["liver_edge"] = liver_edge(patient)
    landmarks["aortic_bifurcation"] = patient.aorta.bifurcation
    landmarks["kidney_left"] = kidney_centre(patient.frame, 1, 32.0)
    landmarks["kidney_right"] = kidney_centre(patient.frame, -1, 16.0)
    z = np.linspace(patient.aorta.bifurcation_z, 200, 2000)
    outer = patient.aorta.outer_radius(z)
    widest = float(z[np.argmax(outer)])
    x, y = patient.aorta.centre(widest)
    landmarks["aneurysm_centre"] = np.array([float(x), float(y), widest])
    truth["aorta_maximum_outer_diameter_mm"] = 2 * float(outer.max())
    return landmarks, truth


def liver_edge(patient: Patient) -> np.ndarray:
    """(3,) LPS mm: the lowest point of the right lobe's front margin."""
    x = np.arange(-130.0, -40.0, 3.0, dtype=np.float32)
    y = np.arange(-115.0, 0.0, 3.0, dtype=np.float32)
    z = np.arange(-40.0, 100.0, 2.0, dtype=np.float32)
    value = patient.liver.distance(x, y, z)
    k, j, i = np.nonzero(value < -4.0)
    lowest = np.argmin(z[k] + 0.5 * y[j])
    return np.array([x[i[lowest]], y[j[lowest]], z[k[lowest]]], dtype=np.float64)
