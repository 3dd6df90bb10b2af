"""A vessel as smooth fields: where lumen and thrombus end, and the box and planes that bound it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ..imaging.anatomy import SEGMENTS
from ..imaging.volume import LabelMap
from .distance_field import DistanceField, distance_field
from .ends import open_planes
from .extrusion import Plane
from .fairing import rounded
from .regions import RegionLattice, region_lattice
from .vessel_labels import LUMEN, THROMBUS

SAMPLES_PER_EDGE = 0.35
"""Spacing of the fields' lattice as a share of the edge length."""


@dataclass(frozen=True, eq=False)
class VesselFields:
    """Distances along the axes of a lattice, in mm from the centre of its first cell.

    Attributes:
        outline: positive in lumen and thrombus.
        lumen: positive in the lumen; None without thrombus.
        box: (3,) low and high corner around the vessel; at an open end its side is the end's plane.
        open_faces: (axis, 0 low or 1 high) of the ends.
        planes: of the ends, LPS mm.
        lattice: which the fields come from.
    """

    outline: DistanceField
    lumen: DistanceField | None
    box: tuple[NDArray[np.float64], NDArray[np.float64]]
    open_faces: Sequence[tuple[int, int]]
    planes: Sequence[Plane]
    lattice: RegionLattice

    def patient(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 3) mm along the lattice's axes → LPS mm."""
        return self.lattice.points(places / _spacing(self.lattice) + 1.0)

    @property
    def mirrored(self) -> bool:
        """Whether the lattice is left-handed, so that tetrahedra turn over on the way to the patient."""
        return bool(np.linalg.det(self.lattice.affine[:3, :3]) < 0)


def vessel_lattice(labels: LabelMap, edge_length_mm: float) -> RegionLattice:
    """Lumen and thrombus of `vessel_labels` on an even lattice fine enough for the edge length.

    Between slices the shape is interpolated, and beyond the last one it would end in a dome of half a slice; where
    the vessel is cut it goes on instead.
    """
    names = [LUMEN] + ([THROMBUS] if labels.only(THROMBUS).any() else [])
    lattice = region_lattice(labels, names, SAMPLES_PER_EDGE * edge_length_mm)
    cells = lattice.labels.copy()
    layers = np.ceil(0.5 * labels.grid.spacing / _spacing(lattice)).astype(int)
    for axis, side in open_planes(labels, lattice)[1]:
        along = np.moveaxis(cells if side == 0 else np.flip(cells, axis), axis, 0)
        along[1 : 1 + layers[axis]] = along[1 + layers[axis]]
    return replace(lattice, labels=cells)


def vessel_fields(
    labels: LabelMap, lattice: RegionLattice, *, edge_length_mm: float, closing_mm: float, least_radius_mm: float
) -> VesselFields:
    """The smoothed distances of a vessel whose clefts are closed.

    Smoothing spans a voxel of the scan (1.2 of a side between its longest and its mean one) so that no stair-step is
    left; less where the vessel is so thin that it would shrink.

    Args:
        labels: of `vessel_labels`.
        lattice: of `vessel_lattice`.
        edge_length_mm: of the mesh to come.
        closing_mm: radius below which a concave crease is filled.
        least_radius_mm: of the branches that are kept.
    """
    planes, faces = open_planes(labels, lattice)
    cells = rounded(lattice, closing_mm, faces).labels[1:-1, 1:-1, 1:-1]
    spacing = _spacing(lattice)
    sides = labels.grid.spacing
    voxel = float(np.sqrt(sides.max() * sides.prod() ** (1 / 3)))
    fine = min(1.2 * voxel, max(0.7 * voxel, 0.6 * least_radius_mm))
    margin = 2.0 * edge_length_mm + 4.0 * voxel

    def field(mask: NDArray[np.bool_]) -> DistanceField:
        sigmas = (fine, 1.2 * voxel)
        return distance_field(mask, spacing, smoothing_mm=sigmas, margin_mm=margin, open_faces=faces)

    has_thrombus = bool((cells == SEGMENTS[THROMBUS].label).any())
    lumen = field(cells == SEGMENTS[LUMEN].label) if has_thrombus else None
    low, high = np.full(3, -edge_length_mm), (np.array(cells.shape) - 1) * spacing + edge_length_mm
    for axis, side in faces:
        end = low if side == 0 else high
        end[axis] = -0.5 * spacing[axis] if side == 0 else (cells.shape[axis] - 0.5) * spacing[axis]
    return VesselFields(field(cells > 0), lumen, (low, high), faces, planes, lattice)


def _spacing(lattice: RegionLattice) -> NDArray[np.float64]:
    return np.linalg.norm(lattice.affine[:3, :3], axis=0)
