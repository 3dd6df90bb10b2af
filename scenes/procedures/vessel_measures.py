"""What a planner of an aneurysm's repair reads off: diameters across the axis, neck, sac, common iliac arteries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..plain_words import name_words, position_words
from .base import Number
from .vessel_axis import STEP_MM, Section, VesselAxis, vessel_axis

if TYPE_CHECKING:
    from ...imaging.volume import LabelMap
    from .vessel_wall import VesselWallOptions

ILIACS = ("iliac_artery_left", "iliac_artery_right")
SAC_GROWTH = 1.1
"""A neck ends, and a sac begins, where the diameter is a tenth larger than the neck's."""
ANEURYSM = 1.5
"""Times the diameter above: from here on a dilated aorta is an aneurysm (Johnston et al. 1991, Suggested standards for
reporting on arterial aneurysms, J. Vasc. Surg. 13, 452-458)."""
ABOVE_MM = 120.0
"""As far above the widest place the normal aorta is looked for."""
NECK_MM = 10.0
"""Of the neck over which its diameter is averaged, from the renal artery down, or from the sac up."""
ILIAC_MM = (5.0, 40.0)
"""The stretch below the bifurcation that is the common iliac artery in nearly everybody."""
_LEAST_ILIAC_MM = 15.0
_TOUCHING_MM = 8.0
_CUT_STATIONS = 5


def planning_numbers(labels: LabelMap, options: VesselWallOptions) -> tuple[list[Number], list[str]]:
    """The measures that the segmentation gives, and a sentence for each that it does not."""
    iliacs = labels.mask([name for name in ILIACS if name not in options.lumen])
    trunk = vessel_axis(labels.mask((*options.lumen, *options.thrombus)) & ~iliacs, labels.grid)
    if trunk is None:
        return [], ["Neck, sac and diameters across the axis are not told: the vessel is too short for an axis."]
    aorta = _Aorta(trunk, parts=_ends_at(trunk, iliacs))
    numbers, missing = aorta.largest(), []
    if not numbers:
        missing.append(
            "The largest diameter across the axis is not told: the vessel leaves the scan where it is widest."
        )
    for found, why in (aorta.sac(), aorta.neck(options.renal_mm), *(_iliac(labels, name) for name in ILIACS)):
        numbers += found
        missing += [why] if why else []
    return numbers, missing


def _ends_at(trunk: VesselAxis, iliacs: NDArray[np.bool_]) -> bool:
    """Whether the trunk's lower end is the bifurcation: the iliac arteries begin there."""
    index = np.argwhere(iliacs)
    if not len(index):
        return False
    away = np.linalg.norm(trunk.grid.points_from_index(index) - trunk.points[-1], axis=1)
    return bool(away.min() < _TOUCHING_MM + trunk.grid.spacing.max())


class _Aorta:
    """The trunk with its diameters; `parts` where it ends in the bifurcation and not at the scan's edge."""

    def __init__(self, axis: VesselAxis, *, parts: bool) -> None:
        self.axis, self.parts = axis, parts
        self.sections = axis.sections()
        self.mean = _smooth([one.mean_mm if one else np.nan for one in self.sections])
        widest = np.array([one.widest_mm if one else np.nan for one in self.sections])
        self.widest = int(np.nanargmax(_smooth(widest))) if np.isfinite(widest).any() else 0

    def leaves_scan(self, first: int, last: int) -> bool:
        """Whether a section between two stations is not whole in the scan."""
        return not np.isfinite(self.mean[first : last + 1]).all()

    def largest(self) -> list[Number]:
        section = self.sections[self.widest]
        near = max(self.widest - _CUT_STATIONS, 0), self.widest + _CUT_STATIONS
        if section is None or (self.leaves_scan(*near) and self.is_dilated):
            return []
        place = self.axis.points[self.widest]
        return [
            Number(
                "max_diameter_mm",
                "Largest diameter across the axis",
                section.widest_mm,
                "mm",
                f"of lumen and thrombus, in the plane across the vessel, {position_words(place)}; "
                f"{section.narrowest_mm:.0f} mm the narrow way; without the wall",
                (float(place[0]), float(place[1]), float(place[2])),
            )
        ]

    @property
    def above(self) -> int:
        """The station of the smallest diameter not far above the widest place."""
        first = max(0, self.widest - round(ABOVE_MM / STEP_MM))
        stretch = self.mean[first : self.widest + 1]
        return first + int(np.nanargmin(stretch)) if np.isfinite(stretch).any() else self.widest

    @property
    def is_dilated(self) -> bool:
        return bool(self.mean[self.widest] >= ANEURYSM * self.mean[self.above])

    def sac_stations(self) -> tuple[int, int | None]:
        """First and last station of the sac; the last is None where it leaves the scan."""
        limit = SAC_GROWTH * self.mean[self.above]
        first = self.widest
        while first > self.above and not self.mean[first - 1] <= limit:
            first -= 1
        last = self.widest
        while last + 1 < len(self.mean) and not self.mean[last + 1] <= limit:
            last += 1
        # The outermost stations of a vessel that is cut off are narrow, wherever it is cut.
        return first, last if self.parts or last + _CUT_STATIONS < len(self.mean) else None

    def sac(self) -> tuple[list[Number], str]:
        if not self.is_dilated:
            return [], (
                f"A sac's volume is not told: the aorta in the scan is nowhere {ANEURYSM:g} times as wide as above it, "
                "so there is no aneurysm, or its upper end is not in the scan."
            )
        first, last = self.sac_stations()
        if last is None:
            return [], "The sac's volume is not told: its lower end is not in the scan."
        if self.leaves_scan(first, last):
            return [], "The sac's volume is not told: a part of it lies outside the scan."
        text = (
            f"lumen and thrombus from where the diameter across the axis grows by {100 * (SAC_GROWTH - 1):.0f} % over "
            f"the aorta's above it, {STEP_MM * (last - first):.0f} mm along the axis, down to where it ends"
        )
        return [Number("sac_ml", "Sac volume", self.axis.volume_ml(first, last), "mL", text)], ""

    def neck(self, renal_mm: tuple[float, float, float] | None) -> tuple[list[Number], str]:
        if not self.is_dilated:
            return [], "A neck's diameter and length are not told: no aneurysm was found below it."
        if renal_mm is None:
            return self._neck_above_sac()
        renal, away = self.axis.nearest(np.asarray(renal_mm))
        if away > self.mean[renal] or renal >= self.widest or not np.isfinite(self.mean[renal]):
            return [], (
                "The neck's diameter and length are not told: options.renal_mm does not lie beside the aorta above "
                "its widest place."
            )
        stretch = slice(renal, renal + round(NECK_MM / STEP_MM))
        reference = float(np.nanmean(self.mean[renal : renal + 4]))
        wider = np.flatnonzero(self.mean[renal:] > SAC_GROWTH * reference)
        if not wider.size or renal >= self.sac_stations()[0]:
            return [], "The neck's diameter and length are not told: at options.renal_mm the aorta is a sac already."
        end = renal + int(wider[0])
        diameter = float(np.nanmean(self.mean[stretch.start : max(min(stretch.stop, end), renal + 1)]))
        grown = f"along the axis, to where the diameter has grown by {100 * (SAC_GROWTH - 1):.0f} %"
        told = f"below the renal artery that the scene gives, {position_words(renal_mm)}"
        return [
            Number("neck_diameter_mm", "Infrarenal neck diameter", diameter, "mm",
                   f"as a circle of the same area, mean over the first {NECK_MM:g} mm {told}; without the wall"),
            Number("neck_length_mm", "Infrarenal neck length", STEP_MM * (end - renal), "mm", f"{grown}, {told}"),
        ], ""  # fmt: skip

    def _neck_above_sac(self) -> tuple[list[Number], str]:
        first, _ = self.sac_stations()
        stretch = self.mean[max(0, first - round(NECK_MM / STEP_MM)) : first]
        why = (
            "The neck's length is not told: it begins at the lower renal artery, which is not segmented. Give that "
            "artery's origin as options.renal_mm."
        )
        if not np.isfinite(stretch).any():
            return [], why
        text = (
            f"as a circle of the same area, mean over the last {NECK_MM:g} mm above the sac: the neck's, if the "
            "renal arteries leave above; without the wall"
        )
        mean = float(np.nanmean(stretch))
        return [Number("diameter_above_sac_mm", "Aortic diameter above the sac", mean, "mm", text)], why


def _iliac(labels: LabelMap, name: str) -> tuple[list[Number], str]:
    side = name.rpartition("_")[2]
    words = f"The {side} common iliac artery's diameter is not told"
    mask = labels.mask(name)
    if not mask.any():
        return [], f"{words}: the segmentation does not have the {name_words(name)}."
    axis = vessel_axis(mask, labels.grid)
    first, last = (round(one / STEP_MM) for one in ILIAC_MM)
    found: list[Section] = [one for one in axis.sections()[first:last] if one] if axis else []
    if len(found) * STEP_MM < _LEAST_ILIAC_MM:
        return [], f"{words}: less than {_LEAST_ILIAC_MM:g} mm of it is in the scan or was found."
    mean = float(np.median([one.mean_mm for one in found]))
    text = (
        f"of the lumen, as a circle of the same area, median from {ILIAC_MM[0]:g} to {ILIAC_MM[0] + len(found):g} mm "
        f"below the bifurcation; largest {max(one.mean_mm for one in found):.1f} mm"
    )
    return [Number(f"iliac_{side}_diameter_mm", f"{side.capitalize()} common iliac diameter", mean, "mm", text)], ""


def _smooth(values: NDArray[np.float64] | list[float]) -> NDArray[np.float64]:
    """(n,) medians over 5 stations; a missing one stays missing."""
    values = np.asarray(values, dtype=np.float64)
    known = np.isfinite(values)
    if not known.any():
        return values
    filled = np.interp(np.arange(len(values)), np.flatnonzero(known), values[known])
    return np.where(known, ndimage.median_filter(filled, size=5, mode="nearest"), np.nan)
