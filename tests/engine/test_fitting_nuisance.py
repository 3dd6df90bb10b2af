"""Intervals that have in them what else is not known: ν, sizes, pose, errors that go together, the mesh."""

from __future__ import annotations

from typing import Any

import bodies
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.core import Tracer

from preop.engine.tissue.fitting import moduli
from preop.engine.tissue.fitting.correlation import correlation_length
from preop.engine.tissue.fitting.discretisation import grid_convergence, over_meshes
from preop.engine.tissue.fitting.displacements import NodeDisplacements, PointDisplacements
from preop.engine.tissue.fitting.equilibria import Equilibria
from preop.engine.tissue.fitting.fit import Fit, fit
from preop.engine.tissue.fitting.nuisance import Nuisance, poisson_ratio, pose
from preop.engine.tissue.fitting.setting import Setting
from preop.engine.tissue.fitting.stiffness import RegionStiffness
from preop.engine.tissue.fitting.surface import SurfacePoints
from preop.engine.tissue.loads import Gravity
from preop.engine.tissue.materials import MATERIALS, Guccione, NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.imaging.errors import SolverError

YOUNG, NOISE = 6e4, 5e-5
"""Pa and m."""


def hanging(
    young: float = YOUNG, poisson: float = 0.45, *, cells: tuple[int, int, int] = (4, 1, 1), element: str = "T4"
) -> Problem:
    """A bar of 120 × 40 × 40 mm clamped at x = 0 under its weight."""
    mesh = bodies.box(cells, size=(120.0, 40.0, 40.0))
    model = Model.from_mesh(mesh, {"*": NeoHookean.from_young(young, poisson)}, density=1000.0, element=element)
    return model.problem(loads=[Gravity((0.0, 0.0, -9.81))], supports=[Fixed("x0")])


def moved(problem: Problem) -> np.ndarray:
    return np.asarray(solve(problem).final.displacement)


def stretched(setting: Setting, length: Any) -> Setting:
    points = setting.problem.model.points
    return eqx.tree_at(lambda s: s.problem.model.points, setting, points * jnp.array([length / 0.12, 1.0, 1.0]))


def test_a_modulus_of_zero_is_a_modulus(monkeypatch: pytest.MonkeyPatch) -> None:
    """λ = 0 at ν = 0: what is found then is kept for the class, and must hold for other values."""
    monkeypatch.setattr(moduli, "_FOUND", {})
    assert moduli.moduli_of(jax.tree.map(jnp.asarray, NeoHookean.from_young(1e4, 0.0))) == ("shear_modulus", "lame")


@pytest.mark.parametrize("name", sorted(n for n in MATERIALS if hasattr(MATERIALS[n], "from_young")))
def test_another_poisson_ratio_of_the_same_young_modulus(name: str) -> None:
    """Against the law's own closed forms, at the elements chosen alone; from finite and from infinite K."""
    law: Any = MATERIALS[name]
    chosen = np.array([True, False])
    wanted = law.from_young(2e4, 0.47)
    for before in (0.3, 0.5):
        first = jax.tree.map(lambda leaf: jnp.full(2, leaf), law.from_young(2e4, before))
        found = moduli.with_poisson_ratio(first, 0.47, chosen)
        for leaf, one, old in zip(*map(jax.tree.leaves, (found, wanted, first)), strict=True):
            assert leaf[0] == pytest.approx(float(one), rel=1e-9)
            assert leaf[1] == old[1]


def test_equilibria_move_with_size_ratio_and_pull() -> None:
    """Node positions, a modulus of every element and a load: slopes against differences of new solves."""

    def pulled(setting: Setting, value: Any) -> Setting:
        pull = jnp.array([0.0, value, -9.81])
        return eqx.tree_at(lambda s: s.problem.loads[0].acceleration, setting, pull)

    unknowns = [
        Nuisance("length", stretched, "m", mean=0.12, spread=0.01),
        poisson_ratio(0.4, 0.48),
        Nuisance("pull", pulled, "m/s²", mean=1.0, spread=1.0),
    ]
    found = Equilibria(Setting.of(hanging(cells=(2, 1, 1))), unknowns, tolerance=1e-12)
    at, step = np.array([0.3, -0.4, 0.2]), 1e-4
    slope = found.slope(at, found.solve(at, None))
    for k in range(3):
        ahead, behind = (np.asarray(found.solve(at + s * step * np.eye(3)[k], None).rows) for s in (1, -1))
        wanted = (ahead - behind) / (2 * step)
        np.testing.assert_allclose(slope[:, :, k], wanted, atol=1e-6 * np.abs(wanted).max())


def test_an_unknown_ratio_is_in_the_interval() -> None:
    """ν anywhere between 0.4 and 0.49: held at the middle the intervals miss E, with ν unknown they hold it."""
    draw, ratio = np.random.default_rng(3), poisson_ratio(0.4, 0.49)
    held, free = [], []
    for _ in range(6):
        seen = moved(hanging(YOUNG, draw.uniform(0.4, 0.49)))
        nodes = NodeDisplacements("all", seen + NOISE * draw.standard_normal(seen.shape), NOISE)
        for found, unknowns in ((held, []), (free, [ratio])):
            first = fit(hanging(4e4, 0.445), [RegionStiffness(("*",)), *unknowns], [nodes])
            low, high = first.estimates[0].interval_95
            found.append(low < YOUNG / 4e4 < high)
    assert sum(free) >= 4  # of 95 %: 3 or fewer of 6 in 2 of 1000 cases
    assert sum(held) <= 3


def test_no_value_outside_of_a_range_is_tried_and_its_end_is_told() -> None:
    tried = []

    def put(setting: Setting, value: Any) -> Setting:
        if not isinstance(value, Tracer):
            tried.append(float(value))
        return stretched(setting, value)

    longer = stretched(Setting.of(hanging()), 0.13).problem
    place = np.asarray(longer.model.points) + moved(longer)
    seen = NodeDisplacements("all", place - np.asarray(hanging().model.points), 1e-4)
    unknown = Nuisance("length", put, "m", between=(0.115, 0.125))
    found = fit(hanging(), [RegionStiffness(("*",)), unknown], [seen])
    assert min(tried) >= 0.115 - 1e-12
    assert max(tried) <= 0.125 + 1e-12
    length = found.estimates[1]
    assert length.value == pytest.approx(0.125, rel=1e-12)
    assert length.interval_95[1] <= 0.125 + 1e-12
    assert "The best length is the end of its range, 0.125." in found.statement


def test_a_pose_is_found_and_what_it_leaves_of_the_stiffness() -> None:
    """The surface is seen 1 mm and 10 mrad aside: with the pose unknown E is within its interval, without it is not."""
    problem = hanging()
    facets = np.concatenate([problem.model.facets_of(n) for n in ("y0", "y1", "z0", "z1", "x1")])
    problem = eqx.tree_at(lambda p: p.model.facet_sets, problem, {**problem.model.facet_sets, "skin": facets})
    draw = np.random.default_rng(8)
    place = np.asarray(problem.model.points) + moved(problem)
    share = draw.dirichlet(np.ones(3), 300)
    points = np.einsum("nk,nki->ni", share, place[facets[draw.integers(0, len(facets), 300)]])
    setting = Setting.of(problem)
    aside = eqx.tree_at(
        lambda s: (s.rotation, s.translation), setting, (jnp.array([0, 0.01, 0]), jnp.array([0, 0, 1e-3]))
    )
    points = np.asarray(aside.seen_from_model(jnp.asarray(points))) + NOISE * draw.standard_normal(points.shape)
    seen, stiffness = SurfacePoints("skin", points, NOISE), RegionStiffness(("*",))
    wrong = fit(problem, [stiffness], [seen])
    right = fit(problem, [stiffness, *pose(2e-3, 0.02)], [seen])
    assert not wrong.estimates[0].interval_95[0] < 1.0 < wrong.estimates[0].interval_95[1]
    assert right.estimates[0].interval_95[0] < 1.0 < right.estimates[0].interval_95[1]
    by_name = {e.name: e for e in right.estimates}
    for name, true in (("shift along z", 1e-3), ("turn about y", 0.01)):
        low, high = by_name[name].interval_95
        assert low < true < high


def test_errors_that_go_together_widen_as_they_spread_answers() -> None:
    """Smooth fields of errors over a bar: the spread told is that of many draws, and the misses of fits are alike."""
    problem, size = hanging(cells=(6, 2, 2)), 2e-4
    truth, places, first = moved(problem), np.asarray(problem.model.points), hanging(cells=(6, 2, 2), young=5e4)
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    root = np.linalg.cholesky(np.exp(-distance / 0.05) + 1e-10 * np.eye(len(places)))
    draw, fits = np.random.default_rng(0), []
    for _ in range(6):
        seen = truth + size * (root @ draw.standard_normal(truth.shape))
        fits.append(fit(first, [RegionStiffness(("*",))], [NodeDisplacements("all", seen, size, correlation=0.05)]))
    found = fits[-1]
    misses = [(one.posterior.mean[0] - np.log(YOUNG / 5e4)) / one.posterior.spread[0] for one in fits]
    assert 0.38 < np.square(misses).sum() < 20.8  # χ² of 6 degrees of freedom in 998 of 1000 cases
    slope = found.slope[:, :, 0]
    fields = size * np.einsum("ij,njk->nik", root, draw.standard_normal((800, *truth.shape)))
    answers = np.einsum("nij,ij->n", fields, slope) / (slope**2).sum()
    assert found.posterior.spread[0] == pytest.approx(answers.std(), rel=0.1)
    assert size / np.sqrt((slope**2).sum()) < 0.4 * answers.std()  # what independent errors would spread


def test_the_length_of_a_field_seen_along_normals() -> None:
    """Errors e of length 20 mm over a sphere of 60 mm, seen along its normals: of e, not of the normals."""
    draw = np.random.default_rng(4)
    normals = draw.standard_normal((900, 3))
    normals /= np.linalg.norm(normals, axis=1)[:, None]
    places = 0.06 * normals
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    root = np.linalg.cholesky(np.exp(-distance / 0.02) + 1e-10 * np.eye(900))
    found = [
        correlation_length(places, np.einsum("ni,ni->n", normals, root @ draw.standard_normal((900, 3))), normals)
        for _ in range(6)
    ]
    assert np.mean(found) == pytest.approx(0.02, rel=0.25)


def test_richardson_of_a_known_law() -> None:
    sizes = np.array([3.0, 2.0, 1.0])
    for order in (1.0, 2.0, 3.7):
        found = grid_convergence(sizes, 5.0 - 0.3 * sizes**order, order=4.0)
        assert found.order == found.observed == pytest.approx(order, rel=1e-9)
        assert found.limit == pytest.approx(5.0, rel=1e-9)
        assert found.bound == pytest.approx(1.25 * 0.3, rel=1e-9)
    turning = grid_convergence(sizes, [1.0, 1.2, 1.1], order=2.0)
    assert turning.observed is None
    quick = grid_convergence([4.0, 2.0, 1.0], [100.0, 1.0, 0.0])
    assert quick.observed == pytest.approx(np.log2(99.0))
    assert quick.bound == pytest.approx(1.25 / 3.0)
    assert turning.bound == pytest.approx(3.0 * 0.1 / 3.0)
    with pytest.raises(SolverError, match="show no convergence"):
        grid_convergence([1.0, 2.0], [0.0, 1.0])


def test_meshes_that_lock_say_so() -> None:
    """E from linear tetrahedra, too stiff in bending: each mesh excludes a fine one's truth, three together hold it."""
    fine = hanging(cells=(12, 6, 6))
    place, truth = np.asarray(fine.model.points), moved(fine)
    middle = np.flatnonzero(np.isclose(place[:, 1], 0.02) & np.isclose(place[:, 2], 0.02))
    seen = PointDisplacements(place[middle], truth[middle], 1e-4)
    fits: list[Fit] = [
        fit(hanging(young=4e4, cells=(2 * n, n, n)), [RegionStiffness(("*",))], [seen]) for n in (2, 3, 4)
    ]
    for one in fits:
        assert one.estimates[0].interval_95[1] < YOUNG / 4e4
    found = over_meshes(fits)
    low, high = found.estimates[0].interval_95
    assert low < YOUNG / 4e4 < high
    assert "order" in found.statement
    assert found.estimates[0].value == fits[-1].estimates[0].value


def test_bad_nuisances_are_named() -> None:
    with pytest.raises(SolverError, match="not said"):
        Nuisance("length", stretched)
    with pytest.raises(SolverError, match="not said"):
        Nuisance("length", stretched, between=(0.0, 1.0), mean=0.5, spread=0.1)
    with pytest.raises(SolverError, match="empty"):
        Nuisance("length", stretched, between=(0.2, 0.1))
    with pytest.raises(SolverError, match="spread of -1"):
        Nuisance("length", stretched, mean=0.1, spread=-1.0)
    with pytest.raises(SolverError, match=r"ratio of 0\.6"):
        poisson_ratio(0.4, 0.6)
    with pytest.raises(SolverError, match="Return the setting"):
        Equilibria(Setting.of(hanging()), [Nuisance("length", lambda s, v: None, mean=0.1, spread=0.1)])  # pyright: ignore[reportArgumentType]
    with pytest.raises(SolverError, match="no region is named 'liver'"):
        Equilibria(Setting.of(hanging()), [poisson_ratio(0.4, 0.49, ("liver",))])
    mesh = bodies.box((1, 1, 1), size=(10.0, 10.0, 10.0))
    fibers = Model.from_mesh(mesh, {"*": Guccione(2e3, 8.0, 2.0, 4.0, (1.0, 0.0, 0.0), bulk_modulus=3e4)})
    with pytest.raises(SolverError, match="no Poisson's ratio"):
        moduli.with_poisson_ratio(fibers.blocks[0].material, 0.4, np.ones(6, bool))
