"""Sheets, shells and strands of materials that remember, against series in closed form and against thin solids."""

from __future__ import annotations

import bodies
import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

from preop.engine.tissue import dynamic, explicit, fields
from preop.engine.tissue.derivatives.functionals import reaction
from preop.engine.tissue.derivatives.load_steps import LoadSteps
from preop.engine.tissue.history import advanced, stepped
from preop.engine.tissue.integrators import Midpoint
from preop.engine.tissue.loads import NodalForces
from preop.engine.tissue.materials import DecoupledNeoHookean, Mullins, Sheet, Strand, Viscoelastic
from preop.engine.tissue.model import Model
from preop.engine.tissue.parts import Part
from preop.engine.tissue.prescribed import Prescribed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.solution import State
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed
from preop.engine.tissue.verification import sheets as plates
from preop.imaging.errors import SolverError

BASE = DecoupledNeoHookean.from_young(1e4, 0.45)
STRENGTHS, TIMES = (0.5, 0.3), (0.1, 10.0)
LAW = Viscoelastic(BASE, STRENGTHS, TIMES)
STEPS = (0.0, 0.01, 0.2, 3.0, 40.0)
THICK = 1e-3


def series(steps: tuple[float, ...]) -> np.ndarray:
    """1 + Σ γ exp(−t/τ) at the end of each step."""
    time = np.cumsum(steps)
    return 1 + sum(g * np.exp(-time / t) for g, t in zip(STRENGTHS, TIMES, strict=True))


def marched(problem: Problem, steps: tuple[float, ...]) -> list[tuple[Problem, State]]:
    found, state = [], None
    for seconds in steps:
        problem = stepped(problem, seconds)
        state = solve(problem, start=state, tolerance=1e-11).final
        found.append((problem, state))
        problem = advanced(problem, state)
    return found


def pull(problem: Problem, steps: tuple[float, ...], name: str) -> np.ndarray:
    return np.array([np.linalg.norm(fields.reaction(*pair, name)) for pair in marched(problem, steps)])


@pytest.mark.parametrize("rest", [1.0, 0.95])
def test_a_strand_relaxes_by_its_series(rest: float) -> None:
    """Turned, stretched and prestressed: what relaxes is the stretch over the rest length."""

    def problem(law) -> Problem:
        bar = Part("L2", np.array([[0, 1]]), Strand(law, 1e-6, rest))
        ends = np.array([[0.0, 0.0, 0.0], [0.1, 0.02, 0.0]])
        model = Model.from_parts(ends, [bar], node_sets={"a": [0], "b": [1]})
        return model.problem(supports=[Fixed("a")], prescribed=[Prescribed("b", (0.02, 0.0, 0.01))])

    ratio = pull(problem(LAW), STEPS, "b") / pull(problem(BASE), STEPS[:1], "b")
    assert ratio == pytest.approx(series(STEPS), rel=1e-9)


def square(element: str, sheet: Sheet) -> Model:
    """A distorted square of 0.1 m; its rim is a set."""
    if element in ("M6", "K6"):
        points, cells, _ = plates.sheet((2, 2), jitter=0.25)
    else:
        block = (bodies.box if element == "M3" else bodies.bricks)((2, 2, 1), size=(1.0, 1.0, 1.0))
        used, local = np.unique(block.facet_sets["z1"], return_inverse=True)
        points, cells = block.points[used] * [1, 1, 0], local.reshape(block.facet_sets["z1"].shape)
    rim = np.flatnonzero(((points[:, :2] == 0) | (points[:, :2] == 1)).any(axis=1))
    sets = {"all": np.arange(len(points)), "rim": rim, "x1": np.flatnonzero(points[:, 0] == 1)}
    return Model.from_parts(0.1 * points, [Part(element, cells, sheet)], node_sets=sets)


def stretched(model: Model, gradient: np.ndarray) -> Problem:
    """Flat, its rim following F."""
    way = (gradient - np.eye(2)).T @ np.eye(2, 3)
    rim = Prescribed("rim", lambda x: x[:, :2] @ way, components="xy")
    return model.problem(supports=[Fixed("all", "z")], prescribed=[rim])


LONG = [pytest.mark.slow, pytest.mark.long]


@pytest.mark.parametrize("element", ["M3", "M4", *(pytest.param(name, marks=LONG) for name in ("M6", "K6"))])
def test_an_incompressible_sheet_relaxes_by_its_series(element: str) -> None:
    gradient = np.array([[1.2, 0.1], [0.0, 1.1]])
    viscous, elastic = (
        stretched(square(element, Sheet(law, THICK, incompressible=True)), gradient) for law in (LAW, BASE)
    )
    ratio = pull(viscous, STEPS, "x1") / pull(elastic, STEPS[:1], "x1")
    assert ratio == pytest.approx(series(STEPS), rel=1e-8)


def plate(law) -> Model:
    """One brick of the sheet's size and thickness; its upper side is free."""
    return Model.from_mesh(bodies.bricks((1, 1, 1), size=(100.0, 100.0, 1e3 * THICK)), {"*": law}, element="H8")


LAWS = {"viscous": LAW, "softened": Mullins(BASE, 2.0, 300.0, 0.1)}


@pytest.mark.slow
@pytest.mark.parametrize("kind", [pytest.param(k, marks=LONG) for k in LAWS])
def test_a_compressible_sheet_answers_as_a_thin_solid(kind: str) -> None:
    """The stretch across follows from zero stress there at each instant; stretched, held, let back halfway."""
    law, results = LAWS[kind], []
    amounts = [0.25, 0.25, 0.1]
    for body in ("sheet", "solid"):
        model = square("M4", Sheet(law, THICK)) if body == "sheet" else plate(law)
        forces, state, problem = [], None, None
        for seconds, amount in zip((0.05, 1.0, 0.2), amounts, strict=True):
            way = np.array([[amount, 0.0, 0.0], [0.3 * amount, 0.5 * amount, 0.0]])
            held = Prescribed("rim" if body == "sheet" else "all", lambda x, way=way: x[:, :2] @ way, components="xy")
            if body == "sheet":
                posed = model.problem(supports=[Fixed("all", "z")], prescribed=[held])
            else:
                both = [Prescribed(s, held.displacement, components="xy") for s in ("z0", "z1")]
                posed = model.problem(supports=[Fixed("z0", "z")], prescribed=both)
            if problem is not None:
                posed = eqx.tree_at(lambda p: p.model, posed, problem.model)
            posed = stepped(posed, seconds)
            state = solve(posed, start=state, tolerance=1e-11).final
            forces.append(fields.reaction(posed, state, "x1"))
            problem = advanced(posed, state)
        results.append(np.array(forces))
    sheet, solid = results
    assert sheet == pytest.approx(solid, rel=1e-7, abs=1e-9 * np.abs(solid).max())
    held, back = sheet[1, 0] / sheet[0, 0], sheet[2, 0] / sheet[0, 0]
    if kind == "viscous":
        assert held < 0.9
    else:
        assert held == pytest.approx(1.0)
        assert back < 0.35  # an elastic sheet keeps more than 0.4 of its force


@pytest.mark.slow
@pytest.mark.long
def test_a_bent_shell_relaxes_by_its_series() -> None:
    """A cantilever strip turned up at its end: each layer remembers. The penalty on kinks does not relax: 1.3 %."""

    def problem(law) -> Problem:
        points, cells, _ = plates.sheet((6, 1), jitter=0.0)
        sets = {"root": np.flatnonzero(points[:, 0] == 0), "end": np.flatnonzero(points[:, 0] == 1)}
        shell = Part("K6", cells, Sheet(law, THICK, incompressible=True), clamped=np.flatnonzero(points[:, 0] == 0))
        model = Model.from_parts(points * [0.1, 0.02, 0.0], [shell], node_sets=sets)
        up = Prescribed("end", (0.0, 0.0, 0.01), components="z")
        return model.problem(supports=[Fixed("root")], prescribed=[up])

    ratio = pull(problem(LAW), STEPS, "end") / pull(problem(BASE), STEPS[:1], "end")
    assert ratio == pytest.approx(series(STEPS), rel=0.02)


@pytest.mark.parametrize("element", [pytest.param("M6", marks=LONG), pytest.param("L2", marks=pytest.mark.slow)])
def test_gradient_through_viscous_steps(element: str) -> None:
    """Of a force at the end in strengths, times and thickness or area, against central differences of new solves."""
    if element == "L2":
        bars = Part("L2", np.array([[0, 1], [1, 2]]), Strand(LAW, 1e-6))
        model = Model.from_parts(
            np.array([[0.0, 0.0, 0.0], [0.05, 0.02, 0.0], [0.1, 0.0, 0.0]]),
            [bars],
            node_sets={"a": [0], "x1": [2], "all": [0, 1, 2]},
        )
        problem = model.problem(
            supports=[Fixed("a"), Fixed("all", "z")], prescribed=[Prescribed("x1", (0.02, 0.01, 0.0))]
        )
    else:
        problem = stretched(square("M6", Sheet(LAW, THICK)), np.array([[1.2, 0.1], [0.0, 1.1]]))
    fractions, duration = [0.5, 1.0], 0.4

    def force(displacement, posed):
        return reaction(displacement, posed, "x1")[0]

    slope = LoadSteps(problem, fractions, duration=duration).gradient({2: force})
    picks = [
        lambda p: p.model.blocks[0].material.law.strengths[0],
        lambda p: p.model.blocks[0].material.law.times[0],
        lambda p: p.model.blocks[0].material.thickness if element == "M6" else p.model.blocks[0].material.area,
    ]
    for pick in picks:
        base, step = np.asarray(pick(problem)), 1e-4

        def value(scale: float, pick=pick, base=base) -> float:
            posed = eqx.tree_at(pick, problem, jnp.asarray(base * scale))
            found = solve(posed, load_steps=fractions, duration=duration, tolerance=1e-12).require_converged()
            return float(force(found.states[-1].displacement, found.problems[-1]))

        expected = (value(1 + step) - value(1 - step)) / (2 * step)
        assert float(np.sum(np.asarray(pick(slope)) * base)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
@pytest.mark.long
def test_explicit_steps_follow_the_same_history() -> None:
    """A strand of two elements swings along itself under a sudden pull: implicit and explicit steps agree."""
    law = Viscoelastic(BASE, (0.8,), (0.01,))
    bars = Part("L2", np.array([[0, 1], [1, 2]]), Strand(law, 1e-4), density=1000.0)
    points = np.array([[0.0, 0.0, 0.0], [0.02, 0.0, 0.0], [0.04, 0.0, 0.0]])
    model = Model.from_parts(points, [bars], node_sets={"all": [0, 1, 2], "end": [2], "root": [0]})
    pulled = NodalForces("end", (0.15, 0.0, 0.0), during=(0.0, 0.0))
    problem = model.problem(loads=[pulled], supports=[Fixed("root"), Fixed("all", "yz")])
    end = 0.04
    path = explicit.solve(problem, duration=end, step=end / 400, keep=2)
    assert path.final.materials
    moved = np.asarray(path.final.displacement)
    off = []
    for steps in (80, 160):
        other = dynamic.solve(problem, duration=end, steps=steps, integrator=Midpoint(), mass="lumped", keep=[end])
        wanted = np.asarray(other.final.displacement)
        off.append(np.abs(moved - wanted).max() / np.abs(wanted).max())
    assert off[1] < 5e-3
    assert off[1] < 0.45 * off[0]


@pytest.mark.parametrize("slack", ["wrinkles", "cable"])
def test_what_goes_slack_cannot_remember(slack: str) -> None:
    if slack == "wrinkles":
        problem = stretched(square("M3", Sheet(LAW, THICK, wrinkles=True)), 1.1 * np.eye(2))
    else:
        bar = Part("L2", np.array([[0, 1]]), Strand(LAW, 1e-6, cable=True))
        model = Model.from_parts(np.array([[0.0, 0, 0], [0.1, 0, 0]]), [bar], node_sets={"a": [0], "b": [1]})
        problem = model.problem(supports=[Fixed("a")], prescribed=[Prescribed("b", (0.01, 0.0, 0.0))])
    with pytest.raises(SolverError, match=f"with {slack}=True cannot follow the history of its material"):
        solve(problem)
