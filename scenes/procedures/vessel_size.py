"""What is read off a vessel's voxels: diameters, volumes, and where two lumens touch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ..plain_words import position_words
from .base import Number
from .vessel_widths import largest_axial_diameter, largest_inscribed

if TYPE_CHECKING:
    from ...imaging.volume import LabelMap
    from .vessel_wall import VesselWallOptions


@dataclass(frozen=True, eq=False)
class Stretch:
    """The stretch of a vessel that is computed, among all that is segmented of it.

    Attributes:
        vessel: (I, J, K) lumen and thrombus, whole.
        computed: (I, J, K) what of them is meshed: between the cut ends, without thin branches.
        lumen, thrombus: (I, J, K) each of the two, whole.
        labels: where they come from.
    """

    vessel: NDArray[np.bool_]
    computed: NDArray[np.bool_]
    lumen: NDArray[np.bool_]
    thrombus: NDArray[np.bool_]
    labels: LabelMap

    @classmethod
    def of(cls, labels: LabelMap, options: VesselWallOptions) -> Stretch:
        """As the wall's mesh is made."""
        from ...meshing.vessel_labels import vessel_labels

        lumen = labels.mask(options.lumen)
        thrombus = labels.mask(options.thrombus) & ~lumen if options.thrombus else np.zeros_like(lumen)
        cut = vessel_labels(labels, options.lumen, options.thrombus if thrombus.any() else (), roi_mm=options.box_mm,
                            least_radius_mm=options.edge_length_mm)  # fmt: skip
        start = np.round(labels.grid.index_from_points(cut.grid.origin)).astype(int)
        window = tuple(slice(a, a + n) for a, n in zip(start, cut.grid.shape, strict=True))
        vessel, computed = lumen | thrombus, np.zeros_like(lumen)
        # leaving thin branches out rounds the border off by a voxel, which belongs to the stretch all the same
        kept = np.asarray(ndimage.binary_dilation(cut.labels > 0, np.ones((3, 3, 3), dtype=bool)))
        computed[window] = kept & vessel[window]
        return cls(vessel, computed, lumen, thrombus, labels)

    def millilitres(self, mask: NDArray[np.bool_]) -> tuple[float, str]:
        """The volume of a mask in the stretch, and in words that of the whole mask where it is more."""
        voxel = self.labels.grid.voxel_volume / 1000
        part, whole = float((mask & self.computed).sum() * voxel), float(mask.sum() * voxel)
        return part, f"in the stretch computed; {_more(part, whole, 'mL')}"


def size_numbers(stretch: Stretch) -> list[Number]:
    """Diameters of the stretch that is computed and its lumen's volume, each beside that of all that is segmented."""
    grid, spacing = stretch.labels.grid, stretch.labels.grid.spacing
    axial, axial_whole = (largest_axial_diameter(mask, grid) for mask in (stretch.computed, stretch.vessel))
    sphere, centre = sphere_whole, _ = largest_inscribed(stretch.vessel, grid)
    if not stretch.computed[_voxel_of(centre, stretch)]:
        sphere, centre = largest_inscribed(stretch.vessel, grid, within=stretch.computed)
    lumen, text = stretch.millilitres(stretch.lumen)
    return [
        Number(
            "max_axial_diameter_mm",
            "Largest axial diameter",
            axial,
            "mm",
            "of lumen and thrombus in the stretch computed, widest extent in one axial plane; oblique vessels look "
            f"wider; {_more(axial, axial_whole, 'mm')}",
        ),
        Number(
            "max_inscribed_diameter_mm",
            "Largest sphere that fits in",
            sphere,
            "mm",
            f"its diameter, in lumen and thrombus together, {position_words(centre)}; below the diameter where the "
            f"section is not round or the sac is short; {_more(sphere, sphere_whole, 'mm')}",
            (float(centre[0]), float(centre[1]), float(centre[2])),
        ),
        Number("lumen_ml", "Lumen volume", lumen, "mL",
               f"{text}; voxels of {spacing.min():.2g} to {spacing.max():.2g} mm"),
    ]  # fmt: skip


def _more(part: float, whole: float, unit: str) -> str:
    """What the whole segmentation has, where that is another figure."""
    if f"{whole:.1f}" == f"{part:.1f}":
        return "all of the vessel that is segmented has no more"
    return f"all of the vessel that is segmented has {whole:.1f} {unit}"


def _voxel_of(point: NDArray[np.float64], stretch: Stretch) -> tuple[int, ...]:
    index = np.round(stretch.labels.grid.index_from_points(point)).astype(int)
    return tuple(int(i) for i in np.clip(index, 0, np.array(stretch.computed.shape) - 1))


def touching(labels: LabelMap, names: tuple[str, ...]) -> tuple[list[str], float]:
    """The two of the named segments with the largest common border, and its area in cm² (of voxel faces).

    A part is not compared with its whole: aorta_true_lumen lies in aorta.
    """
    best: tuple[list[str], float] = ([], 0.0)
    masks = {name: labels.mask((name,)) for name in names}
    sides = labels.grid.spacing
    for number, first in enumerate(names):
        for second in names[number + 1 :]:
            if second.startswith(f"{first}_") or first.startswith(f"{second}_"):
                continue
            area = 0.0
            for axis in range(3):
                here, there = (np.moveaxis(masks[name] & ~masks[other], axis, 0)
                               for name, other in ((first, second), (second, first)))  # fmt: skip
                faces = (here[1:] & there[:-1]).sum() + (here[:-1] & there[1:]).sum()
                area += float(faces) * float(np.delete(sides, axis).prod()) / 100.0
            if area > best[1]:
                best = ([first, second], area)
    return best
