"""The numbers of the report on bodies whose answers are known: a rigid lift, a bar, an affine motion, a tube."""

from __future__ import annotations

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest
from analytic_solids import centres, grid_of
from scipy.optimize import brentq
from test_places import box as box_fixture

from preop.imaging.anatomy import BY_LABEL, SEGMENTS
from preop.imaging.progress import silent
from preop.imaging.volume import LabelMap
from preop.meshing.mesh import TetMesh
from preop.meshing.wall import vessel_wall
from preop.scenes.procedures.load_free import Hanging
from preop.scenes.procedures.region_pieces import small_pieces
from preop.scenes.procedures.retraction import Lift, RetractionOptions
from preop.scenes.procedures.retraction_measures import retraction_curves, retraction_numbers
from preop.scenes.procedures.solving import element_fields, field_steps
from preop.scenes.procedures.vessel_wall import MMHG, Pressurised, VesselWallOptions, pressurised
from preop.scenes.procedures.wall_measures import away_from_ends, region_mask, wall_numbers
from preop.scenes.procedures.wall_stress import WallFields, wall_fields
from preop.scenes.schema import Patient, SolverOptions

box = box_fixture
SIDE = 40.0
SHEAR = 2500.0
"""Pa: of a neo-Hookean body of E = 5000 Pa and ν = 0, for which λ = 0."""


@pytest.fixture(scope="module", autouse=True)
def _float64():
    import jax

    jax.config.update("jax_enable_x64", True)


@pytest.fixture(scope="module")
def organ(box) -> TetMesh:
    """The cube as a liver with tumours of 8 mL and 1 mL."""
    surface = box.facet_sets["surface"]
    grasp = surface[(box.points[surface][:, :, 0] == SIDE).all(axis=1)]
    floor = surface[(box.points[surface][:, :, 0] == 0).all(axis=1)]
    centre = box.points[box.tetrahedra].mean(axis=1)
    region = np.full(len(centre), 10, dtype=np.int32)
    region[(centre < 20).all(axis=1) | (centre > 30).all(axis=1)] = 11
    sets = {"surface": surface, "grasp": grasp, "floor": floor}
    return TetMesh(box.points, box.tetrahedra, region, {10: "liver", 11: "liver_tumor"}, sets,
                   {"grasp": np.unique(grasp).astype(np.int32)})  # fmt: skip


def model_of(mesh: TetMesh, young: float = 2 * SHEAR, poisson: float = 0.0, density: float = 1000.0):
    from preop.engine.tissue.materials import NeoHookean
    from preop.engine.tissue.model import Model

    return Model.from_mesh(mesh, {"*": NeoHookean.from_young(young, poisson)}, density=density)


def lifted(mesh: TetMesh, *, path, stiffness=1e7, gravity=None, supports=()) -> Lift:
    """A lift of a body that the scan shows free of load."""
    from preop.engine.tissue.loads import Gravity
    from preop.engine.tissue.prescribed import Grip
    from preop.engine.tissue.solution import State
    from preop.engine.tissue.static import solve

    model = model_of(mesh)
    grip = Grip("grasp", stiffness, path)
    loads = [] if gravity is None else [Gravity(gravity)]
    problem = model.problem(loads=loads, supports=list(supports), prescribed=[grip])
    solution = solve(problem, load_steps=[0.5, 1.0], tolerance=1e-11).require_converged()
    rest = State(0.0, 0.0 * model.points)
    return Lift(problem, grip, solution, Hanging(problem, rest, np.zeros_like(mesh.points), 0.0, 1))


def told(mesh: TetMesh, lift: Lift, **more) -> dict:
    options = RetractionOptions.model_validate(
        {
            "regions": {"liver": {"labels": ["liver"], "tissue": "liver"}},
            "supports": [{"name": "bed", "where": {"all": True},
                          "stiffness_kPa_per_mm": 1.0}],
            "grasp": {"where": {"all": True}, "path_mm": [[0, 0, 1]]},
        } | more
    )  # fmt: skip
    elements = element_fields(lift.problem.model, lift.solution)
    numbers = retraction_numbers(mesh, lift, options, elements)
    return {one.key: one for one in numbers} | {"curves": retraction_curves(mesh, lift, options)}


def test_a_body_lifted_without_weight_moves_as_the_jaws_do(organ):
    """Nothing holds it back: every displacement is the path's length, no force, strain nor change of volume."""
    numbers = told(organ, lifted(organ, path=(-0.003, -0.012, 0.004)))
    for key in ("lift_mm", "largest_displacement_mm", "liver_tumor_1_displacement_mm", "liver_tumor_2_displacement_mm"):
        assert numbers[key].value == pytest.approx(13.0, rel=1e-9), key
    assert numbers["liver_tumor_1_displacement_mm"].meaning.startswith("3.0 mm right, 12.0 mm forward, 4.0 mm up")
    assert "volume 8.0 mL" in numbers["liver_tumor_1_displacement_mm"].meaning
    assert "volume 1.0 mL" in numbers["liver_tumor_2_displacement_mm"].meaning
    for key in ("grasper_force_N", "strain_p99", "strain_peak", "overstrained_ml", "volume_change", "sag_mm"):
        assert numbers[key].value == pytest.approx(0, abs=1e-6), key
    assert numbers["grasped_area_cm2"].value == pytest.approx(16)
    assert numbers["grasped_area_cm2"].place_mm == pytest.approx((40, 20, 20))
    force, *tumours = numbers["curves"]
    assert force.x == pytest.approx((6.5, 13.0))
    assert [curve.y for curve in tumours] == [pytest.approx((6.5, 13.0), rel=1e-9)] * 2


def test_the_jaws_alone_carry_the_weight(organ):
    numbers = told(organ, lifted(organ, path=(0.0, -0.010, 0.0), stiffness=1e8, gravity=(0.0, 2.0, 0.0)))
    weight = 1000.0 * (SIDE / 1000) ** 3 * 2.0
    assert numbers["grasper_force_N"].value == pytest.approx(weight, rel=1e-8)


def test_a_bar_is_pulled_with_its_stress_times_its_section(organ):
    """One end held, the other drawn by jaws: with ν = 0 the section stays, P(s) = μ (s − 1/s) = k (d − (s − 1) L)."""
    from preop.engine.tissue.supports import Fixed

    pull, length, stiffness = 0.012, SIDE / 1000, 5e6
    lift = lifted(organ, path=(pull, 0.0, 0.0), stiffness=stiffness, supports=[Fixed("floor")])
    numbers = told(organ, lift, strain_limit=0.10)

    def stretch_at(moved: float) -> float:
        return brentq(lambda s: SHEAR * (s - 1 / s) - stiffness * (moved - (s - 1) * length), 1.0, 2.0, xtol=1e-15)

    stretch, half = stretch_at(pull), stretch_at(pull / 2)
    assert 1.2 < stretch < 1.3
    nominal = SHEAR * (stretch - 1 / stretch)
    assert numbers["grasper_force_N"].value == pytest.approx(nominal * length**2, rel=1e-7)
    assert numbers["lift_mm"].value == pytest.approx(1000 * (stretch - 1) * length, rel=1e-7)
    assert numbers["largest_displacement_mm"].value == pytest.approx(numbers["lift_mm"].value, rel=1e-7)
    # the tumours' middles lie 10 and 35 mm from the end that is held, and move by that share
    for number, middle in ((1, 0.010), (2, 0.035)):
        key = f"liver_tumor_{number}_displacement_mm"
        assert numbers[key].value == pytest.approx(1000 * (stretch - 1) * middle, rel=1e-7)
    strain = 100 * (stretch**2 - 1) / 2
    assert numbers["strain_p99"].value == pytest.approx(strain, rel=1e-7)
    assert numbers["strain_peak"].value == pytest.approx(strain, rel=1e-7)
    assert f"gravity alone gives {50 * (half**2 - 1):.0f} %" in numbers["strain_p99"].meaning
    assert numbers["overstrained_ml"].value == pytest.approx(64, rel=1e-9)
    assert numbers["volume_change"].value == pytest.approx(100 * (stretch / half - 1), rel=1e-7)

    step = field_steps(lift.problem.model, lift.solution, element_fields(lift.problem.model, lift.solution),
                       shape=lift.hanging.gap_mm)[-1]  # fmt: skip
    # the section is what it was, so the Cauchy stress along the bar is the nominal one, and the only one
    for name in ("von_mises_kPa", "max_principal_stress_kPa"):
        np.testing.assert_allclose(step.cell_data[name], nominal / 1000, rtol=1e-6)
    np.testing.assert_allclose(step.cell_data["volume_ratio"], stretch, rtol=1e-7)


@pytest.mark.parametrize("count", [1, 2])
def test_pieces_too_small_for_a_number_are_told_by_count_size_and_place(organ, count):
    centre = organ.points[organ.tetrahedra].mean(axis=1)
    places = np.array([[35.0, 5.0, 5.0], [5.0, 35.0, 5.0]])[:count]
    shrunk = replace(organ, points=organ.points / 2)
    for place in places:
        shrunk.region[np.argmin(np.linalg.norm(centre - place, axis=1))] = 11
    (note,) = small_pieces(shrunk, "liver_tumor")
    shrunk.region[:] = 10
    assert note.startswith("One piece of liver tumour" if count == 1 else "2 pieces of liver tumour")
    # a sixth of a cube of 5 mm each
    assert f"({count * 0.125 / 6:.2g} mL in all)" in note
    assert note.count("from the scan's origin") == count
    assert small_pieces(organ, "spleen") == []


@pytest.mark.parametrize("element", ["T4", "T10"])
def test_region_means_nodal_means_and_von_mises_of_an_affine_motion(organ, element):
    """u = G X: a region's mean is G times its centroid; σ of F = I + G by hand (λ = 0)."""
    from preop.engine.tissue import fields
    from preop.engine.tissue.materials import NeoHookean
    from preop.engine.tissue.model import Model
    from preop.engine.tissue.solution import State

    mesh = replace(organ, region=np.where(organ.points[organ.tetrahedra].mean(axis=1)[:, 0] < 10, 11, 10))
    model = Model.from_mesh(mesh, {"*": NeoHookean.from_young(2 * SHEAR, 0.0)}, element=element)
    gradient = np.array([[0.1, 0.05, 0.0], [0.0, -0.04, 0.02], [0.03, 0.0, 0.07]])
    state = State(1.0, jnp.asarray(np.asarray(model.points) @ gradient.T))
    np.testing.assert_allclose(fields.region_displacement(model, state, "liver_tumor"),
                               gradient @ [0.005, 0.020, 0.020], rtol=1e-9)  # fmt: skip
    f = np.eye(3) + gradient
    jacobian = np.linalg.det(f)
    assert fields.volume_change(model, state) == pytest.approx(jacobian - 1, rel=1e-9)
    np.testing.assert_allclose(fields.volume_ratio(model, state), jacobian, rtol=1e-9)
    stress = SHEAR * (f @ f.T - np.eye(3)) / jacobian
    np.testing.assert_allclose(fields.cauchy_stress(model, state), np.tile(stress, (len(mesh.region), 1, 1)), atol=1e-6)
    (a, b, c), (d, e, g) = np.diag(stress), (stress[0, 1], stress[1, 2], stress[0, 2])
    von_mises = np.sqrt(((a - b) ** 2 + (b - c) ** 2 + (c - a) ** 2) / 2 + 3 * (d**2 + e**2 + g**2))
    np.testing.assert_allclose(fields.von_mises_stress(model, state), von_mises, rtol=1e-9)

    # of 1 in the first layer of cells and 0 elsewhere: 1 on its near side, between where both meet, 0 beyond
    layer = (mesh.region == 11).astype(float)
    nodal = fields.to_nodes(model, layer)
    x = np.asarray(model.points)[:, 0]
    np.testing.assert_allclose(nodal[x < 0.0099], 1.0)
    np.testing.assert_allclose(nodal[x > 0.0101], 0.0, atol=1e-12)
    corner = mesh.points.tolist().index([10.0, 20.0, 20.0])
    around = (mesh.tetrahedra == corner).any(axis=1)
    share = mesh.volumes[around & (layer == 1)].sum() / mesh.volumes[around].sum()
    assert nodal[corner] == pytest.approx(share)
    assert 0.4 < share < 0.6
    np.testing.assert_allclose(fields.to_nodes(model, np.tile(stress, (len(layer), 1, 1))),
                               np.tile(stress, (len(x), 1, 1)), rtol=1e-9)  # fmt: skip


RADIUS, THICKNESS = 10.0, 2.0


@pytest.fixture(scope="module")
def tube():
    """A tube of 10 mm radius and 60 mm length: its labels, its wall's mesh, the options."""
    grid = grid_of((1, 1, 1), (30, 30, 60), origin=(0, 0, 0))
    inside = np.hypot(*np.moveaxis(centres(grid, (0, 0, 0)), -1, 0)[:2]) < RADIUS
    labels = LabelMap(np.where(inside, SEGMENTS["aorta"].label, 0).astype(np.uint16), grid, BY_LABEL)
    options = VesselWallOptions.model_validate(
        {"wall": {"tissue": "aneurysm_wall", "young_kPa": 5000.0, "poisson": 0.45}, "wall_thickness_mm": THICKNESS,
         "edge_length_mm": 2.5, "outer_support_kPa_per_mm": 0.0, "scan_pressure_mmHg": 0.0}
    )  # fmt: skip
    return labels, vessel_wall(labels, thickness_mm=THICKNESS, layers=2, edge_length_mm=2.5), options


def test_the_numbers_of_a_tube_are_lames(tube):
    labels, mesh, options = tube
    wall = pressurised(options, mesh, Patient(systolic_mmHg=30.0, diastolic_mmHg=20.0), SolverOptions(load_steps=1),
                       silent)  # fmt: skip
    model = wall.problem.model
    read = wall_fields(mesh, model, element_fields(model, wall.solution))
    numbers = {one.key: one.value for one in wall_numbers(mesh, wall, read, options, labels, 30.0)}
    # the voxels' section is that of a circle of 10.03 mm
    pressure, a = 30.0 * MMHG, np.sqrt((labels.labels[:, :, 0] > 0).sum() / np.pi)
    b = a + THICKNESS
    # linear tetrahedra of a voxel tube: 3 % (the engine's own test holds the finer elements closer)
    assert numbers["wall_stress_median_kPa"] == pytest.approx(pressure * a / (b - a) / 1000, rel=0.04)
    assert numbers["wall_stress_laplace_kPa"] == pytest.approx(pressure * a / THICKNESS / 1000, rel=0.06)
    assert numbers["wall_thickness_min_mm"] == pytest.approx(THICKNESS, rel=0.1)
    assert numbers["max_axial_diameter_mm"] == pytest.approx(2 * RADIUS, abs=0.5)
    assert numbers["max_inscribed_diameter_mm"] == pytest.approx(2 * RADIUS, abs=0.5)
    assert numbers["lumen_ml"] == pytest.approx(labels.labels.astype(bool).sum() / 1000)
    young, nu = 5e6, 0.45

    def widened(r: float) -> float:
        """Lamé in plane strain, mm."""
        return (1 + nu) / young * pressure * a**2 / (b**2 - a**2) * ((1 - 2 * nu) * r + b**2 / r)

    # away from the ends the inside moves most and the outside least; the mean lies between
    assert numbers["wall_displacement_max_mm"] == pytest.approx(widened(a), rel=0.08)
    assert 0.98 * widened(b) < numbers["wall_displacement_mean_mm"] < 1.02 * widened(a)
    hoop = widened(a) / a
    # the highest hundredth of elements that scatter by a tenth
    assert numbers["wall_strain_p99"] == pytest.approx(100 * (hoop + hoop**2 / 2), rel=0.12)


def test_what_is_read_off_a_wall_is_what_was_put_in(tube):
    """Stress that is each element's height, a widening by 1 %: percentiles, peak, place, motion and strain by hand."""
    from preop.engine.tissue.solution import ResultCode, Solution, State, Statistics

    labels, mesh, options = tube
    model = model_of(mesh)
    gradient = np.diag([0.01, 0.01, 0.0])
    states = (State(1.0, jnp.asarray(np.asarray(model.points) @ gradient)),)
    solution = Solution(ResultCode.converged, states, Statistics())
    wall = Pressurised(None, solution, None, "")  # type: ignore[arg-type]
    strain = element_fields(model, solution)[0].strain
    centre = mesh.points[mesh.tetrahedra].mean(axis=1)
    read = WallFields([centre[:, 2] + 100.0], [2.0 * (centre[:, 2] + 100.0)], strain)
    found = {one.key: one for one in wall_numbers(mesh, wall, read, options, labels, 120.0)}
    counted = away_from_ends(mesh, 10.0) & region_mask(mesh, "aortic_wall")
    assert 0.5 < counted.mean() < 0.8
    # a tube from −20 to 20 mm whose volume is spread evenly over its height
    assert found["wall_stress_median_kPa"].value == pytest.approx(100.0, abs=0.5)
    assert found["wall_stress_p99_kPa"].value == pytest.approx(119.6, abs=0.5)
    assert found["wall_stress_bending_p99_kPa"].value == pytest.approx(2 * 119.6, abs=1.0)
    highest = np.flatnonzero(counted)[np.argmax(centre[counted, 2])]
    assert found["wall_stress_peak_kPa"].value == pytest.approx(100.0 + centre[highest, 2])
    assert found["wall_stress_peak_kPa"].place_mm == pytest.approx(tuple(centre[highest]))
    assert "within 10 mm of the held ends nothing is counted" in found["wall_stress_peak_kPa"].meaning
    assert found["wall_strain_p99"].value == pytest.approx(100 * (0.01 + 0.01**2 / 2), rel=1e-9)
    radii = np.hypot(*mesh.points[np.unique(mesh.tetrahedra[counted]), :2].T)
    assert found["wall_displacement_max_mm"].value == pytest.approx(0.01 * radii.max(), rel=1e-9)
    assert found["wall_displacement_max_mm"].value == pytest.approx(0.01 * (RADIUS + THICKNESS), rel=0.05)
    assert found["wall_displacement_mean_mm"].value == pytest.approx(0.01 * radii.mean(), rel=1e-9)
