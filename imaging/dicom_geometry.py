"""Slices → grid: order, spacing and tilt from the geometry alone, and every irregularity named.

The order is that of Image Position (Patient) along the normal of the slices (row × column direction); instance
numbers and file names say nothing about where a slice is. With p_k the positions in that order, the grid's K axis is
the least-squares step s of p_k ≈ p_0 + k s: its part along the normal is the spacing, its part across is a tilted
gantry (a sheared grid), and what remains is irregularity.

Tolerances. Positions are decimal strings; scanners are known to round them to 0.1 mm, which moves a slice by up to
0.05 mm. So a slice may lie up to a tenth of the step from its even position, within [0.06, 0.15] mm: more than
rounding, and less than half of the thinnest pixel of a clinical CT. Gaps are compared on their own besides (each end
may be off, so twice the tolerance): one missing slice among hundreds hardly moves the fit, but doubles a gap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .dicom_frames import Frame, Vector, as_array
from .errors import GeometryError
from .straighten import SKEW, TILTED
from .wording import counted

SAME_PLACE_MM = 0.01
"""Slices closer than this along the normal are at the same place: no scanner reconstructs finer."""

ORTHONORMAL = SKEW
"""Direction cosines may miss unit length and right angle by this (16-character decimal strings keep 1e-6)."""

MAX_ASIDE_MM = 0.5
"""Slices that lie farther beside the straight line are no stack that interpolation between them could mend."""


@dataclass(frozen=True)
class StackGeometry:
    """Where the slices of a stack are.

    Attributes:
        order: index of the slice that comes k-th along the normal.
        affine: (4, 4) index → LPS mm, with the even step that fits best.
        along: (n,) mm, each slice's position along the normal, rising.
        centres: (n, 3) LPS mm, Image Position (Patient) in that order.
        step_mm: distance from slice to slice along the normal; 0 for one slice.
        tilt_degrees: angle between step and normal.
        faults: why this is no even stack, in words; empty if it is one.
        notes: what is worth saying about a readable stack.
        missing: numbers of slices that seem to be missing.
        aside_mm: how far a slice lies beside the straight line from the first to the last.
    """

    order: tuple[int, ...]
    affine: NDArray[np.float64]
    along: NDArray[np.float64]
    centres: NDArray[np.float64]
    step_mm: float
    tilt_degrees: float
    faults: tuple[str, ...]
    notes: tuple[str, ...]
    missing: int
    aside_mm: float = 0.0

    @property
    def resamplable(self) -> bool:
        """Whether interpolating between slices would put them right: not if they shift within their planes."""
        return self.aside_mm <= MAX_ASIDE_MM

    @property
    def gap_mm(self) -> float:
        """The usual (median) distance between neighbouring slices; 0 for one slice."""
        return float(np.median(np.diff(self.along))) if len(self.along) > 1 else 0.0


def check_orientation(orientation: tuple[float, ...], where: str) -> None:
    """Raise GeometryError unless the six cosines are two perpendicular unit vectors."""
    row, column = np.array(orientation[:3]), np.array(orientation[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if min(lengths) < 1e-6:
        what = "the image orientation is a zero vector"
    elif abs(lengths[0] - 1) > ORTHONORMAL or abs(lengths[1] - 1) > ORTHONORMAL:
        what = f"the image orientation is not made of unit vectors (lengths {lengths[0]:.4f} and {lengths[1]:.4f})"
    elif abs(row @ column) > ORTHONORMAL:
        angle = np.degrees(np.arccos(np.clip(row @ column, -1, 1)))
        what = f"rows and columns of the image are not perpendicular ({angle:.2f}°)"
    else:
        return
    raise GeometryError(what, where=where, advice="Its header is damaged: export the series again")


def normal_of(orientation: tuple[float, ...]) -> NDArray[np.float64]:
    """(3,) unit vector row × column, LPS."""
    normal = np.cross(orientation[:3], orientation[3:])
    return normal / np.linalg.norm(normal)


def orientation_word(orientation: tuple[float, ...] | None) -> str:
    """axial, coronal, sagittal, within 10° of an axis; else oblique and the plane that is nearest."""
    if orientation is None or np.linalg.norm(np.cross(orientation[:3], orientation[3:])) < 1e-6:
        return "unknown"
    normal = np.abs(normal_of(orientation))
    word = ("sagittal", "coronal", "axial")[int(normal.argmax())]
    return word if normal.max() > np.cos(np.radians(10)) else f"oblique ({word})"


def stack_geometry(frames: list[Frame], where: str) -> StackGeometry:
    """The geometry of slices of one orientation, size and pixel spacing, each at a place of its own.

    Args:
        frames: with position, orientation and pixel spacing.
        where: the series, for errors.

    Raises:
        GeometryError: nonsense directions or pixel spacing, or slices that shift sideways irregularly.
    """
    first = frames[0]
    assert first.orientation
    assert first.pixel_spacing
    check_orientation(first.orientation, where)
    if min(first.pixel_spacing) <= 0:
        raise GeometryError(f"the pixel spacing is {first.pixel_spacing} mm", where=where, advice="Export it again")
    normal = normal_of(first.orientation)
    positions = as_array(frame.position or () for frame in frames)
    order = np.argsort(positions @ normal, kind="stable")
    positions = positions[order]
    along = positions @ normal
    step, start, residual = _even_step(positions, normal, first.thickness)
    affine = np.eye(4)
    affine[:3, 0] = _unit(first.orientation[:3]) * first.pixel_spacing[1]
    affine[:3, 1] = _unit(first.orientation[3:]) * first.pixel_spacing[0]
    affine[:3, 2], affine[:3, 3] = step, start
    height = float(step @ normal)
    if len(frames) > 1 and (np.diff(along) < SAME_PLACE_MM).any():
        return _repeated(order, affine, along, positions, normal)
    faults, missing = _faults(along, positions, residual, normal, height) if len(frames) > 1 else ((), 0)
    tilt = float(np.degrees(np.arccos(np.clip(height / np.linalg.norm(step), -1, 1))))
    notes = _notes(tilt, residual, faults)
    spacing = 0.0 if len(frames) == 1 else height
    return StackGeometry(
        tuple(map(int, order)),
        affine,
        along,
        positions,
        spacing,
        tilt,
        faults,
        notes,
        missing,
        _aside(positions, along),
    )


def _unit(vector: Vector) -> NDArray[np.float64]:
    return np.array(vector) / np.linalg.norm(vector)


def _aside(centres: NDArray, along: NDArray) -> float:
    """mm by which a slice lies beside the line through the first and the last, at most."""
    if len(along) < 3:
        return 0.0
    direction = (centres[-1] - centres[0]) / (along[-1] - along[0])
    return float(np.linalg.norm(centres - centres[0] - np.outer(along - along[0], direction), axis=1).max())


def _repeated(order: NDArray, affine: NDArray, along: NDArray, centres: NDArray, normal: NDArray) -> StackGeometry:
    """Slices at one place: only their pixels can tell whether they are copies, so the reader decides.

    What is wrong with the places themselves is told from one slice of each.
    """
    places = np.flatnonzero(np.diff(along, prepend=-np.inf) >= SAME_PLACE_MM)
    faults, missing, height = (), 0, 0.0
    if len(places) > 1:
        step, start, residual = _even_step(centres[places], normal, None)
        affine[:3, 2], affine[:3, 3], height = step, start, float(step @ normal)
        faults, missing = _faults(along[places], centres[places], residual, normal, height)
    count = int((np.diff(along) < SAME_PLACE_MM).sum())
    if np.abs(np.linalg.det(affine[:3, :3])) < 1e-12:
        affine[:3, 2] = np.cross(affine[:3, 0], affine[:3, 1])
    notes = (f"{counted(count, 'slice is', 'slices are')} at the place of another",)
    return StackGeometry(tuple(map(int, order)), affine, along, centres, height, 0.0, faults, notes, missing)


def _even_step(
    positions: NDArray, normal: NDArray, thickness: float | None
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Least squares of positions on k: step (3,), start (3,), residual (n, 3)."""
    count = len(positions)
    if count == 1:
        return normal * (thickness or 1.0), positions[0], np.zeros((1, 3))
    k = np.arange(count) - (count - 1) / 2
    step = (k[:, None] * positions).sum(axis=0) / (k @ k)
    step[np.abs(step) < 1e-9] = 0.0
    start = positions.mean(axis=0) - step * (count - 1) / 2
    if np.abs(positions[0] - start).max() < 1e-4:
        start = positions[0]
    return step, start, positions - start - np.arange(count)[:, None] * step


def _faults(
    along: NDArray, positions: NDArray, residual: NDArray, normal: NDArray, height: float
) -> tuple[tuple[str, ...], int]:
    gaps = np.diff(along)
    usual = float(np.median(gaps))
    tolerance = float(np.clip(0.1 * usual, 0.06, 0.15))
    wide = np.abs(residual @ normal).max() > tolerance or np.abs(gaps - usual).max() > 2 * tolerance
    sideways = residual - np.outer(residual @ normal, normal)
    if not wide:
        if np.linalg.norm(sideways, axis=1).max() > 2 * tolerance:
            worst = np.linalg.norm(sideways, axis=1)
            return ((f"slices shift sideways by up to {worst.max():.2f} mm (slice {int(worst.argmax()) + 1})",), 0)
        return (), 0
    coordinate, axis = _coordinate(along, positions, normal)
    multiples = np.rint(gaps / usual).astype(int)
    if _on_a_grid_with_holes(along, multiples, tolerance):
        holes = np.flatnonzero(multiples > 1)
        count = int((multiples - 1).sum())
        return tuple(_missing(i, multiples, gaps, usual, coordinate, axis) for i in holes[:5]), count
    return (_uneven(gaps, coordinate, axis),), 0


def _on_a_grid_with_holes(along: NDArray, multiples: NDArray, tolerance: float) -> bool:
    """Whether the slices are evenly spaced but for some that are missing (fewer than there are gaps)."""
    if not (multiples > 1).any() or multiples.min() < 1 or (multiples > 1).mean() >= 0.5:
        return False
    k = np.concatenate([[0], np.cumsum(multiples)])
    return bool(np.abs(along - np.polyval(np.polyfit(k, along, 1), k)).max() <= tolerance)


def _missing(i: int, multiples: NDArray, gaps: NDArray, usual: float, coordinate: NDArray, axis: str) -> str:
    """Slices are numbered from 1 as they would be if none were missing."""
    number = int(multiples[:i].sum()) + 2
    last = number + int(multiples[i]) - 2
    who = f"slice {number} is" if number == last else f"slices {number} to {last} are"
    return (
        f"{who} missing between {axis}={coordinate[i]:.2f} and {axis}={coordinate[i + 1]:.2f} mm: "
        f"gap {gaps[i]:.2f} mm, expected {usual:.2f}"
    )


def _uneven(gaps: NDArray, coordinate: NDArray, axis: str) -> str:
    values, counts = np.unique(np.round(gaps, 2), return_counts=True)
    if len(values) <= 3:
        listed = ", ".join(f"{n} × {v:.2f} mm" for v, n in zip(values, counts, strict=True))
        return f"the spacing between slices is uneven: gaps of {listed}"
    i = int(gaps.argmax())
    return (
        f"the spacing between slices is uneven: gaps from {gaps.min():.2f} to {gaps.max():.2f} mm, the widest between "
        f"{axis}={coordinate[i]:.2f} and {axis}={coordinate[i + 1]:.2f} mm"
    )


def _coordinate(along: NDArray, positions: NDArray, normal: NDArray) -> tuple[NDArray, str]:
    """What a viewer shows as the place of a slice: x, y or z of its position, or the distance along the normal."""
    axis = int(np.abs(normal).argmax())
    upright = abs(normal[axis]) > np.cos(np.radians(30))
    return (positions[:, axis], "xyz"[axis]) if upright else (along, "distance")


def _notes(tilt: float, residual: NDArray, faults: tuple[str, ...]) -> tuple[str, ...]:
    notes = []
    if np.sin(np.radians(tilt)) > SKEW:
        notes.append(f"the gantry was tilted by {tilt:.1f}°: {TILTED}")
    jitter = float(np.linalg.norm(residual, axis=1).max())
    if not faults and jitter > 0.02:
        notes.append(
            f"slice positions scatter by up to {jitter:.3f} mm around an even spacing (rounded by the scanner)"
        )
    return tuple(notes)
