"""The midpoint rule with forces that conserve energy: momentum, angular momentum and energy exactly."""

from __future__ import annotations

from typing import ClassVar

from .midpoint import Midpoint


class EnergyMomentum(Midpoint):
    """M (v⁺ − v)/Δt + f(u, u⁺) = 0, u⁺ = u + Δt (v + v⁺)/2, f·(u⁺ − u) = W⁺ − W: see `discrete_gradient`.

    For elastic solids, however long the step: total energy changes by the work of loads, to the solver's tolerance.
    Loads and supports act half way, which is exact where they are linear in the displacement (dead loads, springs).
    One-sided beds and frictionless rigid bodies push with the mean pressure of the step: a flat one gives back exactly
    what it took. Other contact works to second order. Newton's method has the
    derivative of all this (`conserving`). Sources: Simo and Tarnow (1992), *ZAMP* 43:757; Gonzalez
    (2000), *Comput. Methods Appl. Mech. Eng.* 190:1763.
    """

    name: ClassVar[str] = "energy-momentum"
    conserving: ClassVar[bool] = True
