"""The pieces that registration is made of: the outline that a body carries, a body that nothing holds, the errors."""

from __future__ import annotations

from dataclasses import replace

import bodies
import numpy as np
import pytest
from refusals import refused
from scipy.spatial.transform import Rotation

from preop.engine.tissue.loads import Traction
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.registration.belonging import cloud_normals, predicted
from preop.engine.tissue.registration.errors import Errors
from preop.engine.tissue.registration.free_body import FreeBody
from preop.engine.tissue.registration.misfit import Misfit, Pose
from preop.engine.tissue.registration.outline import Outline
from preop.engine.tissue.registration.prior import Prior
from preop.engine.tissue.registration.register import register
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.imaging.errors import SolverError
from preop.meshing.mesh import TetMesh

YOUNG = 5e3


def bar(element: str = "T4") -> Model:
    """100 × 40 × 40 mm."""
    mesh = bodies.box((5, 2, 2), place=lambda unit: unit * [100.0, 40.0, 40.0])
    return Model.from_mesh(mesh, {"*": NeoHookean.from_young(YOUNG, 0.45)}, element=element)


def fine_box() -> tuple[np.ndarray, np.ndarray]:
    """The surface of the bar, finer than its elements and 1 mm outside of it: vertices in m, triangles."""
    mesh = bodies.box((10, 4, 4), place=lambda unit: unit * [102.0, 42.0, 42.0] - 1.0)
    facets = np.concatenate(list(mesh.facet_sets.values()))
    used, triangles = np.unique(facets, return_inverse=True)
    return 1e-3 * mesh.points[used], triangles.reshape(-1, 3)


@pytest.mark.parametrize("element", ["T4", "T10"])
def test_an_outline_follows_linear_displacements_exactly(element: str) -> None:
    """Outside of the elements too, where their fields are carried on."""
    model, (points, triangles) = bar(element), fine_box()
    outline = Outline.carried_by(model, points, triangles)
    gradient = np.array([[0.1, 0.2, 0.0], [-0.1, 0.05, 0.3], [0.0, 0.1, -0.2]])
    moved = outline.moved(np.asarray(model.points) @ gradient.T)
    assert np.abs(moved - points - points @ gradient.T).max() < 1e-9


def test_what_is_no_outline_is_named() -> None:
    model, (points, triangles) = bar(), fine_box()
    with pytest.raises(SolverError, match="metres, not millimetres"):
        Outline.carried_by(model, 1e3 * points, triangles)
    with pytest.raises(SolverError, match=f"names vertex {len(points)}"):
        Outline.carried_by(model, points, np.array([[0, 1, len(points)]]))
    with pytest.raises(SolverError, match=r"\(F, 3\)"):
        Outline.carried_by(model, points, np.array([0, 1, 2]))


def ends(model: Model, pull: float) -> np.ndarray:
    """Nodal forces [N] of a traction `pull` [Pa] outward on both ends."""
    forces = np.zeros((model.nodes, 3))
    for name, sign in (("x0", -1.0), ("x1", 1.0)):
        facets = model.facets_of(name)
        corner = np.asarray(model.points)[facets]
        area = np.linalg.norm(np.cross(corner[:, 1] - corner[:, 0], corner[:, 2] - corner[:, 0]), axis=1) / 2
        np.add.at(forces[:, 0], facets, sign * pull * area[:, None] / 3.0)
    return forces


def test_a_pulled_bar_is_as_long_as_one_that_is_held() -> None:
    """Against the static solver, whose supports take the rigid motions: the shapes agree once those are taken out."""
    model = bar()
    body = FreeBody(model, "x0", YOUNG)
    free = body.balance(np.zeros((model.nodes, 3)), ends(model, 1500.0), 0.02)
    corner = np.asarray(model.points)
    line = {
        name: np.flatnonzero((np.abs(corner[:, [0, axis]]) < 1e-9).all(axis=1)) for name, axis in (("y", 2), ("z", 1))
    }
    held = bodies_with(model, line)
    problem = held.problem(
        loads=[Traction("x1", (1500.0, 0.0, 0.0))],
        supports=[Fixed("x0", components="x"), Fixed("edge y", components="z"), Fixed("edge z", components="y")],
    )
    other = np.asarray(solve(problem, tolerance=1e-10).require_converged().final.displacement)
    one, two = corner + free, corner + other
    turn, _ = Rotation.align_vectors(two - two.mean(axis=0), one - one.mean(axis=0))
    apart = turn.apply(one - one.mean(axis=0)) - (two - two.mean(axis=0))
    assert np.abs(other[:, 0]).max() > 0.02
    assert np.abs(apart).max() < 1e-5 * np.abs(other).max()


def bodies_with(model: Model, sets: dict[str, np.ndarray]) -> Model:
    """The same bar with two edges of its end named."""
    mesh = bodies.box((5, 2, 2), place=lambda unit: unit * [100.0, 40.0, 40.0])
    edges = {f"edge {name}": nodes for name, nodes in sets.items()}
    return Model.from_mesh(
        replace(mesh, node_sets={**mesh.node_sets, **edges}), {"*": NeoHookean.from_young(YOUNG, 0.45)}
    )


def test_a_pressed_body_does_not_turn_over() -> None:
    """Dead loads that press a free bar together would turn it end for end; without rigid motion it is stable.

    6 % shorter, at half of Euler's load.
    """
    model = bar()
    body = FreeBody(model, "x0", YOUNG)
    nudge = 1e-4 * np.random.default_rng(0).standard_normal((model.nodes, 3))
    nudge -= (body.rigid @ (body.rigid.T @ nudge.ravel())).reshape(-1, 3)
    pressed = body.balance(nudge, ends(model, -300.0), 0.02)
    length = np.ptp((np.asarray(model.points) + pressed)[:, 0])
    assert 0.092 < length < 0.096
    assert np.abs(body.rigid.T @ pressed.ravel()).max() < 1e-9 * np.linalg.norm(pressed)


def test_the_misfit_has_the_slopes_it_says() -> None:
    """By pose and by displacement, against central differences with the same pairs."""
    model, (points, triangles) = bar(), fine_box()
    outline = Outline.carried_by(model, points, triangles)
    draw = np.random.default_rng(3)
    seen = points[draw.choice(len(points), 60)] + 2e-3 * draw.standard_normal((60, 3))
    field = 1e-3 * draw.standard_normal((model.nodes, 3))
    pose = Pose(Rotation.from_rotvec([0.1, -0.2, 0.05]), np.array([1e-3, 2e-3, -1e-3]), points.mean(axis=0))
    seen = pose.seen_from_model(seen)
    at = Misfit.at(outline, field, pose, seen)

    def gap(pose: Pose, field: np.ndarray) -> np.ndarray:
        place = outline_place + np.einsum("nm,nmi->ni", at.weights, field[at.nodes])
        return np.einsum("ni,ni->n", at.normal, pose.model_from_seen(seen) - place)

    moved = np.einsum("nm,nmi->ni", at.weights, field[at.nodes])
    foot = pose.model_from_seen(seen) - at.distance[:, None] * at.normal
    outline_place = foot - moved
    for axis in range(6):
        step = np.zeros(6)
        step[axis] = 1e-6
        slope = (gap(pose.turned(step), field) - gap(pose.turned(-step), field)) / 2e-6
        assert np.abs(slope + at.by_pose[:, axis]).max() < 1e-7
    way = draw.standard_normal((model.nodes, 3))
    slope = (gap(pose, field + 1e-4 * way) - gap(pose, field - 1e-4 * way)) / 2e-4
    assert np.abs(slope + at.by_nodes(way[:, :, None])[:, 0]).max() < 1e-9


def flat_misfit(places: np.ndarray) -> Misfit:
    """Points on a plane, none of them off."""
    count = len(places)
    up = np.tile([0.0, 0.0, 1.0], (count, 1))
    return Misfit(places, np.zeros(count), np.zeros((count, 6)), up, np.zeros((count, 1), int), np.ones((count, 1)))


def test_what_the_model_cannot_follow_widens_a_mean() -> None:
    """Variance of the mean of n points: σ²/n, and δ² more where all err alike."""
    seen = 1e-3 * np.random.default_rng(1).random((200, 3))
    errors = Errors.of(seen, 1e-3, Prior(unfollowed=(2e-3, 10.0)))
    weighed = errors.at(flat_misfit(seen))
    ones = np.ones(200)
    variance = 1.0 / float(ones @ weighed.inverse(ones))
    assert variance == pytest.approx(1e-6 / float(weighed.weight[0]) / 200 + 4e-6, rel=1e-3)


def test_what_the_model_cannot_follow_is_shared_along_the_normal_alone() -> None:
    """Of walls at right angles no point tells the other's error; of one place, all of δ² along its own normal."""
    places = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
    misfit = flat_misfit(places)._replace(normal=np.eye(3)[[0, 2]])
    errors = Errors.of(places, 1e-3, Prior(unfollowed=(2e-3, 0.02)))
    covariance = np.linalg.inv(errors.at(misfit).inverse(np.eye(2)))
    assert abs(covariance[0, 1]) < 1e-16
    assert errors.shared(places[:1], misfit)[0] == pytest.approx(4e-6 * np.eye(3)[:, [0, 2]])


def test_what_the_model_cannot_follow_grows_with_the_deformation() -> None:
    """δ² = δ₀² + (c U)², U the RMS along each axis."""
    errors = Errors.of(np.zeros((1, 3)), 1e-3, Prior(unfollowed=(0.6e-3, 0.02), unlike=0.1))
    moved = 8e-3 * np.array([[1.0, -1.0, 1.0], [-1.0, 1.0, -1.0]])
    assert errors.deformed(moved).unfollowed == pytest.approx(1e-3)
    assert errors.deformed(0.0 * moved).unfollowed == pytest.approx(0.6e-3)


def test_a_body_in_pieces_is_named() -> None:
    """Two blocks that share no node: one rigid motion would not hold both."""
    near, far = (bodies.box((1, 1, 1), place=lambda unit, at=at: 40.0 * unit + at) for at in (0.0, 60.0))
    mesh = TetMesh(
        np.concatenate([near.points, far.points]),
        np.concatenate([near.tetrahedra, far.tetrahedra + len(near.points)]),
        np.concatenate([near.region, far.region]),
        near.region_names,
        near.facet_sets,
        near.node_sets,
    )
    model = Model.from_mesh(mesh, {"*": NeoHookean.from_young(YOUNG, 0.45)})
    with pytest.raises(SolverError, match=r"in 2 pieces; one of 8 nodes .* Register each piece"):
        FreeBody(model, "x0", YOUNG)


@pytest.mark.parametrize("element", ["T4P1", "T10P1"])
def test_elements_with_pressures_are_named(element: str) -> None:
    mesh = bodies.box((1, 1, 1), place=lambda unit: 40.0 * unit)
    model = Model.from_mesh(mesh, {"*": NeoHookean.from_young(YOUNG, 0.4999)}, element=element)
    points = np.asarray(model.points)[np.random.default_rng(1).integers(0, 8, 60)]
    points = points + 1e-3 * np.random.default_rng(0).standard_normal((60, 3))
    with pytest.raises(SolverError, match=r"unknown pressures cannot be registered\. Use T4, T10 or H8"):
        register(model, points, surface="x0")


def test_linear_tetrahedra_that_lock_are_named() -> None:
    """Beyond ν = 0.49, in any of their elements; quadratic ones are not meant."""
    mesh = bodies.box((1, 1, 1), place=lambda unit: 40.0 * unit)
    soft, one = np.full(len(mesh.tetrahedra), 0.45), np.zeros(len(mesh.tetrahedra))
    one[-1] = 0.0499
    for ratio in (0.4999, soft + one):
        model = Model.from_mesh(mesh, {"*": law(ratio)})
        with pytest.raises(SolverError, match=r"T4 elements with ν = 0\.4999 lock\. Give ν up to 0\.49"):
            FreeBody(model, "x0", YOUNG)
    assert FreeBody(Model.from_mesh(mesh, {"*": law(0.49)}), "x0", YOUNG).share == 0.0
    quadratic = Model.from_mesh(mesh, {"*": law(0.4999)}, element="T10")
    assert FreeBody(quadratic, "x0", YOUNG).share == 0.0


def law(ratio: float | np.ndarray) -> NeoHookean:
    """Of a Poisson's ratio, one number or one for each element."""
    return NeoHookean(YOUNG / (2.0 * (1.0 + ratio)), YOUNG * ratio / ((1.0 + ratio) * (1.0 - 2.0 * ratio)))


def test_a_step_is_stable_where_newton_would_fold_the_body() -> None:
    """A thin strip shortened by 8 % without having bent yet: its own tangent is unstable, the stiffened one is not."""
    mesh = bodies.box((16, 1, 1), place=lambda unit: unit * [160.0, 10.0, 10.0])
    model = Model.from_mesh(mesh, {"*": NeoHookean.from_young(YOUNG, 0.45)})
    body = FreeBody(model, "x0", YOUNG)
    short = np.asarray(model.points) * [-0.08, 0.036, 0.036]
    assert body.compliance(np.zeros_like(short)).stable
    assert not body.compliance(short).stable
    stiffer, found = body.stable_at(short)
    assert stiffer.share > 0
    force = np.random.default_rng(5).standard_normal((model.nodes, 3, 1))
    moved = found.times(force)
    assert found.stable
    assert float((force * moved).sum()) > 0
    assert np.abs(body.rigid.T @ moved.ravel()).max() < 1e-9 * np.linalg.norm(moved)


def test_a_stiffened_body_balances_what_its_own_shape_cannot() -> None:
    """A thin strip pressed at three times Euler's load: balanced once stiff enough, and its tangent is its forces'."""
    mesh = bodies.box((16, 1, 1), place=lambda unit: unit * [160.0, 10.0, 10.0])
    model = Model.from_mesh(mesh, {"*": NeoHookean.from_young(YOUNG, 0.45)})
    body = FreeBody(model, "x0", YOUNG)
    euler = np.pi**2 * YOUNG * 0.01**2 / (12 * 0.16**2)
    forces = ends(model, -3.0 * euler)
    nudge = 1e-4 * np.random.default_rng(0).standard_normal((model.nodes, 3))
    stiff = body.stiffened(10.0)
    found = stiff.balance(nudge - (body.rigid @ (body.rigid.T @ nudge.ravel())).reshape(-1, 3), forces, 0.02)
    assert stiff.compliance(found).stable
    way = 1e-6 * np.random.default_rng(1).standard_normal((model.nodes, 3))
    way -= (body.rigid @ (body.rigid.T @ way.ravel())).reshape(-1, 3)
    ahead, behind = (stiff.out_of_balance(found + sign * way, forces)[0] for sign in (1, -1))
    back = stiff.compliance(found).times((ahead - behind)[:, :, None])[:, :, 0]
    assert np.abs(back - 2.0 * way).max() < 1e-6 * np.abs(way).max()
    assert body.stiffened(30.0).share == 30.0
    refused(lambda: body.stiffened(30.0).stiffer, "no equilibrium")
    assert body.share == 0.0


def test_multipliers_carry_what_is_out_of_balance() -> None:
    """A net pull of one newton on a body at rest: they carry all of it."""
    model = bar()
    body = FreeBody(model, "x0", YOUNG)
    pull = np.zeros((model.nodes, 3))
    pull[:, 0] = 1.0 / model.nodes
    still = np.zeros((model.nodes, 3))
    within = body.system.evaluate(1e-3 * np.asarray(model.points), 1.0).force_norm
    stretched = 1e-3 * np.asarray(model.points)
    assert body.held(stretched, pull) == pytest.approx(np.linalg.norm(pull) / within, rel=1e-6)
    assert body.held(stretched, still) < 1e-6


def judged(height: float, in_groups: bool) -> tuple[float, float]:
    """Shares kept of a disc of 20 mm, raised by `height` [m], and of the flat cloud about it; 2 mm of noise."""
    draw = np.random.default_rng(11)
    places = np.column_stack([0.12 * draw.random((500, 2)), np.zeros(500)])
    disc = np.linalg.norm(places[:, :2] - 0.06, axis=1) < 0.02
    waves = np.stack([np.cos(np.pi * (k * places[:, 0] + m * places[:, 1]) / 0.12) for k in range(3) for m in range(3)])
    misfit = flat_misfit(places)._replace(distance=np.where(disc, height, 0.0) + 2e-3 * draw.standard_normal(500))
    law, none = Errors.of(places, 2e-3, Prior()), np.zeros(500, bool)
    kept = predicted(misfit, 4e-3 * waves.T, np.zeros(len(waves)), law, none, np.abs(misfit.distance) < 3e-3, in_groups)
    return float(kept[disc].mean()), float(kept[~disc].mean())


def test_a_lump_of_points_that_could_each_be_noise_is_none() -> None:
    """7 mm on 2 mm of noise: single points pass at 4 standard deviations, their median does not; a dent belongs."""
    assert judged(7e-3, in_groups=False)[0] > 0.8
    lump, around = judged(7e-3, in_groups=True)
    assert lump < 0.2
    assert around > 0.95
    assert min(judged(-7e-3, in_groups=True)) > 0.8
    assert min(judged(0.0, in_groups=True)) > 0.99


def test_a_flying_pixel_does_not_tilt_the_plane_of_its_neighbours() -> None:
    """A flat cloud with 4 % of its points 20 mm off."""
    draw = np.random.default_rng(5)
    points = np.column_stack([0.1 * draw.random((400, 2)), 5e-4 * draw.standard_normal(400)])
    points[::25, 2] += 0.02
    normals = np.delete(cloud_normals(points), np.s_[::25], axis=0)
    assert np.abs(normals[:, 2]).min() > 0.98
