"""`preop phantom`: the embedded patient as files."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

from ..imaging.errors import NOT_A_MEDICAL_DEVICE
from ..imaging.progress import Progress, part, silent
from .atomic import MARK, atomic_folder, require_free


def export_phantom(
    out: Path,
    *,
    shape: tuple[int, int, int],
    phase: str,
    seed: int,
    variation: float,
    overwrite: bool = False,
    progress: Progress = silent,
) -> str:
    """Write `out/dicom/*.dcm`, `out/labels.nii.gz` and `out/result.json` with the truth in numbers.

    Returns:
        One line that says what was written.

    Raises:
        PreopError: a parameter is out of range, or the folder cannot be written.
    """
    require_free(out, overwrite=overwrite)
    from ..imaging.dicom_write import write_ct_series
    from ..imaging.labelfile import write_labels
    from ..imaging.phantom import PhantomParameters, make_phantom

    parameters = PhantomParameters(shape=shape, phase=phase, seed=seed, variation=variation)  # pyright: ignore[reportArgumentType]
    with atomic_folder(out, overwrite=overwrite) as folder:
        phantom = make_phantom(parameters, progress=part(progress, 0, 0.75))
        files = write_ct_series(
            phantom.volume, folder / "dicom", phase=phase, seed=seed, progress=part(progress, 0.75, 0.95)
        )
        progress(0.95, "label map")
        write_labels(folder / "labels.nii.gz", phantom.labels)
        truth = {
            "disclaimer": NOT_A_MEDICAL_DEVICE,
            "parameters": asdict(parameters),
            "truth": phantom.truth,
            "landmarks_lps_mm": phantom.landmarks,
        }
        (folder / MARK).write_text(json.dumps(truth, indent=2, default=_plain), encoding="utf-8")
        progress(1.0, "done")
    return f"{len(files)} CT slices in {out / 'dicom'}, the true labels in {out / 'labels.nii.gz'}"


def _plain(value: object) -> object:
    if hasattr(value, "tolist"):
        return value.tolist()  # pyright: ignore[reportAttributeAccessIssue]
    return asdict(value) if hasattr(value, "__dataclass_fields__") else str(value)  # pyright: ignore[reportArgumentType]
