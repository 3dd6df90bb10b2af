"""Strands: a truss that snaps through, a hanging cable, ligaments between bodies."""

from __future__ import annotations

import bodies
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq

from preop.engine.tissue import fields
from preop.engine.tissue.elements import STRUCTURES
from preop.engine.tissue.loads import Gravity
from preop.engine.tissue.materials import NeoHookean, Strand
from preop.engine.tissue.model import Model
from preop.engine.tissue.parts import Part
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.imaging.errors import SolverError

LAW = NeoHookean.from_young(1e4, 0.4)
STRANDS = {
    "EA": Strand(100.0, 1e-4),
    "cable": Strand(100.0, 1e-4, 0.9, cable=True),
    "material": Strand(LAW, 1e-4, 1.1),
}


@pytest.mark.parametrize("name", STRANDS)
def test_force_and_tangent_are_derivatives(name: str) -> None:
    """Force is the slope of the energy and the tangent that of the force, in any direction."""
    element, rng = STRUCTURES["L2"], np.random.default_rng(2)
    strand = jax.tree.map(lambda leaf: jnp.full(5, leaf), STRANDS[name])
    reference = jnp.asarray([[0.0, 0, 0], [1, 2, 0.5]] + 0.1 * rng.standard_normal((5, 2, 3)))
    moved, way = (jnp.asarray(s * rng.standard_normal((5, 2, 3))) for s in (0.2, 1.0))
    blocks = np.asarray(element.tangent(reference, moved, strand)).reshape(5, 3, 3, 3)
    full = np.zeros((5, 2, 2, 3, 3))
    full[:, [0, 0, 1], [0, 1, 1]] = blocks
    full += full.transpose(0, 2, 1, 4, 3)
    step = 1e-6
    up, down = (element.evaluate(reference, moved + s * step * way, strand) for s in (1, -1))
    here = element.evaluate(reference, moved, strand)
    slope = np.asarray(up.force - down.force) / (2 * step)
    assert np.einsum("eabij,ebj->eai", full, way) == pytest.approx(slope, rel=1e-6, abs=1e-5)
    assert np.sum(np.asarray(here.force * way), axis=(1, 2)) == pytest.approx(
        np.asarray(up.energy - down.energy) / (2 * step), rel=1e-6, abs=1e-7
    )


def test_von_mises_truss() -> None:
    """Two bars of rise h over half a span a, pressed down by v: P = 2 EA (ℓ₀ − ℓ)/ℓ₀ (h − v)/ℓ, through the snap."""
    half, rise, stiffness = 1.0, 0.3, 1e3
    points = np.array([[-half, 0, 0], [half, 0, 0], [0, 0, rise]])
    model = Model.from_parts(
        points, [Part("L2", [[0, 2], [2, 1]], Strand(stiffness, 1e-4))], node_sets={"feet": [0, 1], "top": [2]}
    )
    deepest = 1.6 * rise
    down = [Prescribed("top", (0.0, 0.0, -deepest), components="yz")]
    problem = model.problem(supports=[Fixed("feet")], prescribed=down)
    solution = solve(problem, load_steps=8)
    pressed = []
    for state in solution.require_converged().states:
        height = rise - deepest * state.load_fraction
        length, rest = np.hypot(half, height), np.hypot(half, rise)
        expected = 2 * stiffness * (rest - length) / rest * height / length
        force = fields.reaction(problem, state, "top")
        assert -force[2] == pytest.approx(expected, rel=1e-8, abs=1e-9 * stiffness)
        pressed.append(expected)
    assert min(pressed) < 0 < max(pressed)  # it went through


def test_hanging_cable() -> None:
    """A cable that hardly stretches hangs as y = a cosh(x/a), S = 2a sinh(d/a), and pulls sideways with w a."""
    links, half, length, area, density = 32, 0.5, 1.3, 1e-6, 2000.0
    scale = brentq(lambda a: 2 * a * np.sinh(half / a) - length, 0.1, 2.0, xtol=1e-14)
    sag = brentq(lambda s: _parabola(half, s, 2)[1] - 1.002 * length, 0.1, 1.0)
    points, _ = _parabola(half, sag, links)
    sizes = np.linalg.norm(np.diff(points, axis=0), axis=1)
    weight = density * area * 9.81
    cable = Strand(1e4 * weight, area, (length / links) / sizes, cable=True)
    pairs = np.stack([np.arange(links), np.arange(1, links + 1)], axis=1)
    model = Model.from_parts(points, [Part("L2", pairs, cable, density)], node_sets={"ends": [0, links]})
    # Mass goes with the length in the model, 0.2 % more than the cable's.
    pull = Gravity((0.0, 0.0, -9.81))
    problem = model.problem(loads=[pull], supports=[Fixed("ends")])
    state = solve(problem, max_iterations=60).final
    at = points + np.asarray(state.displacement)
    exact = scale * (np.cosh(at[:, 0] / scale) - np.cosh(half / scale))
    assert np.abs(at[:, 2] - exact).max() < 2.0 / links**2 * length
    sideways = abs(fields.reaction_forces(problem, state)[0, 0])
    assert sideways == pytest.approx(weight * scale * 1.002, rel=5e-3)
    stress = fields.maximum_principal_stress(model, state) * area
    assert stress.min() == pytest.approx(sideways, rel=1e-2)


def _parabola(half: float, sag: float, links: int) -> tuple[np.ndarray, float]:
    """Points at equal distances along a parabola, so that mass is spread evenly, and its length."""
    x = half * np.linspace(-1, 1, 20001)
    z = sag * ((x / half) ** 2 - 1)
    run = np.concatenate([[0.0], np.cumsum(np.hypot(np.diff(x), np.diff(z)))])
    at = np.interp(np.linspace(0, run[-1], links + 1), run, x)
    return np.stack([at, 0 * at, sag * ((at / half) ** 2 - 1)], axis=1), float(run[-1])


def test_a_slack_suture_lets_go_and_a_taut_one_holds() -> None:
    """Between two blocks: the force of a taut cable is EA (ℓ/ℓ₀ − 1 − w/2); of a slack one next to nothing."""
    block = bodies.bricks((1, 1, 1), size=(1.0, 1.0, 1.0))
    points = np.concatenate([block.points, block.points + np.array([0, 0, 2.0])])
    low = np.flatnonzero(points[:, 2] == 1.0)
    body = Model.from_parts(
        points,
        [Part("H8", block.cells, LAW), Part("H8", block.cells + 8, LAW)],
        node_sets={"base": np.flatnonzero(points[:, 2] == 0.0), "lifted": np.arange(8, 16)},
    )
    pairs = [(k, np.flatnonzero((points == points[k] + np.array([0, 0, 1.0])).all(axis=1))[0]) for k in low]
    for rest, expected in ((0.99, 50.0 * (1.02 / 0.99 - 1 - 0.5e-4)), (1.05, 50.0 * 1e-6 * (1.02 / 1.05 - 1))):
        model = body.with_strands("sutures", pairs, Strand(50.0, 1e-6, rest, cable=True))
        problem = model.problem(supports=[Fixed("base")], prescribed=[Prescribed("lifted", (0.0, 0.0, 0.02))])
        state = solve(problem, tolerance=1e-10).final
        top = float(np.asarray(state.displacement)[low, 2].mean())
        pull = fields.reaction(problem, state, "lifted")[2] / 4
        shift = -50.0 / rest * top  # the lower block gives way
        assert pull == pytest.approx(expected + (shift if rest < 1 else 0.0), rel=1e-4, abs=1e-6)
        assert fields.region_elements(model, "sutures").tolist() == [2, 3, 4, 5]


def test_bad_strands_are_named() -> None:
    points = np.array([[0, 0, 0], [1, 0, 0], [1, 0, 0.0]])
    with pytest.raises(SolverError, match="area must be positive"):
        Model.from_parts(points, [Part("L2", [[0, 1]], Strand(1.0, 0.0))])
    with pytest.raises(SolverError, match=r"element 1 \(L2\) at \[1000. +0. +0.\] mm has no size"):
        Model.from_parts(points, [Part("L2", [[0, 1], [1, 2]], Strand(1.0, 1e-4))])
    with pytest.raises(SolverError, match="needs a Strand, not NeoHookean"):
        Model.from_parts(points, [Part("L2", [[0, 1]], LAW)])
    bar = Model.from_parts(points[:2], [Part("L2", [[0, 1]], Strand(1.0, 1e-4))], node_sets={"a": [0]})
    with pytest.raises(SolverError, match="not held"):
        bar.problem(supports=[Fixed("a", "x")])
    bar.problem(supports=[Fixed("a")])  # may swing
