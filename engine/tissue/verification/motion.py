"""Motion: free flight, the impact of two equal bars, and of a bar on a rigid wall."""

from __future__ import annotations

import numpy as np
from jaxtyping import Array

from ....imaging.progress import Progress, part
from ..contact import HalfSpace, RigidBody, RigidContact, TissueContact
from ..dynamic import solve
from ..integrators import EnergyMomentum, Midpoint
from ..materials import NeoHookean
from ..model import Model
from ..parts import Part
from ..problem import Problem
from ..supports import Fixed
from ..trajectory import Trajectory
from .case import Case, Computed, Quantity
from .limits import Limit, round_off
from .meshes import box
from .probes import describe

DENSITY = 1000.0
SIZE, SPIN, FLIGHT_STEPS = 0.1, 5.0, 60
"""m, rad/s, steps in a fifth of a turn."""
_SOFT = 5e3
_STEP = 0.2 * 2 * np.pi / SPIN / FLIGHT_STEPS
"""Pa, s: of the block."""
YOUNG, LENGTH, SIDE, SPEED = 1e5, 0.1, 0.004, 0.02
"""Of the bars: Pa, m, m, and m/s of approach of each."""
CELLS = 32
PENALTY, ONSET = 10 * YOUNG * CELLS / LENGTH, 1e-7
"""Pa/m: ten times a cell's stiffness; m."""
WAVE = float(np.sqrt(YOUNG / DENSITY))
TOUCH = 2 * LENGTH / WAVE


def _flight(progress: Progress) -> Computed:
    """A soft block thrown with a spin that stretches it: it wobbles as it turns. With half as many steps, and all."""
    coarse, _ = _thrown(FLIGHT_STEPS // 2, part(progress, 0.0, 0.4))
    path, posed = _thrown(FLIGHT_STEPS, part(progress, 0.4, 1.0))
    momentum, spin = np.array(path.energy.momentum), np.array(path.energy.angular_momentum)
    values = {
        "change of linear momentum": _change(momentum),
        "change of angular momentum": _change(spin),
        "drift of energy": path.energy.largest_drift,
        "order of the drift": float(np.log2(coarse.energy.largest_drift / path.energy.largest_drift)),
    }
    return Computed(values, f"{describe(posed)}, {FLIGHT_STEPS} steps")


def _thrown(steps: int, progress: Progress) -> tuple[Trajectory, Problem]:
    law = NeoHookean.from_young(_SOFT, 0.3)
    body = Model.from_mesh(box((2, 2, 2), size=(1e3 * SIZE, 0.7e3 * SIZE, 0.5e3 * SIZE)), {"*": law}, density=DENSITY)
    posed = body.problem(floating=True)

    def velocity(points: Array) -> np.ndarray:
        arms = np.asarray(points) - 0.5 * SIZE * np.array([1.0, 0.7, 0.5])
        return np.array([0.3, -0.1, 0.2]) + np.cross(SPIN * np.array([0.2, 0.3, 1.0]), arms)

    path = solve(
        posed, duration=_STEP * FLIGHT_STEPS, steps=steps, integrator=Midpoint(), velocity=velocity,
        tolerance=1e-10, progress=progress,
    ).require_converged()  # fmt: skip
    return path, posed


def _change(values: np.ndarray) -> float:
    return float(np.abs(values - values[0]).max() / np.linalg.norm(values[0]))


def bars() -> Problem:
    """Two bars along z whose ends just touch, free along z, held from the side (ν = 0, so that this bears nothing)."""
    law = NeoHookean.from_young(YOUNG, 0.0)
    mesh = box((1, 1, CELLS), size=(SIDE, SIDE, LENGTH))
    low = np.asarray(mesh.points) - np.array([0.0, 0.0, LENGTH])
    count = len(low)
    parts = [Part("T4", mesh.tetrahedra + shift, law, DENSITY, name) for name, shift in (("low", 0), ("high", count))]
    ends = {"face of low": mesh.facet_sets["z1"], "face of high": mesh.facet_sets["z0"] + count}
    body = Model.from_parts(
        np.concatenate([low, np.asarray(mesh.points)]),
        parts,
        node_sets={"all": np.arange(2 * count), "low": np.arange(count), "high": np.arange(count, 2 * count)},
        facet_sets=ends,
    )
    contact = TissueContact("face of low", "face of high", penalty=PENALTY, onset=ONSET, reach=SIDE)
    return body.problem(supports=[Fixed("all", "xy")], contacts=[contact], floating=True)


def bar_at_wall() -> Problem:
    """One of the bars above a rigid plane, out of reach of the onset by a ten-thousandth of a cell."""
    mesh = box((1, 1, CELLS), size=(1e3 * SIDE, 1e3 * SIDE, 1e3 * LENGTH))
    body = Model.from_mesh(mesh, {"*": NeoHookean.from_young(YOUNG, 0.0)}, density=DENSITY)
    plane = RigidBody(HalfSpace((0.0, 0.0, -ONSET), (0.0, 0.0, 1.0)), label="wall")
    contact = RigidContact("z0", plane, penalty=PENALTY, onset=ONSET)
    return body.problem(supports=[Fixed("all", "xy")], contacts=[contact], floating=True)


def _thrown_bar(posed: Problem, low: np.ndarray, high: np.ndarray, progress: Progress) -> tuple[Trajectory, dict]:
    """Nodes `low` move up, `high` down; the motion, velocity and contact time of the nodes `high`."""
    velocity = np.zeros((posed.model.nodes, 3))
    velocity[low, 2], velocity[high, 2] = SPEED, -SPEED
    path = solve(
        posed, duration=1.5 * TOUCH, steps=8 * CELLS, integrator=EnergyMomentum(), velocity=velocity,
        mass="lumped", progress=progress,
    ).require_converged()  # fmt: skip
    speeds, times = _mean_speeds(posed, path, high)
    margin = 0.5 * (1 - _WINDOW)
    inside = (times > margin * TOUCH) & (times < (1 - margin) * TOUCH)
    slope = np.polyfit(times[inside], speeds[inside], 1)[0]
    return path, {_REVERSED: float(speeds[-1] / speeds[0]), _TOUCHING: float(2 * SPEED / slope / TOUCH)}


def _impact(progress: Progress) -> Computed:
    posed = bars()
    low, high = (np.asarray(posed.model.nodes_of(name)) for name in ("low", "high"))
    path, values = _thrown_bar(posed, low, high, progress)
    momentum = np.array(path.energy.momentum)[:, 2]
    return Computed({
        **values,
        "momentum of both over one's": float(np.abs(momentum).max() / (DENSITY * SIDE**2 * LENGTH * SPEED)),
        "energy after over before": path.energy.total[-1] / path.energy.total[0],
    }, f"{describe(posed)}, {8 * CELLS} steps")  # fmt: skip


def _wall(progress: Progress) -> Computed:
    posed = bar_at_wall()
    every = np.asarray(posed.model.nodes_of("all"))
    path, values = _thrown_bar(posed, every[:0], every, progress)
    kept = path.energy.total[-1] / path.energy.total[0] - 1
    return Computed({**values, "change of energy": float(kept)}, f"{describe(posed)}, {8 * CELLS} steps")


def _mean_speeds(posed: Problem, path: Trajectory, nodes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Velocity of a bar's centre of mass [m/s] and times [s]."""
    from ..mass import mass_matrix

    weights = np.asarray(mass_matrix(posed.model, "lumped").diagonal)[nodes]
    speeds = [float(weights @ np.asarray(state.velocity)[nodes, 2] / weights.sum()) for state in path.states]
    return np.array(speeds), path.times


_SWING = Limit(
    float((np.pi * np.sqrt(_SOFT / DENSITY) / SIZE * _STEP) ** 2 * SPIN**2 * SIZE**2 * DENSITY / _SOFT),
    "(ωΔt)² of the block's first vibration × its share of the energy, (spin × size / wave speed)²",
)
_ORDER = Limit(
    float(np.log2(1 + 2 / FLIGHT_STEPS)), "log₂(1 + Δt/T): the next term of the error of a rule of second order"
)
_KEPT = round_off(1e-7, "the midpoint rule keeps it: the solver's tolerance over the steps")
_REVERSED, _TOUCHING, _WINDOW = "velocity of a bar after over before", "contact time over 2L/c", 0.8
_FRONT = Limit(
    0.5 * (1.0 / CELLS) ** (2 / 3),
    "½ (h/L)^(2/3): the energy that stays in waves; a front of a second-order scheme is h^(2/3) L^(1/3) wide",
)
_STRAIGHT = Limit(
    12.0 / (_WINDOW * TOUCH * 2 * WAVE * CELLS / LENGTH) ** 2,
    "12/(ωT)²: a straight line through speeds that swing with ω = 2c/h, over the middle T of the contact",
)
_HELD = Limit(
    (2 * DENSITY * WAVE * SPEED) ** 2 / (2 * PENALTY) / (DENSITY * LENGTH * SPEED**2),
    "what the penalty holds at twice the pressure ρcv, over the bars' energy: kept or given as contact opens in a step",
)

CASES = (
    Case(
        "motion-free-flight",
        "free flight: linear and angular momentum and energy are kept",
        (
            Quantity("change of linear momentum", 0.0, round_off(1e-9, "round-off over the steps"), measure="absolute"),
            Quantity("change of angular momentum", 0.0, _KEPT, measure="absolute"),
            Quantity("drift of energy", 0.0, _SWING, measure="absolute"),
            Quantity("order of the drift", 2.0, _ORDER, measure="at least"),
        ),
        _flight,
        quick=True,
    ),
    Case(
        "motion-impact",
        "equal bars in impact: velocities are exchanged after the contact time 2L/c (Saint-Venant)",
        (
            Quantity(_REVERSED, -1.0, _FRONT),
            Quantity(_TOUCHING, 1.0, _STRAIGHT),
            Quantity("momentum of both over one's", 0.0, round_off(1e-6, "contact forces are equal and opposite"),
                     measure="absolute"),
            Quantity("energy after over before", 1.0, _HELD),
        ),
        _impact,
    ),
    Case(
        "motion-wall",
        "a bar on a rigid wall (half of two equal bars): velocity is reversed after 2L/c, energy is kept",
        (
            Quantity(_REVERSED, -1.0, _FRONT),
            Quantity(_TOUCHING, 1.0, _STRAIGHT),
            Quantity("change of energy", 0.0,
                     round_off(1e-7, "the energy–momentum rule keeps it: the solver's tolerance over the steps"),
                     measure="absolute"),
        ),
        _wall,
    ),
)  # fmt: skip
