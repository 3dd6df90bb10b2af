"""Motion: free flight, and the impact of two equal bars."""

from __future__ import annotations

import numpy as np
from jaxtyping import Array

from ....imaging.progress import Progress, part
from ..contact import TissueContact
from ..dynamic import solve
from ..integrators import GeneralizedAlpha, Midpoint
from ..materials import NeoHookean
from ..model import Model
from ..parts import Part
from ..problem import Problem
from ..supports import Fixed
from ..trajectory import Trajectory
from .case import Case, Computed, Quantity
from .limits import Limit, order, round_off
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
CELLS = 16
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
    contact = TissueContact(
        "face of low", "face of high", penalty=10 * YOUNG / (LENGTH / CELLS), onset=1e-7, reach=SIDE
    )
    return body.problem(supports=[Fixed("all", "xy")], contacts=[contact], floating=True)


def _impact(progress: Progress) -> Computed:
    posed = bars()
    low = np.asarray(posed.model.nodes_of("low"))
    velocity = np.zeros((posed.model.nodes, 3))
    velocity[:, 2], velocity[low, 2] = -SPEED, SPEED
    path = solve(
        posed, duration=1.5 * TOUCH, steps=8 * CELLS, integrator=GeneralizedAlpha(0.5), velocity=velocity,
        mass="lumped", progress=progress,
    ).require_converged()  # fmt: skip
    speeds, times = _mean_speeds(posed, path, low)
    inside = (times > 0.1 * TOUCH) & (times < 0.9 * TOUCH)
    slope = np.polyfit(times[inside], speeds[inside], 1)[0]
    momentum = np.array(path.energy.momentum)[:, 2]
    values = {
        "velocity of a bar after over before": float(speeds[-1] / speeds[0]),
        "contact time over 2L/c": float(-2 * SPEED / slope / TOUCH),
        "momentum of both over one's": float(np.abs(momentum).max() / (DENSITY * SIDE**2 * LENGTH * SPEED)),
        "energy gained": max(float(np.max(path.energy.drift)) / path.energy.total[0], 0.0),
    }
    return Computed(values, f"{describe(posed)}, {8 * CELLS} steps")


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
_FRONT = Limit(
    (1.0 / CELLS) ** (2 / 3),
    "(h/L)^(2/3): a wave front spreads over h^(1/3) of the way, as any second-order scheme's does",
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
            Quantity("velocity of a bar after over before", -1.0, _FRONT),
            Quantity("contact time over 2L/c", 1.0, order(1, CELLS, "the bar: the front is met within a cell")),
            Quantity("momentum of both over one's", 0.0, round_off(1e-6, "contact forces are equal and opposite"),
                     measure="absolute"),
            Quantity("energy gained", 0.0, order(1, CELLS, "the bar: contact opens and closes within a cell"),
                     measure="at most"),
        ),
        _impact,
    ),
)  # fmt: skip
