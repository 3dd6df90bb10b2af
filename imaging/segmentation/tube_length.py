"""Vessels that run through the scan and were followed over a part of it only: their notes warn, a trunk's may say bad.

A piece of a vessel is smooth, in one piece and of a plausible width, so nothing but its length tells that the rest is
missing. Expected is the height between landmarks of which both ends are set short, so that no anatomy is doubted:
the caval vein from the aortic bifurcation to its foramen, which lies below the dome of the right diaphragm; the
aorta from the bifurcation to above the diaphragm; an iliac artery down from the bifurcation. Of each only what the
scan holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from .case import Case

_COVERED = 0.85
"""Share of the expected height below which a vessel is called short."""
_MOST_MISSING = 0.5
"""Share below which a piece is no longer the aorta less an end of it: in the scans tried, sound ones were followed over
0.85 and more of it. An iliac artery or a vein is lost sooner, where another vessel joins it, without being wrong."""
_LEAST_MISSING_MM = 5.0
_FORAMEN_BELOW_DOME_MM = 25.0
_AORTA_ABOVE_DOME_MM = 20.0
_ILIAC_MM = 100.0
"""Common and external iliac artery together descend by more than this before the inguinal ligament."""
_BELOW_KIDNEYS_MM = 20.0
"""The bifurcation (L4) and the confluence of the iliac veins (L5) lie more than this below the kidneys' poles (L3)."""


@dataclass(frozen=True)
class _Run:
    """A vessel, and the LPS z (mm) between which the scan should show it, with those ends in words."""

    name: str
    low: float
    high: float
    between: str


def doubt_short_vessels(case: Case) -> None:
    """Write into `case.doubts` which vessels were followed over a part of the scan's height only.

    An aorta of which less than `_MOST_MISSING` was found goes into `case.faults`.
    """
    z = case.frame.z.ravel()
    step = float(case.coarse.grid.spacing[2])
    for run in _expected(case):
        # By any voxel: on the coarse grid half a thin vessel's voxels are less than half covered.
        mask = case.masks[run.name]
        if not mask.any():
            continue
        heights = case.grid.origin[2] + case.grid.affine[2, 2] * np.flatnonzero(mask.any(axis=(0, 1)))
        low, high = max(run.low, float(z[0])), min(run.high, float(z[-1]))
        slices = z[(z >= low) & (z <= high)]
        if not slices.size:
            continue
        near = (
            np.abs(slices[:, None] - heights[None, :]).min(axis=1) <= 0.5 * max(step, float(case.grid.spacing[2])) + 0.1
        )
        whole, seen = slices.size * step, float(near.sum()) * step
        if seen < _COVERED * whole and whole - seen > _LEAST_MISSING_MM:
            said = f"followed over {seen:.0f} of the {whole:.0f} mm {run.between}"
            if run.name == "aorta" and seen < _MOST_MISSING * whole:
                case.fault(run.name, f"{said}: most of it is missing")
            else:
                case.doubt(run.name, f"{said}: a part of it is missing")


def _expected(case: Case) -> Iterator[_Run]:
    fork = _lowest(case, "aorta") if {"iliac_artery_left", "iliac_artery_right"} & case.masks.keys() else None
    dome = case.frame.dome_right
    poles = [low for name in ("kidney_left", "kidney_right") if (low := _lowest(case, name)) is not None]
    floor = fork if fork is not None else (min(poles) - _BELOW_KIDNEYS_MM if poles else None)
    if "inferior_vena_cava" in case.masks and floor is not None:
        top = np.inf if dome is None else dome - _FORAMEN_BELOW_DOME_MM
        yield _Run("inferior_vena_cava", floor, top, "that the scan holds of it up to the diaphragm")
    if "aorta" in case.masks:
        top = np.inf if dome is None else dome + _AORTA_ABOVE_DOME_MM
        yield _Run("aorta", np.inf if floor is None else floor, top, "that the scan holds of it below the chest")
    if fork is not None:
        for name in ("iliac_artery_left", "iliac_artery_right"):
            if name in case.masks:
                yield _Run(name, fork - _ILIAC_MM, fork, "that the scan holds below the bifurcation")


def _lowest(case: Case, name: str) -> float | None:
    """LPS z of a mask's lowest slice, mm."""
    mask = case.masks.get(name)
    if mask is None or not mask.any():
        return None
    return float(case.grid.origin[2] + case.grid.affine[2, 2] * np.flatnonzero(mask.any(axis=(0, 1)))[0])
