"""Tied meshes that do not match: the patch test, exact cutting, bad input."""

from __future__ import annotations

import equinox as eqx
import numpy as np
import pytest
from test_contact_tissue import two_blocks

from preop.engine.tissue import fields
from preop.engine.tissue.contact import Tie
from preop.engine.tissue.contact.clipping import segments
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.imaging.errors import SolverError

GRADIENT = np.array([[0.05, 0.02, -0.02], [0.01, -0.04, 0.03], [-0.015, 0.035, 0.06]])


@pytest.mark.parametrize("element", ["T4", "T10"])
def test_patch_across_tied_meshes(element: str) -> None:
    """A linear displacement prescribed on the outside is found on both sides of the tie, to 1e-8."""
    model = two_blocks((2, 2, 1), (3, 3, 1), element, poisson=0.3)
    points = np.asarray(model.points)
    outside = ((points <= 1e-9) | (points >= 0.04 - 1e-9)).any(axis=1)
    model = eqx.tree_at(
        lambda m: m.node_sets, model, {**model.node_sets, "outside": np.flatnonzero(outside).astype(np.int32)}
    )
    free = ~outside & (np.abs(points[:, 2] - 0.02) < 1e-9)
    assert free.sum() >= 5
    problem = model.problem(
        prescribed=[Prescribed("outside", lambda x: x @ GRADIENT.T)], contacts=[Tie("up_z0", "low_z1", jump=1e-14)]
    )
    solution = solve(problem, tolerance=1e-13)
    stress = fields.cauchy_stress(model, solution.final)
    assert np.ptp(stress, axis=0).max() < 1e-8 * np.abs(stress).max()
    assert np.abs(np.asarray(solution.final.displacement) - points @ GRADIENT.T).max() < 1e-10 * 0.04


def test_a_tied_body_stretches_as_one() -> None:
    """ν = 0, pulled: a uniform stress with free sides; the tie carries it, and its forces cancel."""
    model = two_blocks((2, 2, 1), (3, 3, 1), "T4")
    tie = Tie("up_z0", "low_z1", jump=1e-12)
    problem = model.problem(
        supports=[Fixed("low_z0", "z"), Fixed("low_x0", "x"), Fixed("low_y0", "y")],
        prescribed=[Prescribed("up_z1", (0.0, 0.0, 0.004), components="z")],
        contacts=[tie],
    )
    solution = solve(problem, tolerance=1e-12)
    stress = fields.cauchy_stress(model, solution.final)[:, 2, 2]
    stretch = 1.1
    assert np.abs(stress / (5e3 * (stretch - 1 / stretch)) - 1).max() < 1e-6
    force = fields.force_of(solution.problems[-1], solution.final, solution.problems[-1].contacts[0])
    assert np.abs(force).max() < 1e-12


def test_overlap_is_cut_exactly() -> None:
    """Two triangulations of one square, one turned: the pieces cover it once, and integrate x² y over it exactly."""
    rng = np.random.default_rng(6)
    from scipy.spatial import Delaunay

    def mesh(count: int, flip: bool) -> np.ndarray:
        places = np.vstack([[[0, 0], [1, 0], [1, 1], [0, 1]], rng.uniform(0, 1, (count, 2))])
        cells = Delaunay(places).simplices
        corners = np.concatenate([places, np.zeros((len(places), 1))], axis=1)[cells]
        turned = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] > 0
        return np.where((turned == flip)[:, None, None], corners[:, ::-1], corners)

    found = segments(mesh(20, False), mesh(30, True), 0.1)
    a, b, c = (found.corners[:, k] for k in range(3))
    areas = 0.5 * np.linalg.norm(np.cross(b - a, c - a), axis=1)
    assert areas.sum() == pytest.approx(1.0, abs=1e-12)
    middles = [(a + b) / 2, (b + c) / 2, (c + a) / 2]
    assert sum((areas / 3) @ (m[:, 0] * m[:, 1]) for m in middles) == pytest.approx(0.25, abs=1e-12)


def test_a_surface_without_a_partner_is_told() -> None:
    model = two_blocks((1, 1, 1), (1, 1, 1), "T4")
    with pytest.raises(SolverError, match="nothing opposite"):
        model.problem(supports=[Fixed("low_z0")], contacts=[Tie("up_z1", "low_z0")])


def test_over_constrained_ties_are_named() -> None:
    """Nodes on the first side of two ties, and tied nodes that are prescribed apart: named before any solve."""
    model = two_blocks((1, 1, 1), (2, 2, 1), "T4")
    twice = model.problem(
        supports=[Fixed("low_z0")], contacts=[Tie("up_z0", "low_z1"), Tie("up_z0", "low_z1", penalty=1e6)]
    )
    with pytest.raises(SolverError, match=r"9 nodes are tied twice, the first: \d+ at .* mm"):
        solve(twice)
    torn = model.problem(
        supports=[Fixed("low_z1")],
        prescribed=[Prescribed("up_z0", (0.0, 0.0, 0.002))],
        contacts=[Tie("up_z0", "low_z1")],
    )
    with pytest.raises(SolverError, match=r"prescribed 0.25 mm away from the held nodes of 'low_z1' .* at 12.5 %"):
        solve(torn)
