"""Which region each tetrahedron belongs to, from the closed surfaces it was built from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from .inclusions import Inclusion
from .pieces import INNER_POINTS, facet_connected
from .sets import all_facets
from .vtk_arrays import polydata


def region_of_tetrahedra(
    points: NDArray[np.float64],
    tetrahedra: NDArray[np.int32],
    surfaces: Mapping[int, tuple[NDArray[np.float64], NDArray[np.int32]]],
    *,
    resolution_mm: float,
    small: Sequence[Inclusion] = (),
) -> NDArray[np.int32]:
    """(E,) region id by majority over five points of each tetrahedron; 0 outside all.

    Args:
        points: (N, 3) mm.
        tetrahedra: (E, 4).
        surfaces: region id → closed triangle surface (points, triangles) of that region; a later one overrides.
        resolution_mm: cell of the image that the surfaces are drawn into.
        small: small pieces, drawn over what surrounds them.
    """
    low = np.min([p.min(axis=0) for p, _ in surfaces.values()], axis=0) - 2 * resolution_mm
    high = np.max([p.max(axis=0) for p, _ in surfaces.values()], axis=0) + 2 * resolution_mm
    shape = np.ceil((high - low) / resolution_mm).astype(int) + 1
    image = np.zeros(shape, dtype=np.int32)
    for region, (surface_points, triangles) in surfaces.items():
        image[draw_inside(surface_points, triangles, low, resolution_mm, shape)] = region
    for piece in small:
        # The lattice shows neither a small piece nor another small one around it, only what surrounds both.
        hosts = {piece.host, *(other.host for other in small if other.region == piece.host)}
        _draw_over(image, piece, hosts - {piece.region}, low, resolution_mm)
    corners = points[tetrahedra]
    votes = np.empty((len(INNER_POINTS), len(tetrahedra)), dtype=np.int32)
    for row, weights in enumerate(INNER_POINTS):
        place = np.round((np.einsum("c,ecx->ex", weights, corners) - low) / resolution_mm).astype(int)
        inside = ((place >= 0) & (place < shape)).all(axis=1)
        votes[row] = np.where(inside, image[tuple(np.clip(place, 0, shape - 1).T)], 0)
    return _majority(votes)


def _draw_over(image: NDArray[np.int32], piece: Inclusion, hosts: set[int], origin: NDArray, cell: float) -> None:
    """Give the cells of some regions that lie in the piece to its region."""
    first = np.maximum(np.floor((piece.points.min(axis=0) - origin) / cell).astype(int), 0)
    last = np.minimum(np.ceil((piece.points.max(axis=0) - origin) / cell).astype(int) + 1, image.shape)
    if (last <= first).any():
        return
    window = image[tuple(slice(a, b) for a, b in zip(first, last, strict=True))]
    inside = draw_inside(piece.points, piece.triangles, origin + first * cell, cell, last - first)
    window[inside & np.isin(window, list(hosts))] = piece.region


def draw_inside(
    points: NDArray[np.float64], triangles: NDArray[np.int32], origin: NDArray, cell: float, shape: NDArray
) -> NDArray[np.bool_]:
    """(I, J, K) which cell centres of an image along the LPS axes lie inside a closed surface."""
    from vtkmodules.util.numpy_support import vtk_to_numpy
    from vtkmodules.vtkImagingStencil import vtkImageStencilToImage, vtkPolyDataToImageStencil

    extent = [0, int(shape[0]) - 1, 0, int(shape[1]) - 1, 0, int(shape[2]) - 1]
    stencil = vtkPolyDataToImageStencil()
    stencil.SetInputData(polydata(points, triangles))
    stencil.SetOutputOrigin(*(float(x) for x in origin))
    stencil.SetOutputSpacing(cell, cell, cell)
    stencil.SetOutputWholeExtent(extent)
    stencil.SetTolerance(0.0)
    drawn = vtkImageStencilToImage()
    drawn.SetInputConnection(stencil.GetOutputPort())
    drawn.SetInsideValue(1)
    drawn.SetOutsideValue(0)
    drawn.SetOutputScalarTypeToUnsignedChar()
    drawn.Update()
    flat = vtk_to_numpy(drawn.GetOutput().GetPointData().GetScalars())
    return flat.reshape(tuple(int(n) for n in shape[::-1])).transpose(2, 1, 0) > 0


def _majority(votes: NDArray[np.int32]) -> NDArray[np.int32]:
    """The most frequent value of each column; among equals the one of the first row."""
    best, count = votes[0].copy(), (votes == votes[0]).sum(axis=0)
    for row in votes[1:]:
        number = (votes == row).sum(axis=0)
        better = number > count
        best[better], count[better] = row[better], number[better]
    return best


def facet_neighbours(tetrahedra: NDArray[np.int32]) -> NDArray[np.int64]:
    """(E, 4) the tetrahedron across the facet opposite each corner; −1 at the boundary."""
    _, owner, paired = all_facets(tetrahedra)
    return np.where(paired >= 0, owner[paired], -1).reshape(-1, 4)


def tidy_regions(region: NDArray[np.int32], neighbours: NDArray[np.int64], *, rounds: int = 5) -> NDArray[np.int32]:
    """Give a tetrahedron whose neighbours disagree with it three to one their region.

    A voxel-like spike (one facet in common with its own region) carries no shape and would
    be a hinge of its own in a simulation; outside counts as region 0.
    """
    region = region.copy()
    for _ in range(rounds):
        around = np.where(neighbours >= 0, region[neighbours], 0)
        common = _majority(around.T.copy())
        spike = ((around == common[:, None]).sum(axis=1) >= 3) & (common != region)
        if not spike.any():
            break
        region[spike] = common[spike]
    return region


def largest_pieces(
    region: NDArray[np.int32], neighbours: NDArray[np.int64], volumes: NDArray[np.float64], *, share: float
) -> NDArray[np.bool_]:
    """(E,) the kept tetrahedra: facet-connected pieces with at least `share` of the whole volume."""
    inside = region > 0
    piece = facet_connected(inside.astype(np.int32), neighbours)
    total = np.bincount(piece[inside], volumes[inside], minlength=piece.max() + 1)
    return inside & (total[piece] >= share * volumes[inside].sum())
