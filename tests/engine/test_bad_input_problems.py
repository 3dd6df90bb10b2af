"""Bad loads, supports, motions and contacts: refused when the problem is made, in one line with a place and advice."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import bodies
import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from refusals import refused

from preop.engine.tissue.contact import (
    Capsules,
    HalfSpace,
    RigidBody,
    RigidContact,
    RoundedBox,
    Sphere,
    Tie,
    TissueContact,
)
from preop.engine.tissue.loads import BodyForce, Gravity, NodalForces, Pressure, Traction
from preop.engine.tissue.materials import NeoHookean
from preop.engine.tissue.model import Model
from preop.engine.tissue.prescribed import Grasp, Grip, Prescribed
from preop.engine.tissue.problem import Problem
from preop.engine.tissue.static import solve
from preop.engine.tissue.supports import Fixed, Ligament, PointSprings, Springs
from preop.imaging.errors import SolverError
from preop.meshing.mesh import TetMesh

NAN, INF = float("nan"), float("inf")
LAW = NeoHookean.from_young(1e4, 0.3)
MESH = bodies.box((1, 1, 1), size=(10.0, 10.0, 10.0))
MODEL = Model.from_mesh(MESH, {"body": LAW})
NODES = dict(MODEL.node_sets)
EMPTY = eqx.tree_at(
    lambda m: (m.node_sets["z1"], m.facet_sets["z1"]), MODEL, (np.zeros(0, np.int32), np.zeros((0, 3), np.int32))
)
HELD = Fixed("z0")
NO_NUMBERS = {"a": "no number", None: "no number", 1j: "complex", NAN: "not finite", INF: "not finite"}


def problem(*, body: Model = MODEL, supports: Any = (), **acting: Any) -> Problem:
    return body.problem(supports=[HELD, *supports], **acting)


def ball(*at: Any, radius: Any = 0.005) -> RigidBody:
    return RigidBody(Sphere(at or (0.0, 0.0, 0.1), radius))


def named(**sets: Any) -> Model:
    return eqx.tree_at(lambda m: m.node_sets, MODEL, {**NODES, **sets})


def stacked(gap: float = 0.2) -> Model:
    """Two cubes of 10 mm, one above the other [mm]."""
    count = len(MESH.points)
    sets = {f"{part}_{name}": facets + shift for part, shift in (("low", 0), ("high", count))
            for name, facets in MESH.facet_sets.items()}  # fmt: skip
    nodes = {"bottom": MESH.node_sets["z0"], "all low": np.arange(count, dtype=np.int32)}
    mesh = TetMesh(np.vstack([MESH.points, MESH.points + np.array([0, 0, 10.0 + gap])]),
                   np.vstack([MESH.tetrahedra, MESH.tetrahedra + count]), np.repeat([1, 2], len(MESH.tetrahedra)),
                   {1: "low", 2: "high"}, facet_sets=sets, node_sets=nodes)  # fmt: skip
    return Model.from_mesh(mesh, {"*": LAW})


def each(make: Callable[[Any], Any], place: str, **also: str) -> dict[str, tuple[Callable[[], Any], str]]:
    """What is no number, at one place."""
    return {f"{place} {value}": (lambda value=value: make(value), words) for value, words in NO_NUMBERS.items()}


Cases = dict[str, tuple[Callable[[], Any], str]]
LOADS: Cases = {
    **each(lambda v: Pressure("z1", v), "pressure"),
    **each(lambda v: Traction("z1", (v, 0, 0)), "traction"),
    **each(lambda v: Gravity((v, 0, 0)), "gravity"),
    **each(lambda v: NodalForces("z1", (v, 0, 0)), "force"),
    **each(lambda v: problem(loads=[BodyForce(lambda x: np.asarray([v, 0, 0]) if v != "a" else "a")]), "body force"),
    "pressure by facet": (lambda: problem(loads=[Pressure("z1", np.ones(3))]), "3 values for 2 facets"),
    "traction in 2D": (lambda: Traction("z1", (0, 1.0)), r"has shape \(2,\), not \(3,\)"),
    "traction by facet": (lambda: problem(loads=[Traction("z1", np.zeros((7, 3)))]), "7 values for 2 facets"),
    "gravity in 2D": (lambda: Gravity((0, 9.8)), r"has shape \(2,\)"),
    "gravity, one number": (lambda: Gravity(9.8), r"has shape \(\)"),  # pyright: ignore[reportArgumentType]
    "gravity in mm/s²": (lambda: Gravity((0, 9806.65, 0)), "9806.65 m/s² is not plausible"),
    "forces of another set": (lambda: problem(loads=[NodalForces("z1", np.zeros((3, 3)))]), "for 4 nodes"),
    "when reversed": (lambda: Pressure("z1", 1.0, during=(1, 0)), "must rise"),
    "when beyond": (lambda: Pressure("z1", 1.0, during=(0, 2)), "must rise"),
    "when, three": (lambda: Pressure("z1", 1.0, during=(0, 0.5, 1)), "during has shape"),
    "when in words": (lambda: Pressure("z1", 1.0, during="ab"), "not .2,.*start, stop"),  # pyright: ignore[reportArgumentType]
    "one load, no list": (lambda: problem(loads=Gravity()), "loads are a Gravity"),
    "no load": (lambda: problem(loads=["gravity"]), "str is none of the loads"),
    "a class": (lambda: problem(loads=[Gravity]), "Gravity is none of the loads"),
    "a support among them": (lambda: problem(loads=[Fixed("z1")]), "Fixed stands among the loads"),
}
SUPPORTS: Cases = {
    **each(lambda v: Springs("z0", v), "bed"),
    **each(lambda v: PointSprings("z1", v), "springs"),
    **each(lambda v: Ligament("z1", v, (0, 0, 0.1)), "ligament"),
    **each(lambda v: Ligament("z1", 1.0, (v, 0, 0.1)), "anchor"),
    **each(lambda v: Ligament("z1", 1.0, (0, 0, 0.1), slack=v), "slack"),
    "bed of kPa/mm": (lambda: Springs("z0", 0.1), "0.1 is not plausible.*1 kPa/mm is 1e6"),
    "bed that pushes away": (lambda: Springs("z0", jnp.asarray(-5.0)), "-5 is not plausible"),
    "bed's rest": (lambda: problem(supports=[Springs("z0", 1e5, rest=np.zeros((2, 3)))]), "rest has shape"),
    "anchor on a node": (lambda: problem(supports=[Ligament("z1", 1.0, (0, 0, 0.01))]), "lies on a node"),
    "slack": (lambda: Ligament("z1", 1.0, (0, 0, 0.1), slack=-1.0), "-1 is not plausible"),
    "components": (lambda: problem(supports=[Fixed("z1", "w")]), "not of x, y, z"),
    "components by number": (lambda: problem(supports=[Fixed("z1", 3)]), "not of x, y, z"),  # pyright: ignore[reportArgumentType]
    "none": (lambda: problem(supports=[None]), "NoneType is none of the supports"),
    "a load among them": (lambda: problem(supports=[Gravity()]), "Gravity stands among the supports"),
    "a contact among them": (lambda: problem(supports=[RigidContact("z1", ball())]), "stands among the supports"),
}
MOTIONS: Cases = {
    **each(lambda v: Prescribed("z1", (v, 0, 0)), "displacement"),
    **each(lambda v: Grasp("z1", (v, 0, 0)), "path"),
    **each(lambda v: Grasp("z1", rotation=(v, 0, 0)), "rotation"),
    **each(lambda v: Grip("z1", v), "grip"),
    **each(lambda v: Grip("z1", 1e6, (v, 0, 0)), "jaws"),
    "in mm": (
        lambda: problem(prescribed=[Prescribed("z1", (0, 0, 5.0))]),
        "node 1 at .* 1.25 m, 125 times the body, at 25 %",
    ),
    "grasp in mm": (lambda: problem(prescribed=[Grasp("z1", (0, 0, 20.0))]), "Give metres, not millimetres"),
    "in degrees": (lambda: Grasp("z1", rotation=(0, 0, 90.0)), "90 rad is not plausible.*not degrees"),
    "in 2D": (lambda: Prescribed("z1", (0, 1.0)), "has shape"),
    "of another set": (lambda: problem(prescribed=[Prescribed("z1", np.zeros((3, 3)))]), "for 4 nodes"),
    "function in 2D": (lambda: problem(prescribed=[Prescribed("z1", lambda x: x[:, :2])]), "for 4 nodes"),
    "function NaN": (lambda: problem(prescribed=[Prescribed("z1", lambda x: NAN * x)]), "node 1 .* no finite"),
    "function complex": (lambda: problem(prescribed=[Prescribed("z1", lambda x: 1j * x)]), "is complex"),
    "pivot": (lambda: Grasp("z1", pivot=(0, 0)), "a pivot has shape"),
    "unequal": (lambda: Grasp("z1", np.zeros((2, 3)), rotation=np.zeros((3, 3))), "2 way points but 3 rotations"),
    "against each other": (
        lambda: problem(prescribed=[Prescribed("z1", (0, 0, 1e-3)), Prescribed("x1", (0, 0, 2e-3))]),
        "different displacements along z",
    ),
}
SETS: Cases = {
    f"{kind} {name!r}": (lambda make=make, name=name, kind=kind: problem(**{kind: [make(name)]}), "is named|no set")
    for kind, makers in (
        (
            "loads",
            (lambda s: Pressure(s, 1.0), lambda s: Traction(s, (1.0, 0, 0)), lambda s: NodalForces(s, (1, 0, 0))),
        ),
        ("supports", (Fixed, lambda s: Springs(s, 1e5), lambda s: Ligament(s, 1.0, (0, 0, 1.0)))),
        ("prescribed", (lambda s: Grasp(s), lambda s: Grip(s, 1e6), lambda s: Prescribed(s, (0, 0, 0)))),
        (
            "contacts",
            (lambda s: RigidContact(s, ball()), lambda s: TissueContact(s, "x0"), lambda s: Tie("z1", s or 3)),
        ),
    )
    for make in makers
    for name in ("q", None, 3)
}
EMPTY_SETS: Cases = {
    f"{type(source).__name__} of nothing": (
        lambda kind=kind, source=source: problem(body=EMPTY, **{kind: [source]}), "'z1' is empty")
    for kind, source in (
        ("loads", Pressure("z1", 1.0)), ("loads", Traction("z1", (1.0, 0, 0))), ("loads", NodalForces("z1", (1, 0, 0))),
        ("supports", Fixed("z1")), ("supports", Springs("z1", 1e5)), ("supports", PointSprings("z1", 1.0)),
        ("supports", Ligament("z1", 1.0, (0, 0, 1.0))), ("prescribed", Grasp("z1")), ("prescribed", Grip("z1", 1e6)),
        ("prescribed", Prescribed("z1", (0, 0, 0))), ("contacts", RigidContact("z1", ball())),
        ("contacts", TissueContact("z1", "x0")), ("contacts", TissueContact("x0", "z1")), ("contacts", Tie("x0", "z1")),
    )
}  # fmt: skip
CONTACTS: Cases = {
    **each(lambda v: RigidContact("z1", ball(), friction=v), "friction"),
    **{f"{name} {value}": (lambda name=name, value=value: RigidContact("z1", ball(), **{name: value}), name)
       for name in ("penalty", "penetration", "stick", "onset") for value in (NAN, INF, 0.0, -1.0, "a", 1j)},
    **{f"{name} {value} of tissues": (lambda name=name, value=value: TissueContact("z1", "x0", **{name: value}), name)
       for name in ("penalty", "reach", "refine") for value in (NAN, INF, 0, -1.0, "a", 1j)},
    **{f"{name} {value} of a tie": (lambda name=name, value=value: Tie("z1", "x0", **{name: value}), name)
       for name in ("penalty", "reach", "jump") for value in (NAN, INF, -1.0, "a", 1j)},
    **{f"radius {value}": (lambda value=value: Sphere((0, 0, 1.0), value), "radius") for value in (NAN, INF, 0.0, "a")},
    **{f"capsule {value}": (lambda value=value: Capsules([(0, 0, 1.0), (0, 0, 2.0)], value), "radius")
       for value in (NAN, INF, 0.0, -1.0, "a")},
    **{f"centre {value}": (lambda value=value: Sphere((0, 0, value), 0.1), "centre") for value in (NAN, "a", None)},
    "wall": (lambda: HalfSpace((0, 0, 0), (0, 0, 0)), "the normal has no length"),
    "box": (lambda: RoundedBox((0, 0, 0), (1, 1, 1), 2.0), "does not fit"),
    "no body": (lambda: RigidContact("z1", None), "NoneType is no rigid body"),  # pyright: ignore[reportArgumentType]
    "a shape": (lambda: RigidContact("z1", Sphere((0, 0, 0), 1.0)), "Sphere is no rigid body"),  # pyright: ignore[reportArgumentType]
    "a body of a body": (lambda: RigidBody(ball()), "RigidBody is no shape"),  # pyright: ignore[reportArgumentType]
    "in mm": (lambda: problem(contacts=[RigidContact("z1", ball(5, 5, 20.0))]), "away from a body of 0.01 m"),
    "twice the same": (lambda: TissueContact("z1", "z1"), "named twice"),
    "tie out of reach": (lambda: problem(contacts=[Tie("z1", "x0")]), "nothing opposite, the first is facet 0 at"),
}  # fmt: skip
LINE = {"line": np.flatnonzero((MESH.points[:, 2] == 0) & (MESH.points[:, 1] == 0)).astype(np.int32)}
WALL = RigidContact("z0", RigidBody(HalfSpace((0, 0, -1e-3), (0, 0, 1.0))))
FLOATING: Cases = {
    "all of it": (lambda: MODEL.problem(), r"8 nodes around \[5. 5. 5.\] mm can"),
    "one rotation": (lambda: named(**LINE).problem(supports=[Fixed("line")]), "can turn freely about"),
    "a slide": (lambda: MODEL.problem(supports=[Fixed("z0", "z")]), "can shift freely along"),
    "beds of nothing": (lambda: MODEL.problem(supports=[Springs("z0", 0.0)]), "can shift freely along"),
    "one of two": (lambda: stacked().problem(supports=[Fixed("bottom")]), r"around \[ 5. 5. 15.2\] mm can"),
    "an open contact": (
        lambda: stacked().problem(supports=[Fixed("bottom")], contacts=[TissueContact("high_z0", "low_z1")]),
        r"around \[ 5. 5. 15.2\] mm can",
    ),
    "an open wall": (lambda: MODEL.problem(contacts=[WALL]), "can shift freely"),
}
TABLES = {"load": LOADS, "support": SUPPORTS, "motion": MOTIONS, "set": SETS, "empty": EMPTY_SETS,
          "contact": CONTACTS, "floating": FLOATING}  # fmt: skip
ALL = {f"{kind}: {name}": case for kind, table in TABLES.items() for name, case in table.items()}


@pytest.mark.parametrize("name", ALL)
def test_it_is_refused_in_one_line(name: str) -> None:
    refused(*ALL[name])


def test_contact_of_two_held_surfaces_is_over_constrained() -> None:
    """Both sides are held or prescribed, so that no pressure could part them."""
    body = stacked()
    crossing = body.problem(
        supports=[Fixed("all low")],
        prescribed=[Prescribed("high", (0, 0, -5e-3))],
        contacts=[TissueContact("high_z0", "low_z1")],
    )
    held = r"over-constrained contact: node \d+ at .* mm inside held nodes of 'low_z1' at 12.5 %"
    with pytest.raises(SolverError, match=held):
        solve(crossing)


def test_a_tool_that_meets_a_held_node_is_over_constrained() -> None:
    tool = RigidBody(Sphere((0.005, 0.005, -0.02), 0.01), path=(0, 0, 0.015))
    with pytest.raises(SolverError, match=r"over-constrained contact: node \d+ at .* inside 'sphere' at 100 %"):
        solve(problem(contacts=[RigidContact("z0", tool)]))


def test_a_held_body_inside_a_tool_is_not_said_to_float() -> None:
    """A ball pressed in pushes sideways: a negative stiffness, which takes nothing from what holds the body."""
    inside = RigidBody(Sphere((0.005, 0.005, 0.005), 0.02))
    assert problem(contacts=[RigidContact("z1", inside)]).contacts
