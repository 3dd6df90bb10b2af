"""What is read off a vessel wall under pressure: stress, displacement, diameters, volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csgraph
from scipy.spatial import cKDTree

from ..plain_words import position_words
from .base import Curve, Number
from .solving import MM_PER_M
from .vessel_size import Stretch, size_numbers
from .wall_stress import inside_places, laplace_kpa

if TYPE_CHECKING:
    from ...imaging.volume import LabelMap
    from ...meshing.mesh import TetMesh
    from .vessel_wall import Pressurised, VesselWallOptions
    from .wall_stress import WallFields

NOT_A_PREDICTOR = "no rupture predictor by itself"
KPA_PER_MMHG = 0.133322387415
SHORT_NOTE = (
    "All of the wall lies within {distance:g} mm of its held ends. Nothing could be left out there: stress, strain and "
    "displacement are counted everywhere, and holding the ends disturbs them. Compute a longer stretch, or choose a "
    "smaller exclude_from_ends_mm."
)


def wall_numbers(
    mesh: TetMesh,
    wall: Pressurised,
    read: WallFields,
    options: VesselWallOptions,
    labels: LabelMap,
    systolic_mmHg: float,
    planning: Sequence[Number] = (),
) -> tuple[Number, ...]:
    """All numbers of the report; `planning` are those of `vessel_measures`."""
    counted, stretch = away_from_ends(mesh, options.exclude_from_ends_mm), Stretch.of(labels, options)
    return (
        *_stress_numbers(mesh, read, counted, options, systolic_mmHg),
        *_motion_numbers(mesh, wall, read.strain, counted & region_mask(mesh, "aortic_wall")),
        _thickness_number(mesh, options),
        *size_numbers(stretch),
        *_thrombus_numbers(mesh, read.element[-1], counted, stretch),
        *planning,
    )


def _stress_numbers(
    mesh: TetMesh,
    read: WallFields,
    counted: NDArray[np.bool_],
    options: VesselWallOptions,
    systolic_mmHg: float,
) -> list[Number]:
    from ...engine.tissue.fields import weighted_percentile

    chosen = np.flatnonzero(counted & region_mask(mesh, "aortic_wall"))
    volumes, stress, single = mesh.volumes[chosen], read.wall[-1][chosen], read.element[-1][chosen]
    laplace = laplace_kpa(mesh, systolic_mmHg * KPA_PER_MMHG, options.wall_thickness_mm)[chosen]
    peak, widest = int(np.argmax(stress)), int(np.argmax(laplace))
    centre = mesh.points[mesh.tetrahedra[chosen]].mean(axis=1)
    # where the stress is in its highest percentile, and what a tube of the same width would carry there
    high = stress >= weighted_percentile(stress, volumes, 99)
    hot, share = hot_spot(mesh, chosen[high])
    ends = _ends_words(mesh, options.exclude_from_ends_mm)
    return [
        Number(
            "wall_stress_p99_kPa",
            "Wall stress, 99th percentile",
            weighted_percentile(stress, volumes, 99),
            "kPa",
            "largest principal Cauchy stress of the mean over the wall's thickness; the most stressed 1 % of the wall "
            f"lies {_lies(hot, share)}; a tube as wide as the vessel is there would carry "
            f"{np.median(laplace[high]):.0f} kPa (Laplace, p r / t); {NOT_A_PREDICTOR}",
            hot,
            "wall_stress_kPa",
        ),
        Number(
            "wall_stress_median_kPa", "Wall stress, median", weighted_percentile(stress, volumes, 50), "kPa",
            f"Laplace's median is {weighted_percentile(laplace, volumes, 50):.0f} kPa",
        ),
        Number(
            "wall_stress_peak_kPa",
            "Wall stress, peak",
            float(stress[peak]),
            "kPa",
            f"{position_words(centre[peak])}, where Laplace gives {laplace[peak]:.0f} kPa; one place, so it depends "
            f"on the mesh; {ends}; {NOT_A_PREDICTOR}",
            as_place(centre[peak]),
            "wall_stress_kPa",
        ),
        Number(
            "wall_stress_laplace_kPa",
            "Laplace estimate where widest",
            float(laplace[widest]),
            "kPa",
            f"p r / t, {position_words(centre[widest])}; knows neither thrombus nor shape",
            as_place(centre[widest]),
        ),
        Number(
            "wall_stress_bending_p99_kPa",
            "Wall stress with bending, 99th percentile",
            weighted_percentile(single, volumes, 99),
            "kPa",
            "of single elements, bending included; too high, as residual stress is not modelled",
        ),
    ]  # fmt: skip


def hot_spot(mesh: TetMesh, elements: NDArray[np.int64]) -> tuple[tuple[float, float, float], float]:
    """The middle (LPS mm) of the largest connected patch of some elements, and its share of their volume.

    The middle is that of the patch's element nearest to the centroid: a patch around a vessel has its centroid in the
    lumen.
    """
    corners = mesh.tetrahedra[elements]
    rows = np.repeat(np.arange(len(elements)), 4)
    incidence = sparse.csr_matrix((np.ones(len(rows)), (rows, corners.ravel())))
    _, patch = csgraph.connected_components(incidence @ incidence.T, directed=False)
    sizes = np.bincount(patch, mesh.volumes[elements])
    largest = patch == np.argmax(sizes)
    centres, weight = mesh.points[corners[largest]].mean(axis=1), mesh.volumes[elements[largest]]
    middle = np.average(centres, axis=0, weights=weight)
    nearest = centres[np.argmin(np.linalg.norm(centres - middle, axis=1))]
    return as_place(nearest), float(sizes.max() / sizes.sum())


def as_place(point: NDArray[np.float64]) -> tuple[float, float, float]:
    """(3,) as JSON holds it."""
    x, y, z = (float(value) for value in point)
    return x, y, z


def _lies(place_mm: tuple[float, float, float], share: float) -> str:
    """Where the most stressed elements lie, as far as one patch tells."""
    where = f"around the place {position_words(place_mm)}"
    return where if share > 0.8 else f"in patches, the largest of them ({100 * share:.0f} % of it) {where}"


def _motion_numbers(
    mesh: TetMesh, wall: Pressurised, strain: NDArray[np.float64], chosen: NDArray[np.bool_]
) -> list[Number]:
    from ...engine.tissue import fields

    nodes = np.unique(mesh.tetrahedra[chosen])
    moved = moved_mm(mesh, wall, -1)[nodes]
    start = "from the scanned shape to systolic pressure"
    return [
        Number("wall_displacement_max_mm", "Wall displacement, largest", float(moved.max()), "mm", start),
        Number("wall_displacement_mean_mm", "Wall displacement, mean", float(moved.mean()), "mm", start),
        Number(
            "wall_strain_p99",
            "Wall strain, 99th percentile",
            100 * fields.weighted_percentile(strain[chosen], mesh.volumes[chosen], 99),
            "%",
            "largest principal Green–Lagrange strain from the load-free shape, bending included",
        ),
    ]


def moved_mm(mesh: TetMesh, wall: Pressurised, state: int) -> NDArray[np.float64]:
    """(N,) mm from the scanned shape."""
    gap = 0.0 if wall.gap_mm is None else wall.gap_mm
    displacement = np.asarray(wall.solution.states[state].displacement)[: len(mesh.points)] * MM_PER_M
    return np.linalg.norm(gap + displacement, axis=1)


def wall_curves(
    mesh: TetMesh, wall: Pressurised, read: WallFields, options: VesselWallOptions, systolic_mmHg: float
) -> tuple[Curve, ...]:
    """Wall stress and displacement over pressure."""
    from ...engine.tissue.fields import weighted_percentile

    chosen = away_from_ends(mesh, options.exclude_from_ends_mm) & region_mask(mesh, "aortic_wall")
    nodes = np.unique(mesh.tetrahedra[chosen])
    pressure = [float(state.load_fraction) * systolic_mmHg for state in wall.solution.states]
    stress = [weighted_percentile(field[chosen], mesh.volumes[chosen], 99) for field in read.wall]
    moved = [float(moved_mm(mesh, wall, number)[nodes].max()) for number in range(len(pressure))]
    if wall.gap_mm is None:
        pressure, stress, moved = [0.0, *pressure], [0.0, *stress], [0.0, *moved]
    x = tuple(pressure)
    return (
        Curve(
            "Wall stress over pressure", "pressure", "mmHg", "99th percentile of wall stress", "kPa", x, tuple(stress)
        ),
        Curve("Wall displacement over pressure", "pressure", "mmHg", "largest displacement", "mm", x, tuple(moved)),
    )


def region_mask(mesh: TetMesh, name: str) -> NDArray[np.bool_]:
    """(E,) elements of a region."""
    return np.isin(mesh.region, [label for label, region in mesh.region_names.items() if region == name])


def away_from_ends(mesh: TetMesh, distance_mm: float) -> NDArray[np.bool_]:
    """(E,) elements whose centre is at least so far from every held node; all where `is_short`."""
    far = _farther_than(mesh, distance_mm)
    return np.ones(len(far), dtype=bool) if is_short(mesh, distance_mm) else far


def is_short(mesh: TetMesh, distance_mm: float) -> bool:
    """Whether no element of the wall is so far from the held ends; then all of it counts, and a note says so."""
    wall = region_mask(mesh, "aortic_wall")
    return not _farther_than(mesh, distance_mm)[wall if wall.any() else slice(None)].any()


def short_note(mesh: TetMesh, distance_mm: float) -> list[str]:
    """One line where the vessel is too short to leave out its ends."""
    return [SHORT_NOTE.format(distance=distance_mm)] if is_short(mesh, distance_mm) else []


def _farther_than(mesh: TetMesh, distance_mm: float) -> NDArray[np.bool_]:
    held = [nodes for name, nodes in mesh.node_sets.items() if name.startswith("end_")]
    if not held or distance_mm == 0:
        return np.ones(len(mesh.tetrahedra), dtype=bool)
    centres = mesh.points[mesh.tetrahedra].mean(axis=1)
    distance, _ = cKDTree(mesh.points[np.concatenate(held)]).query(centres)
    return np.asarray(distance) >= distance_mm


def _ends_words(mesh: TetMesh, distance_mm: float) -> str:
    if is_short(mesh, distance_mm):
        return (
            f"the vessel is too short to leave out {distance_mm:g} mm at its held ends, so they are counted, "
            "where holding disturbs the stress"
        )
    return f"within {distance_mm:g} mm of the held ends nothing is counted"


def _thickness_number(mesh: TetMesh, options: VesselWallOptions) -> Number:
    thickness = wall_thickness(mesh)
    thinned = 100 * float((thickness < 0.8 * options.wall_thickness_mm).mean())
    return Number(
        "wall_thickness_min_mm",
        "Wall thickness, smallest",
        float(thickness.min()),
        "mm",
        f"{options.wall_thickness_mm:g} mm was asked for, the median is {np.median(thickness):.2f} mm; "
        f"{thinned:.1f} % of the outer surface has less than four fifths of it (in clefts and crotches), "
        "where stress comes out too high",
    )


def wall_thickness(mesh: TetMesh) -> NDArray[np.float64]:
    """(n,) mm from each node of the wall's outside, the open ends' left out, to the nearest place of its inside."""
    free = np.zeros(len(mesh.points), dtype=bool)
    free[mesh.facet_sets["outer"]] = True
    for name, nodes in mesh.node_sets.items():
        free[nodes] &= not name.startswith("end_")
    distance, _ = cKDTree(inside_places(mesh)).query(mesh.points[free])
    return np.asarray(distance)


def _thrombus_numbers(mesh: TetMesh, stress, counted, stretch: Stretch) -> list[Number]:
    from ...engine.tissue import fields

    elements = counted & region_mask(mesh, "aortic_thrombus")
    if not elements.any():
        return []
    value = fields.weighted_percentile(stress[elements], mesh.volumes[elements], 99)
    volume, text = stretch.millilitres(stretch.thrombus)
    return [
        Number("thrombus_ml", "Thrombus volume", volume, "mL", text),
        Number(
            "thrombus_stress_p99_kPa",
            "Thrombus stress, 99th percentile",
            value,
            "kPa",
            "largest principal Cauchy stress",
        ),
    ]
