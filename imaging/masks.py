"""`MaskSet`: named masks on one grid that may overlap, as manual segmentations do (a liver holds its tumours)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .anatomy import SEGMENTS, WHOLES, Segment
from .errors import SegmentationError
from .volume import Grid, LabelMap


@dataclass(frozen=True, eq=False)
class MaskSet:
    """Masks by segment name, loaded when asked for.

    Attributes:
        grid: where the voxels are.
        segments: name → coded segment.
        loaders: name → function that gives the (I, J, K) bool mask of exactly this file or label.
        notes: what was done to bring them to the grid.
    """

    grid: Grid
    segments: Mapping[str, Segment]
    loaders: Mapping[str, Callable[[], NDArray[np.bool_]]]
    notes: tuple[str, ...] = field(default=())

    @property
    def names(self) -> tuple[str, ...]:
        """Every mask, and the wholes (lungs, kidneys, bone …) that parts among them make up."""
        known = {**dict.fromkeys(self.loaders)}
        for name in self.loaders:
            known.update(dict.fromkeys(self.segments[name].part_of))
        return tuple(known)

    def parts(self, name: str) -> tuple[str, ...]:
        """The masks that make up a name: its own and those that are part of it."""
        return tuple(one for one in self.loaders if one == name or name in self.segments[one].part_of)

    def mask(self, name: str) -> NDArray[np.bool_]:
        """(I, J, K) the union of a mask and its parts.

        Raises:
            SegmentationError: there is no such mask.
        """
        parts = self.parts(name)
        if not parts:
            raise SegmentationError(f"there is no mask {name}", advice=f"There are: {', '.join(self.names) or 'none'}")
        mask = self.loaders[parts[0]]()
        for one in parts[1:]:
            mask = mask | self.loaders[one]()
        return mask


def masks_of(labels: LabelMap) -> MaskSet:
    """The masks of a label map. A whole holds its parts, and the body everything inside the skin."""
    by_name = {labels.segments[i].name: labels.segments[i] for i in _present(labels) if i in labels.segments}

    def exactly(label: int) -> Callable[[], NDArray[np.bool_]]:
        return lambda: labels.labels == label

    loaders = {name: exactly(segment.label) for name, segment in _with_labels(labels, by_name)}
    if "body" in loaders:
        loaders["body"] = lambda: labels.labels != 0
    return MaskSet(labels.grid, by_name, loaders)


def _present(labels: LabelMap) -> list[int]:
    return [int(i) for i in np.flatnonzero(np.bincount(labels.labels.ravel(order="K"))) if i]


def _with_labels(labels: LabelMap, by_name: Mapping[str, Segment]) -> Iterable[tuple[str, Segment]]:
    from dataclasses import replace

    ids = {segment.name: label for label, segment in labels.segments.items()}
    return [(name, replace(segment, label=ids[name])) for name, segment in by_name.items()]


_INSIDE_LIVER = {"portal_vein": "portal_vein_intrahepatic", "inferior_vena_cava": "hepatic_vein"}
"""A manual venous mask that runs into the liver: what its part inside is called, so that the liver keeps it."""


def label_map_of(masks: MaskSet) -> LabelMap:
    """One label per voxel: wholes first, their parts over them, and smaller structures over larger ones.

    Veins of the portal and caval masks inside the liver mask become intrahepatic ones, which are part of the liver.
    """
    names = [name for name in masks.loaders if name not in WHOLES or not masks.parts(name)[1:]]
    # Packed to bits: a dozen masks of a large scan would not fit beside each other otherwise.
    packed, size = {}, {}
    for name in names:
        mask = masks.loaders[name]().ravel(order="F")
        packed[name], size[name] = np.packbits(mask), int(mask.sum())
    names.sort(key=lambda name: (name != "body", len(masks.segments[name].part_of), -size[name]))
    segments = {segment.label: segment for segment in masks.segments.values()}
    labels = np.zeros(masks.grid.shape, np.uint16, order="F")
    flat = labels.reshape(-1, order="F")
    for name in names:
        flat[np.unpackbits(packed[name], count=flat.size).view(bool)] = masks.segments[name].label
        inside = SEGMENTS.get(_INSIDE_LIVER.get(name, ""))
        if inside and "liver" in packed and inside.name not in packed:
            both = np.unpackbits(packed[name] & packed["liver"], count=flat.size).view(bool)
            flat[both] = inside.label
            segments[inside.label] = inside
    return LabelMap(labels, masks.grid, segments)
