"""The contrast phase, from how bright the blood and the parenchyma are.

Arterial: the aorta far brighter than the liver and the veins. Portal: the liver clearly
brighter than muscle, the aorta no longer far above it. Native: neither.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from .case import Case

_ENHANCED, _SURELY_ARTERIAL, _SURELY_PORTAL = 45.0, 280.0, 190.0
"""HU of the aorta: enhanced at all (above muscle); above and below which the phase is plain.
Portal-phase aortas measure 130-190 HU, arterial ones 200-450 (30-40 s after injection)."""


def estimate_phase(case: Case) -> str:
    """The phase asked for, or an estimate: "native", "arterial" or "portal"."""
    if case.request.phase != "auto":
        return case.request.phase
    lean = case.frame.muscle_hu[0]
    parenchyma = _parenchyma_share(case)
    case.frame.evidence["enhanced_parenchyma"] = parenchyma
    blood = case.frame.aorta_hu
    if blood is None or blood < lean + _ENHANCED:
        return "portal" if parenchyma > 0.05 else "native"
    if blood > _SURELY_ARTERIAL:
        return "arterial"
    if blood < _SURELY_PORTAL:
        return "portal"
    return "portal" if parenchyma > 0.03 else "arterial"


def _parenchyma_share(case: Case) -> float:
    """Share of the body that is homogeneous and 25-80 HU above muscle: an enhanced liver and spleen."""
    frame = case.frame
    assert frame.body is not None
    hu, lean = case.coarse.voxels, frame.muscle_hu[0]
    mean = ndimage.uniform_filter(hu, 5)
    spread = np.sqrt(np.maximum(ndimage.uniform_filter(hu * hu, 5) - mean * mean, 0.0))
    calm = frame.body & (spread < 12.0) & (mean > lean + 25.0) & (mean < lean + 80.0)
    return float(calm.sum() / max(int(frame.body.sum()), 1))
