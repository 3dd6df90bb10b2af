"""Stiffness found from what was seen: recovered within its own uncertainty, and what stays open is told."""

from __future__ import annotations

import bodies
import jax
import numpy as np
import pytest

from preop.engine.tissue import fields
from preop.engine.tissue.fitting.contradictions import Leftover, misfit
from preop.engine.tissue.fitting.displacements import NodeDisplacements, PointDisplacements
from preop.engine.tissue.fitting.fit import fit
from preop.engine.tissue.fitting.forces import Reaction, ToolForce
from preop.engine.tissue.fitting.moduli import moduli_of
from preop.engine.tissue.fitting.quantity import Quantity
from preop.engine.tissue.fitting.statement import conditions
from preop.engine.tissue.fitting.stiffness import RegionStiffness, StiffnessField
from preop.engine.tissue.fitting.surface import SurfacePoints
from preop.engine.tissue.loads import Gravity
from preop.engine.tissue.materials import MATERIALS, NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.solution import State
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed, Springs
from preop.imaging.errors import SolverError
from preop.meshing.mesh import TetMesh

SOFT, STIFF = 6e4, 1.8e5
"""Pa, of the two halves of the bar."""
NOISE = 5e-5
"""m"""


def bar(cells: tuple[int, int, int] = (6, 2, 2)) -> TetMesh:
    """120 × 40 × 40 mm, two regions that meet in the middle."""
    mesh = bodies.box(cells, size=(120.0, 40.0, 40.0))
    centre = mesh.points[mesh.tetrahedra].mean(axis=1)
    return TetMesh(
        mesh.points,
        mesh.tetrahedra,
        np.where(centre[:, 0] < 60.0, 1, 2).astype(np.int32),
        {1: "near", 2: "far"},
        facet_sets=mesh.facet_sets,
        node_sets=mesh.node_sets,
    )


def problem(near: float, far: float, *, pulled: bool = False) -> Problem:
    """Clamped at x = 0; hanging by its weight, or without weight and its far end moved."""
    materials = {"near": NeoHookean.from_young(near, 0.45), "far": NeoHookean.from_young(far, 0.45)}
    model = Model.from_mesh(bar(), materials, density=1000.0)
    if not pulled:
        return model.problem(loads=[Gravity((0.0, 0.0, -9.81))], supports=[Fixed("x0")])
    return model.problem(supports=[Fixed("x0")], prescribed=[Prescribed("x1", (0.012, 0.0, -0.01))])


@pytest.fixture(scope="module")
def hanging() -> tuple[Problem, State]:
    truth = problem(SOFT, STIFF)
    return truth, solve(truth).final


@pytest.fixture(scope="module")
def stretched() -> tuple[Problem, State]:
    truth = problem(SOFT, STIFF, pulled=True)
    return truth, solve(truth).final


def seen_by(state: State, seed: int) -> np.ndarray:
    moved = np.asarray(state.displacement)
    return moved + NOISE * np.random.default_rng(seed).standard_normal(moved.shape)


def test_two_stiffnesses_within_their_own_intervals_over_many_seeds(hanging: tuple[Problem, State]) -> None:
    """Both guesses wrong by a factor of 2 or more. The misses are spread as the covariances told say."""
    first = problem(1.2e5, 7.5e4)
    truth = np.log([SOFT / 1.2e5, STIFF / 7.5e4])
    scores = []
    for seed in range(20):
        found = fit(
            first, [RegionStiffness(("near", "far"))], [NodeDisplacements("all", seen_by(hanging[1], seed), NOISE)]
        )
        assert found.solves <= 10
        off = found.posterior.mean - truth
        scores.append(off @ np.linalg.solve(found.posterior.covariance, off))
        assert found.statement == "The data determine all 2 unknown numbers."
    # Chi-square with 40 degrees of freedom lies in (17.9, 73.4) in 998 of 1000 cases; with 2, 95 % lie below 5.99.
    assert 17.9 < np.sum(scores) < 73.4
    assert (np.array(scores) < 5.99).sum() >= 16
    assert found.estimates[0].value == pytest.approx(SOFT / 1.2e5, rel=0.05)
    low, high = found.estimates[1].interval_95
    assert low < STIFF / 7.5e4 < high
    assert np.log(high / low) < 0.4


def test_noise_is_found_where_it_is_not_given(hanging: tuple[Problem, State]) -> None:
    found = fit(
        problem(1.2e5, 7.5e4), [RegionStiffness(("near", "far"))], [NodeDisplacements("all", seen_by(hanging[1], 3))]
    )
    count = found.residuals[0].size - 3 * len(found.problem.model.nodes_of("x0"))
    held = np.sqrt(1 - 27 / found.residuals[0].size)
    assert found.noises[0] == pytest.approx(NOISE, rel=4 / np.sqrt(2 * count) + 1 - held)


def test_displacements_alone_leave_the_scale_open_and_say_so(stretched: tuple[Problem, State]) -> None:
    """Moved by displacement and without weight, only the ratio of the stiffnesses shows in the shape."""
    first = problem(9e4, 9e4, pulled=True)
    seen = NodeDisplacements("all", seen_by(stretched[1], 0), NOISE)
    found = fit(first, [RegionStiffness(("near", "far"))], [seen])
    assert found.statement.startswith("1 of 2 unknown numbers is undetermined by the data.")
    assert "fix the ratios but not the common scale of the stiffness of near and stiffness of far" in found.statement
    assert "give a prior, or data of another kind" in found.statement
    near, far = (e.value for e in found.estimates)
    assert far / near == pytest.approx(STIFF / SOFT, rel=0.1)
    low, high = found.estimates[0].interval_95
    assert high / low > 1e3
    held = fit(first, [RegionStiffness(("near", "far"), spread=0.7)], [seen])
    assert "the answer is the prior's" in held.statement
    common = np.array([1.0, 1.0]) / np.sqrt(2)
    assert common @ held.posterior.covariance @ common == pytest.approx(1.0, rel=1e-3)


def test_a_force_settles_the_scale(stretched: tuple[Problem, State]) -> None:
    truth, state = stretched
    force = fields.reaction(truth, state, "x1") * 1.01
    noise = 0.02 * float(np.linalg.norm(force))
    observations = [NodeDisplacements("all", seen_by(state, 0), NOISE), Reaction("x1", force, noise)]
    found = fit(problem(9e4, 9e4, pulled=True), [RegionStiffness(("near", "far"))], observations)
    assert found.statement == "The data determine all 2 unknown numbers."
    for estimate, true in zip(found.estimates, (SOFT / 9e4, STIFF / 9e4), strict=True):
        assert estimate.young == pytest.approx(9e4, rel=1e-9)
        assert f"E = {90.0 * estimate.value:.3g}" in str(estimate)
        assert estimate.interval_95[0] < true < estimate.interval_95[1]
        assert estimate.value == pytest.approx(true, rel=0.06)


def test_surface_points_without_numbers_find_the_stiffness(hanging: tuple[Problem, State]) -> None:
    """Random places of the deformed surface with noise, some of them gross outliers."""
    truth, state = hanging
    draw = np.random.default_rng(5)
    facets = np.concatenate([truth.model.facets_of(n) for n in ("y0", "y1", "z0", "z1", "x1")])
    chosen = facets[draw.integers(0, len(facets), 300)]
    bary = draw.dirichlet(np.ones(3), 300)
    place = np.einsum("nk,nki->ni", bary, np.asarray(truth.model.points + state.displacement)[chosen])
    points = place + NOISE * draw.standard_normal(place.shape)
    points[:15] += 0.01 * draw.standard_normal((15, 3))
    first = problem(1.2e5, 7.5e4)
    mesh = bar()
    every = TetMesh(
        mesh.points,
        mesh.tetrahedra,
        mesh.region,
        mesh.region_names,
        facet_sets={**mesh.facet_sets, "skin": np.concatenate(list(mesh.facet_sets.values()))},
        node_sets=mesh.node_sets,
    )
    materials = {"near": NeoHookean.from_young(1.2e5, 0.45), "far": NeoHookean.from_young(7.5e4, 0.45)}
    first = Model.from_mesh(every, materials, density=1000.0).problem(
        loads=[Gravity((0.0, 0.0, -9.81))], supports=[Fixed("x0")]
    )
    found = fit(first, [RegionStiffness(("near", "far"))], [SurfacePoints("skin", points, NOISE, robust=True)])
    assert found.estimates[0].value == pytest.approx(SOFT / 1.2e5, rel=0.1)
    low, high = found.estimates[1].interval_95
    assert low < STIFF / 7.5e4 < high
    assert np.median(found.weights[0][:15]) < 0.1 < np.median(found.weights[0][15:])


def test_a_stiff_inclusion_shows_in_a_field() -> None:
    """A block under traction by its weight and a pull, a sphere four times as stiff inside; the truth is covered."""
    mesh = bodies.box((6, 6, 6), size=(60.0, 60.0, 60.0))
    centre = mesh.points[mesh.tetrahedra].mean(axis=1)
    inside = np.linalg.norm(centre - [30.0, 30.0, 34.0], axis=1) < 16.0
    young = np.where(inside, 32000.0, 8000.0)
    shear, lame = young / 2.9, young * 0.45 / (1.45 * 0.1)

    def body(material: NeoHookean) -> Problem:
        model = Model.from_mesh(mesh, {"body": material}, density=1000.0)
        return model.problem(loads=[Gravity((30.0, 0.0, -60.0))], supports=[Fixed("z0")])

    truth = body(NeoHookean(shear, lame))
    seen = seen_by(solve(truth).final, 1)
    first = body(NeoHookean.from_young(10000.0, 0.45))
    field = StiffnessField(first.model, spread=0.7, length=0.04, modes=60)
    found = fit(first, [field], [NodeDisplacements("all", seen, NOISE)])
    log_young = field.log_factor(found.posterior.mean) + np.log(10000.0)
    contrast = np.exp(log_young[inside].mean() - log_young[~inside].mean())
    assert 2.5 < contrast < 5.0
    assert np.corrcoef(log_young, np.log(young))[0, 1] > 0.8
    spread = field.log_spread(found.posterior.covariance)
    within = np.abs(log_young - np.log(young)) < 1.96 * spread
    assert within.mean() > 0.8  # 95 % of what the prior calls likely; a jump is not
    assert spread.max() <= 0.7 * 1.01


def test_a_support_and_a_tool_are_fitted_by_their_place_in_the_problem() -> None:
    """Springs under a block whose stiffness is found from how it sinks, the answer known: k = ρ g h / sink."""
    mesh = bodies.box((2, 2, 2), size=(50.0, 50.0, 50.0))
    model = Model.from_mesh(mesh, {"body": NeoHookean.from_young(1e7, 0.3)}, density=1000.0)
    loads = [Gravity((0.0, 0.0, -9.81))]
    first = model.problem(loads=loads, supports=[Springs("z0", 1e5)])
    sink = np.tile([0.0, 0.0, -1000.0 * 9.81 * 0.05 / 2.5e5], (len(mesh.points), 1))
    bed = Quantity("bed", lambda p: p.supports[0].stiffness, "N/m³", spread=2.0, logarithmic=True)
    stretch = ToolForce(lambda p: p.supports[0], (0.0, 0.0, 1000.0 * 9.81 * 0.05**3), 1e-3)
    along = Quantity("bed along", lambda p: p.supports[0].tangential, "N/m³", spread=1.0, logarithmic=True)
    found = fit(first, [bed, along], [NodeDisplacements("all", sink, 1e-6), stretch])
    assert found.estimates[0].value == pytest.approx(2.5e5, rel=1e-3)
    assert "say nothing of the bed along" in found.statement


@pytest.mark.parametrize("name", [name for name in sorted(MATERIALS) if hasattr(MATERIALS[name], "from_young")])
def test_moduli_are_those_fields_that_scale_the_energy(name: str) -> None:
    material = MATERIALS[name].from_young(1e4, 0.4)
    assert set(moduli_of(material)) <= {"shear_modulus", "lame", "bulk_modulus", "volume_modulus"}
    assert len(moduli_of(material)) == 2


def test_bad_observations_are_named(hanging: tuple[Problem, State]) -> None:
    truth, _ = hanging
    points = np.asarray(truth.model.points)
    moved = np.zeros_like(points)
    broken = moved.copy()
    broken[7, 1] = np.nan
    with pytest.raises(SolverError, match="the first is number 7"):
        NodeDisplacements("all", broken, NOISE)
    with pytest.raises(SolverError, match="no observations"):
        fit(truth, [RegionStiffness(("near",))], [])
    with pytest.raises(SolverError, match="no points"):
        SurfacePoints("x1", np.zeros((0, 3)), NOISE)
    with pytest.raises(SolverError, match=r"far from the body.*metres, not millimetres"):
        fit(truth, [RegionStiffness(("near",))], [SurfacePoints("x1", 1e3 * points, NOISE)])
    with pytest.raises(SolverError, match="outside of the body, the first is number 2 "):
        fit(truth, [RegionStiffness(("near",))], [PointDisplacements(points + 0.01, moved, NOISE)])
    with pytest.raises(SolverError, match="Give metres"):
        fit(truth, [RegionStiffness(("near",))], [PointDisplacements(points, moved + 30.0, NOISE)])
    force = Reaction("x0", (0.0, 0.0, 1.9), 0.1, components="z")
    with pytest.raises(SolverError, match="2 unknown numbers without a prior, but only 1"):
        fit(truth, [RegionStiffness(("near", "far"))], [force])
    with pytest.raises(SolverError, match="no region is named 'nera'"):
        fit(truth, [RegionStiffness(("nera",))], [NodeDisplacements("all", moved, NOISE)])
    with pytest.raises(SolverError, match="there is no reaction"):
        fit(truth, [RegionStiffness(("near",))], [Reaction("x1", (0.0, 0.0, 1.0), 0.1)])
    with pytest.raises(SolverError, match="noise of -1"):
        NodeDisplacements("all", moved, -1.0)


def test_points_inside_and_at_nodes_say_the_same(hanging: tuple[Problem, State]) -> None:
    """The displacement at the middle of an edge is the mean of its ends in linear elements."""
    truth, state = hanging
    tets = np.asarray(truth.model.blocks[0].nodes)
    points, moved = np.asarray(truth.model.points), np.asarray(state.displacement)
    seen = PointDisplacements(points[tets].mean(axis=1), moved[tets].mean(axis=1), NOISE)
    found = fit(problem(1.2e5, 1.2e5), [RegionStiffness(("near", "far"))], [seen])
    assert [e.value for e in found.estimates] == pytest.approx([SOFT / 1.2e5, STIFF / 1.2e5], abs=0.0, rel=2e-2)
    assert jax.config.read("jax_enable_x64")


def test_what_the_best_numbers_leave_unexplained_is_told() -> None:
    """Ten times the noise given is no accident; noise as large as given, or found from the residuals, is."""
    draw = np.random.default_rng(5)
    noise = draw.normal(size=300)

    def left(residual: np.ndarray, noise: float | None = 1.0, *, robust: bool = False) -> Leftover:
        return Leftover("surface", "m", noise, 1.0, robust, residual, np.zeros_like(residual))

    assert misfit(left(noise)) == misfit(left(noise[:3])) == []
    assert misfit(left(10 * noise, None)) == []
    (told,) = misfit(left(10 * noise))
    assert "surface" in told
    assert "times its noise" in told
    assert "intervals are too narrow" in told
    outliers = np.where(draw.random(300) < 0.2, 30.0, 1.0)
    assert misfit(left(outliers * noise, robust=True)) == []
    assert "times its noise" in misfit(left(10 * noise, robust=True))[0]


@pytest.mark.parametrize("poisson", [0.0, 0.3, 0.45])
def test_what_the_intervals_take_as_given_is_told(poisson: float) -> None:
    mesh = bodies.box((1, 1, 1))
    law = NeoHookean.from_young(1e4, poisson)
    told = conditions(Model.from_mesh(mesh, {"body": law}, element="T10"))
    assert f"6 T10 with ν {poisson:g}; 27 nodes" in told
    mixed = NeoHookean(1e4 / 3.0, float("inf"))
    assert "T10P1 with ν 0.5;" in conditions(Model.from_mesh(mesh, {"body": mixed}, element="T10P1"))
