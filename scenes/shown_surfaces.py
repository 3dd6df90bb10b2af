"""Surfaces as pictures show them: light, without crumbs and stairs. What is measured and written stays as it is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pyvista as pv

_MOST_TRIANGLES = 120_000
CRUMB_MM3 = 5.0
"""Closed pieces of less volume are left out of pictures; those of an organ's surface also below the next two."""
_CRUMB_SHARE = 0.005
_LARGEST_CRUMB_MM3 = 500.0


def light(mesh: pv.PolyData) -> pv.PolyData:
    """A surface with no more triangles than a picture can show."""
    if mesh.n_cells <= _MOST_TRIANGLES:
        return mesh
    return mesh.triangulate().decimate(1 - _MOST_TRIANGLES / mesh.n_cells)


def shown(mesh: pv.PolyData, name: str, *, clear: bool = False) -> pv.PolyData:
    """A segment's light surface without crumbs, and smooth where voxels left stairs.

    Args:
        name: of the segment; of tumours every piece but the tiniest may be a finding and is kept.
        clear: it is drawn translucent, where stairs show most.
    """
    whole = without_crumbs(mesh, one_organ="tumor" not in name)
    return smooth(light(whole), 0.03 if clear else 0.1)


def smooth(mesh: pv.PolyData, pass_band: float) -> pv.PolyData:
    """The surface without a voxel's stairs; its volume stays (Taubin 1995, doi:10.1145/218380.218473)."""
    if mesh.n_cells < 500:
        return mesh
    return mesh.triangulate().smooth_taubin(n_iter=30, pass_band=pass_band, feature_smoothing=False)


def without_crumbs(mesh: pv.PolyData, *, one_organ: bool = True) -> pv.PolyData:
    """The surface without its smallest pieces; always with the largest."""
    if not mesh.n_cells:
        return mesh
    joined = mesh.connectivity("all")
    ids = np.asarray(joined.cell_data["RegionId"])
    count = int(ids.max()) + 1
    if count == 1:
        return mesh
    volumes = _volumes(joined, ids, count)
    least = CRUMB_MM3
    if one_organ:
        least = max(least, min(_CRUMB_SHARE * float(volumes.max()), _LARGEST_CRUMB_MM3))
    kept = volumes >= min(least, float(volumes.max()))
    if kept.all():
        return mesh
    part = joined.extract_cells(np.flatnonzero(kept[ids])).extract_surface(algorithm="dataset_surface")
    part.clear_data()
    return part


def _volumes(mesh: pv.PolyData, ids: np.ndarray, count: int) -> np.ndarray:
    """(count,) mm³ that each piece encloses, by the divergence theorem."""
    corners = np.asarray(mesh.points, dtype=float)[mesh.regular_faces]
    corners = corners - np.asarray(mesh.center)
    signed = np.einsum("ij,ij->i", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    return np.abs(np.bincount(ids, weights=signed, minlength=count))
