"""`make_phantom`: the patient, scanned."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..anatomy import BY_LABEL
from ..progress import Progress, silent
from ..volume import ImageVolume, LabelMap
from . import acquisition
from .parameters import PhantomParameters
from .patient import Patient, build_patient
from .render import Slab, paint
from .tissue import tissues
from .truth import measure

SLAB_VOXELS = 4_000_000
HU_RANGE = (-1024.0, 3071.0)


@dataclass(frozen=True, eq=False)
class Phantom:
    """A scan of a patient whose anatomy is known.

    Attributes:
        volume: the CT in HU.
        labels: what the centre of each voxel belongs to.
        parameters: what was asked for.
        landmarks: name → (3,) LPS mm.
        truth: name → number known from the analytic anatomy; the unit ends the name.
    """

    volume: ImageVolume
    labels: LabelMap
    parameters: PhantomParameters
    landmarks: Mapping[str, np.ndarray] = field(default_factory=dict)
    truth: Mapping[str, float] = field(default_factory=dict)


def make_phantom(parameters: PhantomParameters | None = None, *, progress: Progress = silent) -> Phantom:
    """Build the patient and scan it.

    The same parameters give the same voxels, however the work is divided.
    """
    parameters = PhantomParameters() if parameters is None else parameters
    progress(0.0, "placing organs")
    patient = build_patient(parameters)
    grid = parameters.grid(_frame_uid(parameters))
    i, j, k = parameters.shape
    x, y, z = (grid.origin[a] + np.arange(n) * parameters.spacing[a] for a, n in enumerate((i, j, k)))
    hu, labels = np.empty((k, j, i), np.float32), np.zeros((k, j, i), np.uint16)
    texture = acquisition.Texture(grid.origin, np.array([x[-1], y[-1], z[-1]]), parameters.seed)
    transfer = acquisition.noise_transfer((j, i), (parameters.spacing[1], parameters.spacing[0]))
    thick = max(1, SLAB_VOXELS // (i * j))
    for start in range(0, k, thick):
        rows = slice(start, min(start + thick, k))
        progress(start / k, "scanning the phantom")
        _scan_slab(patient, parameters, (x, y, z[rows]), hu[rows], labels[rows], texture)
        for n in range(rows.start, rows.stop):
            if parameters.noise_hu:
                hu[n] += np.float32(parameters.noise_hu) * acquisition.noise_slice(n, (j, i), transfer, parameters.seed)
    np.clip(hu, *HU_RANGE, out=hu)
    progress(1.0, "phantom ready")
    landmarks, truth = measure(patient)
    note = "synthetic phantom, not a patient"
    # Slices are contiguous in memory, as they are on disk and in image toolkits.
    volume = ImageVolume(hu.transpose(2, 1, 0), grid, "CT", "HU", (note,))
    return Phantom(volume, LabelMap(labels.transpose(2, 1, 0), grid, BY_LABEL), parameters, landmarks, truth)


def _scan_slab(
    patient: Patient,
    parameters: PhantomParameters,
    axes: tuple,
    hu: np.ndarray,
    labels: np.ndarray,
    texture: acquisition.Texture,
) -> None:
    table = tissues(parameters.phase, parameters.enhancement)
    hu[:] = table["air"].hu
    field_ = texture.sample(*axes) * np.float32(parameters.texture)
    x, y, z = (a.astype(np.float32) for a in axes)
    slab = Slab(x, y, z, hu, labels, field_)
    for part in patient.parts:
        paint(slab, part, table, parameters.spacing)
    hu[:] = acquisition.blur_in_plane(hu, parameters.spacing[:2], parameters.blur_mm)


def _frame_uid(parameters: PhantomParameters) -> str:
    """A UID that depends on the patient and the grid only."""
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'preop phantom frame {parameters!r}').int}"
