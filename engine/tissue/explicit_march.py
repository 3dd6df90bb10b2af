"""Goes through time by compiled batches of central differences, and looks at the body between them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax.numpy as jnp
import numpy as np

from ...imaging.progress import Progress
from .central_differences import Flight
from .explicit_steps import Observation, Stepper
from .motion import Motion
from .places import element_place
from .problem import Problem
from .solution import ResultCode
from .trajectory import EnergyAccount

CHECK_STEPS = 400
"""Steps between two looks at the stable step, which shrinks where elements are squeezed."""
BLOW_UP = 50.0
"""Energy from nowhere, over the largest that went about, that ends a motion. Close to the limit of stability the energy
of a fast vibration swings by more than tenfold and is bounded all the same; beyond the limit it grows without end."""


class ExplicitMarch:
    """Runs compiled batches of steps and looks at the body between them."""

    def __init__(
        self,
        problem: Problem,
        stepper: Stepper,
        first: Motion,
        step: float | None,
        safety: float,
        progress: Progress,
    ) -> None:
        self.problem, self.stepper, self.progress = problem, stepper, progress
        self.fixed, self.safety = step, safety
        self.flight = stepper.begin(first)
        self.looked: tuple[int, float] | None = None
        self.count, self.shortest, self.longest = 0, np.inf, 0.0
        self.states: list[Motion] = []
        self.energy = EnergyAccount()
        self.nothing = 1e-24 * stepper.energy_scale
        self.keep(stepper.observe(self.flight))

    def run(self, times: list[float]) -> tuple[ResultCode, str]:
        """All steps up to each time [s]."""
        begin, seen = float(self.flight.time), self.stepper.observe(self.flight)
        for time in times:
            while float(self.flight.time) < time * (1.0 - 1e-12):
                longest = self.stable() if self.fixed is None else self.fixed
                steps = max(1, int(np.ceil((time - float(self.flight.time)) / longest - 1e-9)))
                step = (time - float(self.flight.time)) / steps
                batch = min(steps, CHECK_STEPS, self._seen(step))
                flight = self.stepper.advance(self.flight, step, batch)
                seen = self.stepper.observe(flight)
                failed = self._failure(flight, seen)
                if failed is not None:
                    return failed
                self.flight, self.count = self._met(flight), self.count + batch
                self.shortest, self.longest = min(self.shortest, step), max(self.longest, step)
                done = (float(flight.time) - begin) / (times[-1] - begin)
                self.progress(min(float(done), 1.0), f"{float(flight.time):.4g} s, step {step:.2e} s")
            self.flight = self.flight._replace(time=jnp.asarray(time))
            at: Any = {"load_fraction": time / self.stepper.duration, "time": time}
            self.keep(seen._replace(motion=replace(seen.motion, **at)))
        self.progress(1.0, "end of the motion")
        return ResultCode.converged, ""

    def stable(self) -> float:
        """The step that is safe for the body as it was not long ago [s]."""
        if self.looked is None or self.count - self.looked[0] >= CHECK_STEPS:
            self.looked = (self.count, self.safety * 2.0 / self.stepper.largest_frequency(self.flight))
        return self.looked[1]

    def _seen(self, step: float) -> int:
        """Steps after which pairs of tissues are looked for again, however fast the body is."""
        fastest = float(jnp.linalg.norm(self.flight.velocity, axis=1).max())
        far = 0.5 * self.stepper.sight / max(fastest * step, 1e-300)
        return max(1, int(min(far, CHECK_STEPS)))

    def _met(self, flight: Flight) -> Flight:
        """With pairs found anew; more of them want a look at the stable step."""
        before = self.stepper.moving.count
        flight = self.stepper.meet_again(flight)
        if self.stepper.moving.count > before:
            self.looked = None
        return flight

    def keep(self, seen: Observation) -> None:
        """Keep a motion and enter it in the account."""
        energy, motion = self.energy, seen.motion
        self.states.append(replace(motion, contacts=self.stepper.contacts(self.flight)))
        energy.time.append(float(motion.time))
        energy.kinetic.append(float(seen.kinetic))
        energy.strain.append(float(seen.strain))
        energy.external.append(float(seen.external))
        energy.damped.append(float(seen.damped))
        energy.momentum.append(np.asarray(seen.momentum))
        energy.angular_momentum.append(np.asarray(seen.angular_momentum))

    def _failure(self, flight: Flight, seen: Observation) -> tuple[ResultCode, str] | None:
        """Named where energy comes from nowhere or an element turned inside out."""
        total, energy = float(seen.kinetic) + float(seen.strain), self.energy
        drift = total - energy.total[0] - float(seen.external) + float(seen.damped)
        scale = max(float(energy.total.max()), abs(float(seen.external)), self.nothing)
        inverted, blown = not float(flight.min_jacobian) > 0, not drift <= BLOW_UP * scale
        if not (inverted or blown):
            return None
        place = element_place(self.problem.model, self.stepper.source(int(flight.worst)))
        at = float(flight.worst_time) if inverted else float(flight.time)
        where = f"near {at:.6g} s, {place}"
        return (ResultCode.inverted_element if inverted and not blown else ResultCode.blown_up), where
