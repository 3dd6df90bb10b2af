"""Which system solves a problem: on the host, or on a device."""

from __future__ import annotations

from ...imaging.errors import SolverError
from .problem import Problem
from .system import System, Timer

HOST = {"host": "auto", "direct": "direct", "multigrid": "multigrid"}
"""Method of `HostLinearSolver` by name."""


def make_system(problem: Problem, linear_solver: str, timer: Timer) -> System:
    """The system named, or the one that fits where the model's arrays are.

    Raises:
        SolverError: no such linear solver.
    """
    if linear_solver == "auto":
        platforms = {device.platform for device in problem.model.points.devices()}
        linear_solver = "host" if platforms == {"cpu"} else "device"
    if linear_solver in HOST:
        from .host_system import HostSystem

        return HostSystem(problem, timer, method=HOST[linear_solver])
    if linear_solver == "device":
        from .device_system import DeviceSystem

        return DeviceSystem(problem, timer)
    raise SolverError(
        f"no linear solver is named {linear_solver!r}",
        where="linear_solver",
        advice="Use auto, host, direct, multigrid or device",
    )
