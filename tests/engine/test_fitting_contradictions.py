"""What a fit says where data, prior and model contradict each other, and how it counts what it knows."""

from __future__ import annotations

import bodies
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from preop.engine.tissue import fields
from preop.engine.tissue.fitting.correlation import decaying, gathered, measured
from preop.engine.tissue.fitting.displacements import NodeDisplacements
from preop.engine.tissue.fitting.estimate import Estimate
from preop.engine.tissue.fitting.fit import Fit, fit
from preop.engine.tissue.fitting.forces import Reaction
from preop.engine.tissue.fitting.moduli import young_modulus
from preop.engine.tissue.fitting.posterior import Posterior
from preop.engine.tissue.fitting.statement import statement
from preop.engine.tissue.fitting.stiffness import RegionStiffness
from preop.engine.tissue.fitting.surface import SurfacePoints
from preop.engine.tissue.loads import Gravity
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.imaging.errors import SolverError

YOUNG, NOISE = 6e4, 5e-5
"""Pa and m."""
SIDES = ("y0", "y1", "z0", "z1", "x1")


def hanging(young: float, cells: tuple[int, int, int] = (4, 1, 1)) -> Problem:
    """A bar of 120 × 40 × 40 mm clamped at x = 0 under its weight."""
    mesh = bodies.box(cells, size=(120.0, 40.0, 40.0))
    model = Model.from_mesh(mesh, {"*": NeoHookean.from_young(young, 0.45)}, density=1000.0)
    problem = model.problem(loads=[Gravity((0.0, 0.0, -9.81))], supports=[Fixed("x0")])
    skin = np.concatenate([model.facets_of(name) for name in SIDES])
    return eqx.tree_at(lambda p: p.model.facet_sets, problem, {**model.facet_sets, "skin": skin})


@pytest.fixture(scope="module")
def moved() -> np.ndarray:
    return np.asarray(solve(hanging(YOUNG)).final.displacement)


def noisy(moved: np.ndarray, seed: int = 0) -> np.ndarray:
    return moved + NOISE * np.random.default_rng(seed).standard_normal(moved.shape)


def test_a_prior_that_excludes_the_answer_is_named(moved: np.ndarray) -> None:
    """The truth at half the given stiffness: 7 deviations of a prior of 0.1 off, 1 of a prior of 0.7."""
    seen = [NodeDisplacements("all", noisy(moved), NOISE)]
    wrong, right = (fit(hanging(2 * YOUNG), [RegionStiffness(("*",), spread=s)], seen) for s in (0.1, 0.7))
    off = abs(wrong.posterior.mean[0])
    assert off > 5.0
    assert f"lies {off:.2g} standard deviations of its prior" in wrong.statement
    assert "widen the prior" in wrong.statement
    assert right.statement == "The data determine the one unknown number."


def test_a_force_in_millinewtons_is_named(moved: np.ndarray) -> None:
    mesh = bodies.box((1, 1, 1), size=(40.0, 40.0, 40.0))
    model = Model.from_mesh(mesh, {"*": NeoHookean.from_young(YOUNG, 0.45)})
    problem = model.problem(supports=[Fixed("x0")], prescribed=[Prescribed("x1", (0.004, 0.0, 0.0))])
    force = np.asarray(fields.reaction(problem, solve(problem).final, "x1"))
    unknown = RegionStiffness(("*",), spread=0.7)
    right, wrong = (fit(problem, [unknown], [Reaction("x1", k * force, k * 0.1)]) for k in (1.0, 1e3))
    assert wrong.estimates[0].value > 100.0
    assert "contradict each other. Check the unit" in wrong.statement
    assert "contradict" not in right.statement


def test_data_that_move_the_other_way_are_refused(moved: np.ndarray) -> None:
    """u where −u was seen, of unknown noise: the stiffest body is the best, and a body at rest is better still."""
    seen = NodeDisplacements("all", -noisy(moved))
    with pytest.raises(SolverError, match=r"the body at rest matches displacements of 'all' better .* Check sign"):
        fit(hanging(YOUNG), [RegionStiffness(("*",), spread=0.3)], [seen])


def test_noise_as_large_as_the_motion_is_told(moved: np.ndarray) -> None:
    """Points of the surface in a frame turned by 30°, their noise not given; and in the right frame."""
    problem, draw = hanging(YOUNG), np.random.default_rng(1)
    facets = problem.model.facets_of("skin")[draw.integers(0, len(problem.model.facets_of("skin")), 300)]
    place = (np.asarray(problem.model.points) + moved)[facets]
    points = np.einsum("nk,nki->ni", draw.dirichlet(np.ones(3), 300), place)
    points += NOISE * draw.standard_normal(points.shape)
    middle = points.mean(axis=0)
    turned = Rotation.from_euler("y", 30.0, degrees=True).apply(points - middle) + middle
    first, unknown = hanging(2 * YOUNG), RegionStiffness(("*",), spread=0.7)
    right, wrong = (fit(first, [unknown], [SurfacePoints("skin", p)]) for p in (points, turned))
    assert "mm is left" in wrong.statement
    assert "wrong unit, frame, support or load" in wrong.statement
    assert right.statement == "The data determine the one unknown number."
    low, high = right.estimates[0].interval_95
    assert low < 0.5 < high


def covered(fits: list[Fit]) -> float:
    """How many of the intervals hold the truth."""
    intervals = [found.estimates[0].interval_95 for found in fits]
    return sum(low < YOUNG / 5e4 < high for low, high in intervals)


def test_errors_nobody_said_go_together_are_found_and_widen() -> None:
    """Smooth fields of errors over a bar, 60 mm long: of 12 intervals told narrow few hold the truth, widened most."""
    problem, size = hanging(YOUNG, (6, 2, 2)), 2e-4
    truth, places, first = (
        np.asarray(solve(problem).final.displacement),
        np.asarray(problem.model.points),
        hanging(5e4, (6, 2, 2)),
    )
    root = np.linalg.cholesky(decaying(places, 0.06).toarray() + 1e-2 * np.eye(len(places)))
    draw = np.random.default_rng(2)
    fields_ = [size * (root @ draw.standard_normal(truth.shape)) for _ in range(12)]
    unknown = [RegionStiffness(("*",))]
    told, narrow = (
        [fit(first, unknown, [NodeDisplacements("all", truth + e, correlation=c)]) for e in fields_]
        for c in (None, 0.0)
    )
    assert covered(told) >= 9  # of 95 %: 8 or fewer of 12 in 2 of 10,000 cases
    assert covered(narrow) <= 8
    assert sum("goes together over" in found.statement for found in told) >= 11
    assert "times as wide for it" in told[0].statement
    assert "the intervals are too narrow, by up to" in narrow[0].statement
    ratio = [a.posterior.spread[0] / b.posterior.spread[0] for a, b in zip(told, narrow, strict=True)]
    right = fit(first, unknown, [NodeDisplacements("all", truth + fields_[0], correlation=0.06)])
    assert np.median(ratio) * narrow[0].posterior.spread[0] == pytest.approx(right.posterior.spread[0], rel=0.5)


def test_independent_residuals_do_not_widen() -> None:
    """Of 40 draws of independent errors none goes together; those along one field of 20 mm do, by its length."""
    draw, places = np.random.default_rng(3), np.random.default_rng(4).random((300, 3)) * [0.1, 0.1, 0.02]
    along = np.tile(np.eye(3), (300, 1))
    assert not any(measured(places, draw.standard_normal(900), along) for _ in range(40))
    root = np.linalg.cholesky(decaying(places, 0.02).toarray() + 1e-9 * np.eye(300))
    found = [measured(places, (root @ draw.standard_normal((300, 3))).ravel(), along) for _ in range(10)]
    assert np.median([one.length for one in found if one]) == pytest.approx(0.02, rel=0.3)
    assert np.median([one.share for one in found if one]) > 0.8


def test_sums_over_pairs_are_those_of_the_matrix() -> None:
    draw = np.random.default_rng(6)
    places, normals, jacobian = (draw.standard_normal((40, 3)) for _ in range(3))
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    matrix = np.exp(-distance / 0.7) * (normals @ normals.T)
    np.testing.assert_allclose(gathered(places, normals, jacobian, 0.7), jacobian.T @ matrix @ jacobian, rtol=1e-12)


@pytest.mark.parametrize(
    ("information", "spread", "told"),
    [
        ((400.0, 1.2), None, ["1 of 2 unknown numbers is known only roughly", "stiffness of tumour: 0.1", "other 1."]),
        ((400.0, 0.6), 0.7, ["1 of 2 unknown numbers is known mostly from the prior.", "determine the other 1."]),
        ((0.6, 0.01), 0.7, ["1 of 2 unknown numbers is undetermined", "1 more is known mostly from the prior."]),
        ((400.0, 8.0), 0.7, ["The data determine all 2 unknown numbers."]),
        ((3.0, 2.0), None, ["2 of 2 unknown numbers are known only roughly"]),
    ],
)
def test_counts_of_what_is_known_add_up(
    information: tuple[float, float], spread: float | None, told: list[str]
) -> None:
    """λ of each stiffness given: 95 % intervals of exp(± 1.96 s/√(1 + λ)), or 1/√λ without a prior."""
    unknown = RegionStiffness(("liver", "tumour"), spread=spread)
    posterior = Posterior.of(np.zeros(2), np.diag(information), unknown.flat)
    said = statement(posterior, [unknown], [slice(0, 2)])
    for part in told:
        assert part in said
    assert ("determine the other" in said) == any("other" in part for part in told)


@pytest.mark.parametrize(
    ("value", "interval", "told"),
    [
        (-1.67e-6, (-0.01, 0.01), "ν: 0  (95 %: -0.01 to 0.01)"),
        (0.123456789, (0.1, 0.2), "ν: 0.12346  (95 %: 0.1 to 0.2)"),
        (1.0, (1e-4, 1e4), "ν: 1  (95 %: 0.0001 to 10000)"),
        (2.5, (2.5, 2.5), "ν: 2.5  (95 %: 2.5 to 2.5)"),
        (12345.678, (1e4, 2e4), "ν: 12346  (95 %: 10000 to 20000)"),
    ],
)
def test_digits_below_the_resolution_are_not_told(value: float, interval: tuple[float, float], told: str) -> None:
    assert str(Estimate("ν", "", value, interval, interval, 0.5)) == told


def test_a_region_of_several_moduli_has_no_one_number() -> None:
    """Of two elements alike E is that given, at ν = ½ too; of two that differ there is none."""
    both, first = np.array([True, True]), np.array([True, False])
    law = jax.tree.map(lambda leaf: jnp.full(2, leaf), NeoHookean.from_young(7e3, 0.4))
    uneven = eqx.tree_at(lambda m: m.shear_modulus, law, jnp.array([1e3, 2e3]))
    assert young_modulus(law, both) == pytest.approx(7e3, rel=1e-9)
    assert young_modulus(NeoHookean(jnp.full(2, 1e3), jnp.full(2, np.inf)), both) == pytest.approx(3e3, rel=1e-9)
    assert young_modulus(uneven, both) is None
    assert young_modulus(uneven, first) is not None
