"""One stack of slices → `ImageVolume`: decode, rescale, pad, put in place."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray

from .dicom_geometry import SAME_PLACE_MM, StackGeometry, stack_geometry
from .dicom_header import Slice
from .dicom_pixels import damaged_slice, read_pixels
from .dicom_series import MIN_SLICES, Stack
from .errors import ScanError
from .progress import Progress, part, silent
from .straighten import AIR_HU, squared
from .volume import Grid, ImageVolume
from .wording import counted

NO_AIR_HU = -200.0
"""A CT of a patient holds air, or at least bowel gas or lung; without any its values may not be Hounsfield units."""


def read_stack(stack: Stack, *, resample_uneven: bool = False, progress: Progress = silent) -> ImageVolume:
    """The volume of a stack.

    Args:
        stack: from `dicom_series.stacks_of`, with `why_not` empty.
        resample_uneven: interpolate linearly on the true positions where the spacing is uneven, instead of an error.
        progress: told after every file.

    Raises:
        ScanError: missing or unevenly spaced slices, damaged pixels, contradicting slices at one place.
    """
    where = stack.label()
    require_readable(stack, resample_uneven=resample_uneven)
    slices = list(stack.slices)
    voxels = _decode(slices, part(progress, 0.0, 0.9))
    keep, notes = _one_per_place(stack, slices, voxels)
    if len(keep) < MIN_SLICES:
        raise ScanError("all its slices are at one place: no volume", where=where, advice="Choose another series")
    if len(keep) < len(slices):
        # In place: a copy of a long series would not fit beside it.
        for to, k in enumerate(keep):
            voxels[:, :, to] = voxels[:, :, k]
        slices, voxels = [slices[i] for i in keep], voxels[:, :, : len(keep)]
    unit, more = _raise_to_air(voxels, stack)
    notes += more
    geometry = stack_geometry([one.frame for one in slices], where)
    notes = [*stack.notes, *(n for n in geometry.notes if n not in stack.notes), *notes]
    affine = geometry.affine
    _require_even(geometry, where, resample_uneven)
    if geometry.faults:
        voxels, affine, note = _resampled(voxels, geometry.centres, affine, geometry.along)
        notes += [*geometry.faults, note]
    first = stack.first
    notes += _value_notes(slices)
    grid = Grid((voxels.shape[0], voxels.shape[1], voxels.shape[2]), affine, first.frame_of_reference_uid)
    progress(1.0, f"read {counted(len(slices), 'slice')}")
    return ImageVolume(
        voxels, squared(grid, 2), first.modality, unit, tuple(notes), patient_position=first.patient_position
    )


def require_readable(stack: Stack, *, resample_uneven: bool = False) -> None:
    """Raise ScanError for whatever the headers alone show to be wrong, before any pixel is read."""
    for one in stack.slices:
        if one.instance.is_short:
            raise damaged_slice(one.instance.source, "it ends before its pixels do")
    if stack.geometry:
        _require_even(stack.geometry, stack.label(), resample_uneven)


def _require_even(geometry: StackGeometry, where: str, resample_uneven: bool) -> None:
    """Raise ScanError for a stack with missing slices or uneven spacing, unless it may and can be resampled."""
    if not geometry.faults or (resample_uneven and geometry.resamplable):
        return
    what = "; ".join(geometry.faults)
    if not geometry.resamplable:
        what += f"; slices lie up to {geometry.aside_mm:.1f} mm beside a straight line, so they are no one volume"
        raise ScanError(what, where=where, advice="Export the series again, or choose another")
    copy = "Copy or export the series again" if geometry.missing else "Choose another series"
    advice = (
        f"{copy}, or allow linear resampling between the slices that are there (--set patient.resample_uneven=true)"
    )
    raise ScanError(what, where=where, advice=advice)


def unit_of(stack: Stack) -> str:
    """HU for a CT whose values are rescaled to nothing else; the Rescale Type for others, if it says anything."""
    unit = stack.slices[0].frame.unit.upper()
    if stack.first.modality == "CT":
        unspecified = unit in ("US", "UNSPECIFIED") and stack.first.image_type[:1] == ("ORIGINAL",)
        derived_map = any(word.startswith(("PERFUSION", "RCBF", "RCBV", "MTT")) for word in stack.first.image_type)
        return "HU" if (unspecified or unit in ("", "HU", "HU_MOD")) and not derived_map else unit.removeprefix("US")
    return "" if unit in ("US", "UNSPECIFIED") else unit


def _decode(slices: list[Slice], progress: Progress) -> NDArray[np.float32]:
    """(I, J, K) float32, rescaled, each file decoded once and slices written where they belong."""
    first = slices[0].instance
    # Slices are contiguous in memory (Fortran order): each is written in one piece, and I runs fastest as in the file.
    voxels = np.empty((first.columns, first.rows, len(slices)), np.float32, order="F")
    files: dict[int, list[int]] = defaultdict(list)
    for k, one in enumerate(slices):
        files[id(one.instance)].append(k)
    for done, members in enumerate(files.values()):
        instance = slices[members[0]].instance
        progress(done / len(files), f"reading {instance.source.name}")
        pixels = read_pixels(instance.source, instance.transfer_syntax_uid)
        for k in members:
            number = slices[k].frame.number or 0
            if number >= len(pixels):
                raise ScanError(f"has {counted(len(pixels), 'frame')}, not {len(members)}", where=instance.source.name)
            voxels[:, :, k] = _values(pixels[number], slices[k]).T
    return voxels


def _values(stored: NDArray, one: Slice) -> NDArray[np.float32]:
    frame, instance = one.frame, one.instance
    bits = _stored_bits(stored, instance.bits_stored, instance.high_bit)
    values = bits.astype(np.float32) if bits.dtype.itemsize < 4 else bits.astype(np.float64)
    if frame.slope != 1.0 or frame.intercept != 0.0:
        values = values * values.dtype.type(frame.slope) + values.dtype.type(frame.intercept)
    if instance.padding and instance.modality == "CT":
        # Padding may lie outside of the stored bits (-2000 in 12 bits), or be meant without what lies above them.
        low, high = instance.padding[0], instance.padding[-1]
        values[((stored >= low) & (stored <= high)) | ((bits >= low) & (bits <= high))] = AIR_HU
    return values.astype(np.float32, copy=False)


def _stored_bits(stored: NDArray, bits_stored: int, high_bit: int) -> NDArray:
    """Only the bits that hold the value (PS3.5, 8.1.1), with the sign of signed ones; others may hold overlays."""
    width = stored.dtype.itemsize * 8
    if stored.dtype.kind not in "iu" or bits_stored >= width or high_bit >= width:
        return stored
    # A high bit below the value's own bits cannot be: the value is then at the low end, as it nearly always is.
    high_bit = max(high_bit, bits_stored - 1)
    native = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    return (native << (width - 1 - high_bit)) >> (width - bits_stored)


def _raise_to_air(voxels: NDArray[np.float32], stack: Stack) -> tuple[str, list[str]]:
    """The unit of a volume and notes; in place, a CT is cut off at air.

    Nothing in a CT is thinner than air, so what lies below is padding, or undershoot beside metal. Scanners pad with
    values of their own (-2000, -3024), which are often not declared and blurred by lossy compression.
    """
    low, high, unit = float(voxels.min()), float(voxels.max()), unit_of(stack)
    if unit != "HU":
        return unit, []
    is_rescaled = stack.slices[0].frame.is_rescaled
    if low > NO_AIR_HU and (low >= 0 or not is_rescaled):
        why = "its slices do not say how their values are rescaled" if not is_rescaled else "its rescale is wrong"
        return "", [f"the values run from {low:.0f} to {high:.0f}, with no air and no fat: they are no HU, {why}"]
    if high < NO_AIR_HU:
        what = f"its values run from {low:.0f} to {high:.0f} HU: nothing in it is denser than lung"
        raise ScanError(what, where=stack.label(), advice="Its rescale is wrong, or it is empty: choose another series")
    if low > NO_AIR_HU:
        return unit, [f"no value is below {low:.0f} HU, so there is no air: check the rescale of this CT"]
    notes = (
        [] if is_rescaled else ["its slices do not say how their values are rescaled: with air in them, taken for HU"]
    )
    if low < AIR_HU:
        share = 100 * float((voxels < AIR_HU).mean())
        np.maximum(voxels, np.float32(AIR_HU), out=voxels)
        notes.append(
            f"{share:.2g} % of the voxels lay below {AIR_HU:.0f} HU (outside of the reconstruction) and were set to it"
        )
    return unit, notes


def _value_notes(slices: list[Slice]) -> list[str]:
    notes = []
    scales = {(one.frame.slope, one.frame.intercept) for one in slices}
    if len(scales) > 1:
        notes.append(f"slices have {len(scales)} different rescale slopes or intercepts: each was scaled by its own")
    if any(one.instance.lossy for one in slices):
        notes.append("the pixels were compressed with loss: fine detail and exact values are not what was scanned")
    if any(one.instance.padding for one in slices) and slices[0].instance.modality == "CT":
        notes.append(f"padding outside of the reconstruction was set to {AIR_HU:.0f} HU")
    return notes


def _one_per_place(stack: Stack, slices: list[Slice], voxels: NDArray) -> tuple[list[int], list[str]]:
    """Indices of slices to keep. Two at one place must be the same picture; else the stack contradicts itself."""
    assert stack.geometry
    keep, dropped = [0], 0
    along = stack.geometry.along
    for k in range(1, len(slices)):
        last = keep[-1]
        if along[k] - along[last] >= SAME_PLACE_MM:
            keep.append(k)
        elif np.array_equal(voxels[:, :, k], voxels[:, :, last]):
            dropped += 1
        else:
            names = f"{slices[last].instance.source.name} and {slices[k].instance.source.name}"
            raise ScanError(
                f"two different slices are at the same place ({names})",
                where=stack.label(),
                advice="Several phases or reconstructions are mixed: export them as series of their own",
            )
    notes = [f"{counted(dropped, 'slice is', 'slices are')} in the series twice, used once"] if dropped else []
    return keep, notes


def _resampled(
    voxels: NDArray[np.float32], centres: NDArray, affine: NDArray, along: NDArray
) -> tuple[NDArray[np.float32], NDArray[np.float64], str]:
    """Linear interpolation on the line through the first and the last slice, at the median spacing."""
    step = float(np.median(np.diff(along)))
    count = int(np.floor((along[-1] - along[0]) / step + 1e-6)) + 1
    direction = (centres[-1] - centres[0]) / (along[-1] - along[0])
    at = along[0] + step * np.arange(count)
    upper = np.clip(np.searchsorted(along, at, side="left"), 1, len(along) - 1)
    weight = np.clip((at - along[upper - 1]) / (along[upper] - along[upper - 1]), 0.0, 1.0).astype(np.float32)
    out = np.empty((*voxels.shape[:2], count), np.float32, order="F")
    for k, (u, w) in enumerate(zip(upper, weight, strict=True)):
        out[:, :, k] = (1 - w) * voxels[:, :, u - 1] + w * voxels[:, :, u]
    affine = affine.copy()
    affine[:3, 2], affine[:3, 3] = direction * step, centres[0]
    note = f"{len(along)} uneven slices were resampled linearly to {count} at {step:.2f} mm"
    return out, affine, f"{note}: detail between them is not real"
