"""How a NIfTI-1 header says that its volume lies in the patient: the sform, the qform, and which of them counts.

ITK takes whichever of the two is orthonormal and says nothing. A converted scan of a tilted gantry holds its shear in
the sform and something straight in the qform, so that ITK puts its last slice centimetres off. Here both are built
from the header (nifti1.h, methods 2 and 3) and the sform counts, unless it leads to a template and the qform to the
scanner.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SAME_PLACE_VOXELS = 0.1
"""Parts of a voxel up to which sform and qform agree: float32 keeps far more of both."""

_RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
_MILLIMETRES = {1: 1000.0, 3: 0.001}
"""Spatial unit code → mm; 2 is mm, and 0 (unknown) is taken for it."""
_SCANNER, _TEMPLATE = (1, 2), (3, 4, 5)
"""Codes of what an affine leads to: the scanner or another scan of the patient; Talairach, MNI or another template."""


@dataclass(frozen=True, eq=False)
class Placement:
    """Where the voxels of a NIfTI file are.

    Attributes:
        affine: (4, 4) voxel index → LPS mm; may be sheared.
        notes: where the header contradicts itself, in words.
    """

    affine: NDArray[np.float64]
    notes: tuple[str, ...] = ()


def nifti_placement(header: bytes, order: str) -> Placement | None:
    """The placement that the 348 bytes of a NIfTI-1 header state; None where neither sform nor qform is of use.

    Args:
        header: from its first byte.
        order: `<` or `>`, as struct takes it.
    """
    shape = np.array([max(count, 1) for count in struct.unpack_from(f"{order}3h", header, 42)])
    qform_code, sform_code = struct.unpack_from(f"{order}2h", header, 252)
    scale = _MILLIMETRES.get(header[123] & 7, 1.0)
    sform = _usable(_sform(header, order), scale) if sform_code > 0 else None
    qform = _usable(_qform(header, order), scale) if qform_code > 0 else None
    if sform is None:
        return None if qform is None else Placement(qform, _template_note(qform_code))
    if qform is None:
        return Placement(sform, _template_note(sform_code))
    if sform_code in _TEMPLATE and qform_code in _SCANNER:
        return Placement(qform, ("the file also leads to a template (its sform): its place in the scanner was used",))
    apart, voxel = _apart(sform, qform, shape), float(np.linalg.norm(sform[:3, :3], axis=0).min())
    if apart <= SAME_PLACE_VOXELS * voxel:
        return Placement(sform, _template_note(sform_code))
    note = f"its sform and qform place the volume up to {apart:.1f} mm apart: the sform was used"
    return Placement(sform, (note, *_template_note(sform_code)))


_IN_TEMPLATE = "the file places the volume in a template's space: lengths may not be those of the patient"


def _template_note(code: int) -> tuple[str, ...]:
    """Of the form that was used."""
    return (_IN_TEMPLATE,) if code in _TEMPLATE else ()


def _sform(header: bytes, order: str) -> NDArray[np.float64]:
    """RAS, in the file's unit (method 3)."""
    affine = np.eye(4)
    affine[:3] = np.array(struct.unpack_from(f"{order}12f", header, 280)).reshape(3, 4)
    return affine


def _qform(header: bytes, order: str) -> NDArray[np.float64]:
    """RAS, in the file's unit: a rotation by a unit quaternion, the voxel's size, and perhaps a flip (method 2)."""
    flip, *size = struct.unpack_from(f"{order}4f", header, 76)
    b, c, d, *offset = struct.unpack_from(f"{order}6f", header, 256)
    vector = np.array([b, c, d])
    length = float(np.linalg.norm(vector))
    # Rounded, the three may be longer than the whole quaternion: then it is a half turn about them.
    b, c, d = vector / length if length > 1 else vector
    a = np.sqrt(max(0.0, 1 - b * b - c * c - d * d))
    affine = np.eye(4)
    affine[:3, :3] = [
        [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
        [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
        [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
    ]
    affine[:3, :3] *= [one if one > 0 else 1.0 for one in size]
    affine[:3, 2] *= -1.0 if flip < 0 else 1.0
    affine[:3, 3] = offset
    return affine


def _usable(affine: NDArray[np.float64], scale: float) -> NDArray[np.float64] | None:
    """In LPS mm; None where it holds no numbers or flattens the volume."""
    if not np.isfinite(affine).all():
        return None
    affine = _RAS_TO_LPS @ affine
    affine[:3] *= scale
    return affine if abs(np.linalg.det(affine[:3, :3])) > 1e-12 else None


def _apart(a: NDArray[np.float64], b: NDArray[np.float64], shape: NDArray) -> float:
    """mm between the places of a corner, at most."""
    corners = np.stack(np.meshgrid(*[(0, n - 1) for n in shape], indexing="ij"), -1).reshape(-1, 3)
    between = a - b
    return float(np.linalg.norm(corners @ between[:3, :3].T + between[:3, 3], axis=1).max())
