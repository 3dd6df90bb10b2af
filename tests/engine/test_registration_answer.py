"""What a registration says of targets, on a plate bent by a known displacement, of tetrahedra and of bricks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, NamedTuple

import bodies
import numpy as np
import pytest
from refusals import refused
from scipy.sparse import csc_matrix
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.registration.all_at_once import Search, _factor
from preop.engine.tissue.registration.answer import Registration
from preop.engine.tissue.registration.errors import Errors
from preop.engine.tissue.registration.free_body import Compliance, FreeBody, NoBalance
from preop.engine.tissue.registration.hidden_loads import scaled_patterns
from preop.engine.tissue.registration.misfit import Pose
from preop.engine.tissue.registration.noise import roughness
from preop.engine.tissue.registration.outline import Outline
from preop.engine.tissue.registration.prior import Prior
from preop.engine.tissue.registration.register import register
from preop.engine.tissue.registration.rigid import Rigid

SIZE = np.array([160.0, 30.0, 80.0])
"""mm; what is seen is most of the side y = 0, and the edges x = 0 and z = 0."""
RADIUS = 0.16
"""m of the circle that the plate is bent to: its ends go 20 mm over its middle."""
NOISE = 1e-3
TURN, SHIFT = Rotation.from_rotvec([0.05, -0.04, 0.06]), np.array([0.006, -0.004, 0.005])


def plate(element: str, cells: tuple[int, int, int] = (10, 2, 5)) -> Model:
    """All of its surface in one set."""
    mesh = bodies.mesh_for(element, cells, place=lambda unit: unit * SIZE)
    mesh.facet_sets["surface"] = np.concatenate([mesh.facet_sets[f"{axis}{end}"] for axis in "xyz" for end in (0, 1)])
    return Model.from_mesh(mesh, {"*": NeoHookean.from_young(5e3, 0.45)}, element=element)


def bent(place: np.ndarray) -> np.ndarray:
    """Pure bending: the middle keeps its length and lies on a circle, normals stay normal; then the theatre's pose."""
    along, away = place[:, 0] - 0.08, place[:, 1] - 0.015
    angle = along / RADIUS
    moved = np.stack([(RADIUS - away) * np.sin(angle), RADIUS - (RADIUS - away) * np.cos(angle), place[:, 2]], axis=1)
    middle = np.array([0.0, 0.0, 0.04])
    return TURN.apply(moved - middle) + 1e-3 * SIZE / 2.0 + SHIFT


def cloud(count: int, noise: float = NOISE) -> np.ndarray:
    """Of two thirds of the front and of two edges beside it, without which a plate slides along itself; with noise."""
    draw = np.random.default_rng(3)
    place = draw.random((count, 3)) * [0.11, 0.0, 0.08]
    place[::5, :2] = place[::5, 1::-1] * [0.0, 0.03 / 0.11]
    place[1::5, 1:] = place[1::5, :0:-1] * [0.03 / 0.08, 0.0]
    return bent(place) + noise * draw.standard_normal((count, 3))


def targets() -> np.ndarray:
    """Behind what was seen, through the whole thickness."""
    return np.random.default_rng(8).random((40, 3)) * [0.1, 0.024, 0.074] + [0.005, 0.003, 0.003]


@pytest.mark.parametrize("element", ["T4", "H8"])
def test_a_bent_plate_is_followed(element: str) -> None:
    """Errors far below those of rigid alignment, and of the size that is said."""
    found = register(plate(element), cloud(500))
    where, covariance = found.targets(targets())
    truth = bent(targets())
    away = np.linalg.norm(where - truth, axis=1)
    rigid = np.linalg.norm(found.rigid.seen_from_model(targets()) - truth, axis=1)
    assert away.mean() < 0.6 * rigid.mean()
    assert away.mean() < 1.5e-3
    assert 0.2 < np.median(away / np.sqrt(np.einsum("kii->k", covariance))) < 1.5
    assert found.noise == pytest.approx(NOISE, rel=0.15)
    assert "holds the body against rigid motion" in found.statement


def errors_of(points: np.ndarray, prior: Prior | None = None) -> tuple[Registration, float]:
    """A small plate of bricks on points: what was found, and the mean error of its targets [m]."""
    found = register(plate("H8", (6, 1, 3)), points, prior=prior)
    return found, float(np.linalg.norm(found.targets(targets())[0] - bent(targets()), axis=1).mean())


@pytest.fixture(scope="module")
def alone() -> float:
    """The mean error [m] where nothing but the plate was seen."""
    return errors_of(cloud(500))[1]


def tissue_beside() -> np.ndarray:
    """A flat patch of 30 × 60 mm, at half depth of the plate, that goes on from its end x = 0."""
    draw = np.random.default_rng(5)
    place = np.stack([-0.03 * draw.random(60), np.full(60, 0.012), 0.01 + 0.06 * draw.random(60)], axis=1)
    return bent(place) + NOISE * draw.standard_normal((60, 3))


def flying_rim() -> np.ndarray:
    """40 pixels at the end x = 0, up to 40 mm behind the front: between it and what lies behind."""
    draw = np.random.default_rng(6)
    return bent(np.stack([np.zeros(40) - 1e-3, 0.04 * draw.random(40), 0.08 * draw.random(40)], axis=1))


@pytest.mark.parametrize("foreign", [tissue_beside, flying_rim])
def test_points_of_something_else_do_not_pull_the_answer(foreign: Callable[[], np.ndarray], alone: float) -> None:
    """Not by more than half of the noise, and of the patch, most of what goes beyond the plate is left out and told."""
    found, error = errors_of(np.concatenate([cloud(500), foreign()]))
    assert error < alone + 0.5e-3
    if foreign is tissue_beside:
        wrong = cKDTree(found.left_out).query(foreign())[0] < 1e-9
        assert wrong.mean() > 0.6
        assert len(found.left_out) - wrong.sum() < 0.03 * 500
        assert "were left out" in found.statement


def test_noise_that_neighbours_share_is_not_taken_for_deformation(alone: float) -> None:
    """1.5 mm along each axis, alike over 8 mm, of which the cloud's roughness shows a part."""
    points = cloud(500, noise=2e-4)
    shared = np.linalg.cholesky(np.exp(-0.5 * (cdist(points, points) / 0.008) ** 2) + 1e-6 * np.eye(500))
    wrong = 1.5e-3 * shared @ np.random.default_rng(2).standard_normal((500, 3))
    points = points + wrong
    assert roughness(points) < 0.75e-3
    assert errors_of(points)[1] < alone + 0.5e-3
    found, error = errors_of(points, Prior(unlike=0.0, unfollowed=(2e-4, 0.02)))
    assert 0.8e-3 < found.noise < 2e-3
    assert error < alone + 0.5e-3


def test_a_million_points_tell_what_a_thousand_of_them_tell() -> None:
    """Thinned before anything looks at each: the noise is read off right, and targets agree to their widths."""
    model = plate("H8", (6, 1, 3))
    many, few = register(model, cloud(1_000_000)), register(model, cloud(1000))
    assert many.noise == pytest.approx(NOISE, rel=0.15)
    (one, wide), (other, _) = many.targets(targets()), few.targets(targets())
    assert np.abs(one - other).max() < 2.0 * np.sqrt(np.einsum("kii->ki", wide)).max()
    assert many.visible_share == pytest.approx(few.visible_share, abs=0.1)


class Searched(NamedTuple):
    """A state found, and what it was found with."""

    registration: Registration
    search: Search
    width: float


@pytest.fixture(scope="module")
def searched() -> Searched:
    """A small plate of bricks with twelve patterns per axis."""
    model, prior, width = plate("H8", (6, 1, 3)), Prior(modes=12), 0.01
    body, seen = FreeBody(model, "surface", 5e3), cloud(200)
    errors = Errors.of(seen, NOISE, prior)
    basis = scaled_patterns(body, "surface", np.ones(model.nodes), prior)
    search = Search(body, Outline.of_facets(model, "surface"), basis, seen, errors, prior.pose_width)
    pose = Pose(Rotation.identity(), np.zeros(3), np.asarray(model.points).mean(axis=0))
    still = np.zeros((model.nodes, 3))
    found = search.run(width, pose, still, np.zeros(basis.shape[2]), lambda *_: None)
    registration = Registration(
        (found,),
        np.array([width]),
        np.ones(1),
        Rigid(np.zeros(3), np.zeros(3), np.zeros(3), 0.0),
        model,
        errors,
        0.3,
        prior.pose_width,
    )
    return Searched(registration, search, width)


def test_targets_follow_pose_and_loads_as_their_derivative_says(searched: Searched) -> None:
    """Central differences: each equilibrium solved anew; the pose turned and shifted."""
    registration, search, width = searched
    found, model = registration.found, registration.model
    corner = np.arange(model.nodes)[::7]
    rest, nodes, weights = np.asarray(model.points)[corner], corner[:, None], np.ones((len(corner), 1))

    def placed(step: np.ndarray) -> np.ndarray:
        moved = found.displacement
        if step[6:].any():
            moved = search.body.balance(moved, width * search.basis @ (found.loads + step[6:]), 0.01)
        return found.pose.turned(step[:6] * registration.pose_width).seen_from_model(rest + moved[corner])

    rate = registration.rate(found, rest + found.displacement[corner], nodes, weights)
    for column in (0, 1, 2, 3, 4, 5, 6, 9, 13, 20, rate.shape[2] - 1):
        step = np.zeros(rate.shape[2])
        step[column] = 0.05
        slope = (placed(step) - placed(-step)) / 0.1
        assert np.abs(slope - rate[:, :, column]).max() < 5e-3 * np.abs(rate[:, :, column]).max()


def test_what_the_model_cannot_follow_is_known_where_it_was_seen_alone(searched: Searched) -> None:
    """Beside a point seen, along the normal, less than δ² is left; 30 mm behind it, δ² and more."""
    registration = searched.registration
    seen, hidden = np.array([[0.05, 0.001, 0.04]]), np.array([[0.05, 0.029, 0.04]])
    (_, beside), (_, behind) = registration.targets(seen), registration.targets(hidden)
    normal = registration.found.pose.rotation.apply([0.0, 1.0, 0.0])
    law = registration.found.errors.law
    assert normal @ beside[0] @ normal < 0.5 * law.unfollowed**2
    assert np.linalg.eigvalsh(behind[0]).min() > 0.9 * law.unfollowed**2


def test_a_body_without_equilibrium_is_stiffened_and_told(searched: Searched, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the body's own shape is refused, the search goes on with the next s, and the statement says so."""
    registration, search, width = searched
    tried, balance = [], FreeBody.balance

    def refusing(body: FreeBody, *given: Any) -> np.ndarray:
        tried.append(body.share)
        if body.share < 0.3:
            raise NoBalance("folded", where="register")
        return balance(body, *given)

    monkeypatch.setattr(FreeBody, "balance", refusing)
    still, count = np.zeros((registration.model.nodes, 3)), search.basis.shape[2]
    pose = Pose(Rotation.identity(), np.zeros(3), np.asarray(registration.model.points).mean(axis=0))
    found = search.run(width, pose, still, np.zeros(count), lambda *_: None)
    assert tried == [0.0, 0.1, 0.3]
    assert found.stiffened == 0.3
    loads = width * search.basis @ found.loads
    assert search.body.stiffened(0.3).out_of_balance(found.displacement, loads)[1] < 1e-6
    told = replace(registration, states=(found,))
    assert "0.3 times the stiffness at rest" in told.statement
    assert "stiffness at rest" not in registration.statement


def test_a_posterior_without_width_is_named() -> None:
    refused(lambda: _factor(np.full((2, 2), np.nan)), "no width .* Check units, noise and Prior")
    refused(lambda: Compliance(csc_matrix((9, 9)), np.eye(9)[:, :6]), "cannot be factorised")


def few_patterns(points: np.ndarray, width: float, **given: Any) -> Registration:
    """A small plate of bricks with twelve patterns per axis, of which little movement is thought [m]."""
    return register(plate("H8", (6, 1, 3)), points, prior=Prior(displacement=width, modes=12, **given))


def far_corner() -> np.ndarray:
    """85 points beyond the end x = 0 and in front of the plate, scattered over 30 mm and joined to nothing."""
    draw = np.random.default_rng(7)
    place = np.stack([-0.035 - 0.03 * draw.random(85), -0.035 - 0.03 * draw.random(85), 0.08 * draw.random(85)], axis=1)
    return bent(place)


def test_a_plate_that_moves_more_than_was_thought_is_doubted_or_refused() -> None:
    """A prior of 2.5 mm, four times which is still not enough: told, and refused where a quarter is foreign besides.

    A prior of 0.7 mm that the data may not widen is left by many times its width.
    """
    assert "Doubt it: the likeliest width, 10 mm, is the widest tried" in few_patterns(cloud(200), 2.5e-3).statement
    both = np.concatenate([cloud(200), far_corner()])
    words = "% of the points fit no deformation of this organ, the others only 10 mm"
    refused(lambda: few_patterns(both, 2.5e-3), words)
    tight = r"the median node would move by \d mm, Prior.displacement is 1 mm. Crop the points"
    refused(lambda: few_patterns(cloud(200), 0.7e-3, found=False), tight)


def test_more_of_the_tissue_left_out_is_told_where_loads_are_large(searched: Searched) -> None:
    """Six points together left out, and 10 mm found where 5 mm were thought; not for 10 mm, nor for points apart."""
    together = 5e-3 * np.arange(6.0)[:, None] * [1.0, 0.0, 0.0]
    doubted = replace(searched.registration, left_out=together, assumed=5e-3, widest=0.04)
    doubt = "Doubt it: the likeliest width, 10 mm, is more than the 5 mm assumed"
    assert doubt in doubted.statement
    assert "Doubt" not in replace(doubted, assumed=searched.width).statement
    assert "Doubt" not in replace(doubted, left_out=10.0 * together).statement


def test_hidden_loads_of_a_scale_of_their_own_widen_what_is_hidden(searched: Searched) -> None:
    """Beside the points seen little is added to the variance, at the hidden end ten times as much; tails are longer."""
    even = searched.registration
    uneven = replace(even, uneven=1.0)
    ends = np.array([[0.05, 0.002, 0.04], [0.158, 0.015, 0.04]])
    (mean, narrow), (same, wide) = even.targets(ends), uneven.targets(ends)
    added = np.einsum("kii->k", wide - narrow)
    assert same == pytest.approx(mean)
    assert 0.0 < added[0] < 0.5 * np.trace(narrow[0])
    assert added[1] > 10.0 * added[0]
    low, high = uneven.intervals(ends, 0.99)
    assert (low[1] < mean[1] - 2.7 * np.sqrt(np.diag(wide[1]))).any()
    assert (low < uneven.intervals(ends, 0.5)[0]).all()
    assert (high > mean).all()
    refused(lambda: uneven.intervals(ends, 95), "a share of 95 is not possible. Give 0.95 for 95 %")


def test_rigid_alignment_that_may_be_as_near_is_a_doubt(searched: Searched) -> None:
    """The probability, against draws of where the nodes are; and told where the deformation is less than its width."""
    registration = searched.registration
    assert registration.rigid_nearer < 0.1
    assert "Doubt" not in registration.statement
    found = registration.found
    unsure = replace(registration, states=(replace(found, covariance=30.0 * found.covariance),))
    nodes, draw = np.asarray(unsure.model.points), np.random.default_rng(4)
    (place, covariance), rigid = unsure.targets(nodes), unsure.rigid.seen_from_model(nodes)
    root = np.linalg.cholesky(covariance)
    true = place + np.einsum("kij,dkj->dki", root, draw.standard_normal((4000, *place.shape)))
    nearer = np.linalg.norm(true - rigid, axis=2) < np.linalg.norm(true - place, axis=2)
    assert unsure.rigid_nearer == pytest.approx(nearer.mean(), abs=0.01)
    very = replace(registration, states=(replace(found, covariance=1e4 * found.covariance),))
    assert "Doubt that it is better than `rigid`" in very.statement
