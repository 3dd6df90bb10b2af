"""Bad arguments of every solver, derivative and fit: refused in one line; what did not converge is no answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bodies
import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from refusals import refused

from preop.engine.tissue import (
    arc_length,
    batch,
    dynamic,
    equilibrium,
    explicit,
    forces,
    history,
    prestress,
    static,
    unloaded,
)
from preop.engine.tissue.derivatives import first, functionals, parameters, second
from preop.engine.tissue.fitting.displacements import NodeDisplacements, PointDisplacements
from preop.engine.tissue.fitting.fit import fit
from preop.engine.tissue.fitting.forces import Reaction, ToolForce
from preop.engine.tissue.fitting.quantity import Quantity
from preop.engine.tissue.fitting.stiffness import RegionStiffness, StiffnessField
from preop.engine.tissue.fitting.surface import SurfacePoints
from preop.engine.tissue.integrators import GeneralizedAlpha, Newmark
from preop.engine.tissue.loads import Gravity, Traction
from preop.engine.tissue.materials import NeoHookean, Viscoelastic
from preop.engine.tissue.model import Model
from preop.engine.tissue.motion import Damping
from preop.engine.tissue.registration.prior import Prior
from preop.engine.tissue.registration.register import register
from preop.engine.tissue.solution import State
from preop.engine.tissue.supports import Fixed
from preop.imaging.errors import SolverError

NAN, INF = float("nan"), float("inf")
MESH = bodies.box((1, 1, 1), size=(10.0, 10.0, 10.0))
MODEL = Model.from_mesh(MESH, {"body": NeoHookean.from_young(1e4, 0.3)})
GOOD = MODEL.problem(loads=[Gravity()], supports=[Fixed("z0")])
FREE = MODEL.problem(floating=True)
LIGHT = MODEL.problem(supports=[Fixed("z0")])
"""Its equilibrium is the body at rest."""
CRUSHED = MODEL.problem(loads=[Traction("z1", (0, 0, -5e6))], supports=[Fixed("z0")])
REST = np.zeros((8, 3))
STATE = State(1.0, jnp.asarray(REST))
LOST = State(1.0, jnp.asarray(np.where(np.arange(24).reshape(8, 3) == 9, NAN, 0.0)))
CLOUD = np.random.default_rng(0).uniform(0, 0.01, (60, 3))
NEVER = (NAN, INF, "a", None, 1j)
"""No number that any argument could be."""

WAYS: dict[str, tuple[Callable[..., Any], dict[str, tuple[Any, ...]]]] = {
    "static": (lambda **k: static.solve(GOOD, **k), {
        "load_steps": (*NEVER, 0, -1, 2.5, [], [1.0, 0.5], [NAN, 1.0], [0.5, 1.5]),
        "tolerance": (*NEVER, 0.0, -1.0, 1.0), "max_iterations": (*NEVER, 0, -1, 2.5),
        "duration": (NAN, INF, "a", 1j, 0.0, -1.0), "start": (REST, LOST, State(1.0, jnp.zeros((5, 3)))),
        "resume": (LOST, State(NAN, jnp.asarray(REST)), State(1.0, jnp.asarray(REST))), "linear_solver": ("foo",)}),
    "dynamic": (lambda **k: dynamic.solve(FREE, **{"duration": 0.01, "steps": 2, **k}), {
        "duration": (*NEVER, 0.0, -1.0), "steps": (*NEVER, 0, -1), "until": (NAN, INF, "a", -1.0),
        "velocity": ((NAN, 0, 0), (INF, 0, 0), "a", (1j, 0, 0), np.zeros((3, 3)), (1, 0)), "tolerance": (*NEVER, 0.0),
        "accuracy": (NAN, "a", 0.0, -1.0), "max_iterations": (*NEVER, 0), "keep": ([NAN], [-1.0], ["a"], [1.0]),
        "damping": (Damping(NAN), Damping(-1.0), Damping("a"), Damping(0.0, -1.0)), "mass": ("foo",),
        "start": (LOST,)}),
    "explicit": (lambda **k: explicit.solve(FREE, **{"duration": 0.001, **k}), {
        "duration": (*NEVER, 0.0, -1.0), "step": (NAN, INF, "a", 0.0, -1.0), "safety": (*NEVER, 0.0, -1.0),
        "damping": (*NEVER, -1.0), "velocity": ((NAN, 0, 0), "a"), "keep": (*NEVER, -1, 2.5, [NAN]), "start": (LOST,)}),
    "arc length": (lambda **k: arc_length.trace(GOOD, **k), {
        "until": (*NEVER, 0.0, -1.0), "first": (*NEVER, 0.0, 2.0), "longest": (*NEVER, 0.5), "steps": (*NEVER, 0, 2.5),
        "tolerance": (*NEVER, 0.0, 1.0), "max_iterations": (*NEVER, 0), "stop": (3,), "start": (LOST,)}),
    "unloaded": (lambda **k: unloaded.unloaded_shape(GOOD, **k), {
        "tolerance": (*NEVER, 0.0), "accuracy": (*NEVER, 0.0, -1.0), "load_steps": (*NEVER, 0), "method": ("foo",),
        "beds_at_rest": ("foo",)}),
    "prestress": (lambda **k: prestress.prestressed(GOOD, **k), {
        "tolerance": (*NEVER, 0.0), "accuracy": (*NEVER, 0.0, -1.0), "load_steps": (*NEVER, 0)}),
    "equilibrium": (lambda **k: equilibrium.balance(GOOD, **k), {
        "guess": (REST * NAN, REST[:3], "a"), "fraction": (*NEVER, -1.0), "load_steps": (*NEVER, 0),
        "tolerance": (*NEVER, 0.0), "max_iterations": (*NEVER, 0), "rounds": (*NEVER, 0)}),
    "batch": (lambda **k: list(batch.solve_many([GOOD], **k)), {
        "tolerance": (*NEVER, 0.0), "max_iterations": (*NEVER, 0)}),
    "fit": (lambda **k: fitted(**k), {
        "tolerance": (*NEVER, 0.0), "iterations": (*NEVER, 0, 2.5), "load_steps": (*NEVER, 0),
        "start": (np.array([NAN]), np.zeros(4), "a"), "unknowns": ([], RegionStiffness(("body",)), ["E"]),
        "seen": ([], ["u"], None)}),
    "prior": (lambda **k: register(MODEL, CLOUD, surface="z1", prior=Prior(**k)), {
        "displacement": (NAN, "a", -1, 0), "length": (NAN, "a", -1, 0), "modes": (NAN, "a", -1, 0),
        "pose": ((NAN, 1), "a", (-1, 1), (0, 1), 1.0), "unfollowed": ((NAN, 1), "a", (1, -1), (0, 1)),
        "unlike": (NAN, -0.1, 2.0, "a", (1, 1)), "uneven": (NAN, -0.1, 2.0)}),
}  # fmt: skip
ARGUMENTS = [
    pytest.param(way, name, value, id=f"{way} {name} {index}")
    for way, (_, table) in WAYS.items()
    for name, values in table.items()
    for index, value in enumerate(values)
]


@pytest.mark.parametrize(("way", "name", "value"), ARGUMENTS)
def test_an_argument_that_cannot_be_is_refused(way: str, name: str, value: Any) -> None:
    with pytest.raises(SolverError) as caught:
        WAYS[way][0](**{name: value})
    assert "\n" not in caught.value.line()


def observed(values: Any = REST[:4], set_: str = "z1", **options: Any) -> NodeDisplacements:
    return NodeDisplacements(set_, values, **{"noise": 1e-4, **options})


def fitted(problem: Any = GOOD, unknowns: Any = None, seen: Any = (), **options: Any) -> Any:
    stiff = [RegionStiffness(("body",), spread=1.0)] if unknowns is None else unknowns
    return fit(problem, stiff, [observed()] if seen == () else seen, **options)


def slope(functional: Any = functionals.strain_energy, problem: Any = LIGHT, state: Any = STATE) -> Any:
    return first.gradient(functional, problem, state)


def pull(problem: Any) -> Any:
    return problem.loads[0].acceleration


def spoilt(where: Callable[[Any], Any], value: float) -> Any:
    return eqx.tree_at(where, GOOD, value * where(GOOD))


Cases = dict[str, tuple[Callable[[], Any], str]]
SOLVERS = (static.solve, lambda p: dynamic.solve(p, duration=1.0, steps=1), lambda p: explicit.solve(p, duration=1.0),
           arc_length.trace, unloaded.unloaded_shape, prestress.prestressed, equilibrium.balance,
           lambda p: list(batch.solve_many([p])), lambda p: forces.nodal_forces(p, REST), lambda p: fitted(p),
           lambda p: slope(problem=p))  # fmt: skip
PROBLEMS: Cases = {
    **{f"{what} to {index}": (lambda solve=solve, given=given: solve(given), f"{what} is no problem")
       for index, solve in enumerate(SOLVERS) for what, given in (("NoneType", None), ("Model", MODEL))},
    **{f"floating in {index}": (lambda solve=solve: solve(FREE), "Hold it") for index, solve in enumerate(SOLVERS)
       if index in (0, 3, 4, 5, 6, 7, 9)},
    "one to a batch": (lambda: list(batch.solve_many(GOOD)), "one problem is not many"),  # pyright: ignore[reportArgumentType]
    "of another mesh": (lambda: list(batch.solve_many([GOOD, Model.from_mesh(bodies.box((2, 1, 1)), {
        "body": NeoHookean.from_young(1e4, 0.3)}).problem(supports=[Fixed("z0")])])), "other nodes"),
    "empty batch": (lambda: batch.gathered(batch.solve_many([])), "no problem to solve"),
    "no load to trace": (lambda: arc_length.trace(MODEL.problem(supports=[Fixed("z0")])), "no load and no motion"),
    "massless": (lambda: explicit.solve(Model.from_mesh(
        MESH, {"body": NeoHookean.from_young(1e4, 0.3)}, density=0.0).problem(floating=True), duration=1.0), "mass"),
    "step too long": (lambda: explicit.solve(FREE, duration=1.0, step=0.1), "is not stable"),
    "integrator": (lambda: GeneralizedAlpha(2.0), "2"), "integrator NaN": (lambda: Newmark(NAN, 0.5), "nan"),
    "seconds": (lambda: history.stepped(Model.from_mesh(MESH, {"body": Viscoelastic.example()}).problem(
        supports=[Fixed("z0")]), -1.0), "-1 s is not plausible"),
}  # fmt: skip
READING: Cases = {
    "NaN": (lambda: forces.nodal_forces(GOOD, REST * NAN), "node 0 at .* is not finite"),
    "shape": (lambda: forces.nodal_forces(GOOD, REST[:3]), "does not fit"),
    "complex": (lambda: forces.nodal_forces(GOOD, REST + 1j), "not real"),
    "words": (lambda: forces.nodal_forces(GOOD, "a"), "no nodal field"),  # pyright: ignore[reportArgumentType]
    "ragged": (lambda: forces.nodal_forces(GOOD, [[1, 2], [3]]), "unequal length"),  # pyright: ignore[reportArgumentType]
    "in mm": (lambda: forces.nodal_forces(GOOD, np.random.default_rng(0).normal(size=(8, 3))), "turned inside out"),
    "fraction": (lambda: forces.nodal_forces(GOOD, REST, NAN), "load fraction is not finite"),
    "kind": (lambda: forces.nodal_forces(GOOD, REST).sum("x"), "no forces are named"),
    "set": (lambda: forces.nodal_forces(GOOD, REST).sum("internal", "q"), "is named 'q'"),
    "about": (lambda: forces.nodal_forces(GOOD, REST).sum("internal", about=(NAN, 0, 0)), "point for moments"),
    "slope at NaN": (lambda: slope(state=LOST), "inside out"), "no state": (lambda: slope(state=REST), "no state"),
    "slope off balance": (lambda: slope(problem=GOOD), "not an equilibrium of this problem"),
    "no functional": (lambda: slope(None), "no functional"),
    "a field": (lambda: slope(lambda u, p: u), r"float64 of shape \(8, 3\)"),
    "complex slope": (lambda: slope(lambda u, p: 1j * jnp.sum(u)), "complex128"),
    "place": (lambda: parameters.direction_at(GOOD, lambda p: p.loads[7].acceleration, 1.0), "nothing there"),
    "no array": (lambda: parameters.direction_at(GOOD, lambda p: None, 1.0), "cannot be varied"),
    "change": (lambda: parameters.direction_at(GOOD, pull, np.zeros(5)), "does not fit"),
    "change NaN": (lambda: parameters.direction_at(GOOD, pull, NAN), "not finite"),
    "no direction": (lambda: second.hessian_product(functionals.strain_energy, LIGHT, STATE, REST), "shaped like"),
}  # fmt: skip
SEEN: Cases = {
    **{f"noise {value}": (lambda value=value: observed(noise=value), "noise")
       for value in (NAN, INF, 0.0, -1.0, "a", 1j)},
    **{f"correlation {value}": (lambda value=value: observed(correlation=value), "correlation")
       for value in (NAN, INF, -1.0, "a")},
    **{f"spread {value}": (lambda value=value: RegionStiffness(("body",), spread=value), "spread")
       for value in (NAN, 0.0, -1.0, "a")},
    **{f"length {value}": (lambda value=value: StiffnessField(MODEL, 0.5, value), "length")
       for value in (NAN, 0.0, "a", 9.0)},
    **{f"modes {value}": (lambda value=value: StiffnessField(MODEL, 0.5, 0.01, modes=value), "modes")
       for value in (NAN, 0, -1, "a", 1.5)},
    "NaN": (lambda: observed(np.full((4, 3), NAN)), "4 of 4 displacements are not finite, the first is number 0"),
    "in 2D": (lambda: observed(np.zeros((4, 2))), r"shape \(4, 2\)"),
    "words": (lambda: observed("abc"), "no real numbers"),
    "complex": (lambda: observed(REST[:4] + 1j), "no real numbers"),
    "none": (lambda: observed(np.zeros((0, 3))), "no disp"),
    "too few": (lambda: fitted(seen=[observed(np.zeros((2, 3)))]), "2 displacements for 4 nodes"),
    "in mm": (lambda: fitted(seen=[observed(np.full((4, 3), 5.0))]), "Give metres"),
    "no set": (lambda: fitted(seen=[observed(set_="q")]), "is named 'q'"),
    "no region": (lambda: fitted(unknowns=[RegionStiffness(("liver",))]), "no region is named 'liver'"),
    "outside": (lambda: fitted(seen=[PointDisplacements(np.full((1, 3), 5.0), REST[:1], 1e-3)]), "far from the body"),
    "surface NaN": (lambda: SurfacePoints("z1", NAN * CLOUD, 1e-3), "not finite"),
    "surface in mm": (lambda: fitted(seen=[SurfacePoints("z1", 1e3 * CLOUD, 1e-3)]), "far from the body"),
    "force": (lambda: Reaction("z0", (NAN, 0, 0)), "a force is not finite"),
    "force in 2D": (lambda: Reaction("z0", (1.0, 0.0)), "a force has shape"),
    "components": (lambda: Reaction("z0", (1.0, 0, 0), components="w"), "not of x, y, z"),
    "free": (lambda: fitted(seen=[Reaction("z1", (1.0, 0, 0), noise=1.0)]), "no reaction"),
    "no tool": (lambda: fitted(seen=[ToolForce(lambda p: p.loads[3], (1.0, 0, 0), noise=1.0)]), "no load, support"),
    "no source": (lambda: ToolForce(None, (1.0, 0, 0)), "is no source"),  # pyright: ignore[reportArgumentType]
    "nowhere": (lambda: fitted(unknowns=[Quantity("g", lambda p: p.loads[9].acceleration, spread=1.0)]), "no array"),
    "wrong size": (lambda: fitted(unknowns=[Quantity("g", pull, spread=1.0, size=7)]), "3 entries, not 7"),
    **{f"register {name}": (lambda given=given: register(MODEL, given, surface="z1"), words)
       for name, given, words in (("NaN", NAN * CLOUD, "not finite"), ("two", CLOUD[:2], "too few"),
                                  ("none", None, "real"), ("mm", 1e3 * CLOUD, "far from the body"),
                                  ("in 2D", CLOUD[:, :2], "shape"),
                                  ("words", "abc", "real"), ("complex", CLOUD + 1j, "real"),
                                  ("one place", np.full((50, 3), 0.005), "one place or line"))},
    "register surface": (lambda: register(MODEL, CLOUD, surface="q"), "is named 'q'"),
    "register noise": (lambda: register(MODEL, CLOUD, surface="z1", noise=NAN), "noise"),
    "register no model": (lambda: register(None, CLOUD), "no model"),  # pyright: ignore[reportArgumentType]
}  # fmt: skip
TABLES = {"problem": PROBLEMS, "reading": READING, "seen": SEEN}
ALL = {f"{kind}: {name}": case for kind, table in TABLES.items() for name, case in table.items()}


@pytest.mark.parametrize("name", ALL)
def test_it_is_refused_in_one_line(name: str) -> None:
    refused(*ALL[name])


SPOILT: dict[str, tuple[Callable[[Any], Any], float]] = {
    "load": (pull, NAN),
    "modulus": (lambda p: p.model.blocks[0].material.lame, NAN),
    "modulus below zero": (lambda p: p.model.blocks[0].material.shear_modulus, -1.0),
    "density": (lambda p: p.model.blocks[0].density, NAN),
    "nodes": (lambda p: p.model.points, NAN),
    "nodes mirrored": (lambda p: p.model.points, -1.0),
}


@pytest.mark.parametrize("name", SPOILT)
def test_a_problem_spoilt_afterwards_gives_no_answer(name: str) -> None:
    """What `equinox.tree_at` puts in is not checked again: it must end without an answer all the same."""
    where, value = SPOILT[name]
    solution = static.solve(spoilt(where, value))
    assert not solution.converged
    assert not solution.states
    with pytest.raises(SolverError):
        _ = solution.final


def test_what_did_not_converge_is_no_answer() -> None:
    """Asking for it raises with advice; what needs it refuses it; a batch tells which failed."""
    failed = static.solve(CRUSHED, max_iterations=3)
    assert not failed.converged
    with pytest.raises(SolverError, match="load"):
        _ = failed.final
    (_, member), (_, good) = batch.solve_many([CRUSHED, GOOD], max_iterations=3)
    found = batch.gathered([(0, member), (1, good)])
    assert np.asarray(found.converged).tolist() == [False, True]
    assert np.isnan(np.asarray(found.displacement[0])).all()
    assert np.isfinite(np.asarray(found.displacement[1])).all()
