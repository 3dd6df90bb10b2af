"""`Setting` and `Unknown`: what a fit may change, and how its unknown numbers enter."""

from __future__ import annotations

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from ..prescribed import rotate
from ..problem import Problem


class Setting(eqx.Module):
    """A problem, and where the frame of the observations lies: x_seen = R(w) (x − c) + c + t.

    Attributes:
        problem: what is solved, in the model's frame.
        rotation: rotation vector w [rad] of seen_from_model.
        translation: t [m].
        pivot: c [m].
    """

    problem: Problem
    rotation: Float[Array, "3"]
    translation: Float[Array, "3"]
    pivot: Float[Array, "3"]

    @classmethod
    def of(cls, problem: Problem) -> Setting:
        """The frames agree; the pivot is the mean of the model's nodes."""
        points = problem.model.points
        return cls(problem, jnp.zeros(3), jnp.zeros(3), jnp.mean(points, axis=0))

    def seen_from_model(self, position: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
        """Positions [m] in the frame of the observations."""
        return rotate(self.rotation, position - self.pivot) + self.pivot + self.translation

    def model_from_seen(self, position: Float[Array, "n 3"]) -> Float[Array, "n 3"]:
        """Positions [m] in the model's frame."""
        return rotate(-self.rotation, position - self.pivot - self.translation) + self.pivot


class Unknown(abc.ABC):
    """Some of the numbers that a fit looks for.

    Each is a standard coordinate ξ whose prior is normal with mean 0 and variance 1; `values` says what it means in
    its own unit. Where there is no prior (`flat`) the unit of ξ is a natural one (a factor of e for a stiffness).
    """

    label: str

    @property
    @abc.abstractmethod
    def size(self) -> int:
        """How many numbers."""

    @abc.abstractmethod
    def apply(self, setting: Setting, coordinates: Float[Array, " n"]) -> Setting:
        """The setting with these numbers in place; differentiable."""

    @abc.abstractmethod
    def report(self, coordinates: np.ndarray) -> list[Reported]:
        """What is told of each number; a field tells its mean and extremes elsewhere and returns fewer."""

    @property
    def flat(self) -> Bool[np.ndarray, " n"]:
        """Which numbers have no prior."""
        return np.zeros(self.size, bool)

    @property
    def limit(self) -> float:
        """The largest change of ξ in one step."""
        return np.inf

    @property
    def bounds(self) -> tuple[float, float]:
        """Between which ξ must stay."""
        return -np.inf, np.inf


class Reported:
    """How one number is told: value(ξ) in its unit; `logarithmic` where the interval is symmetric in the logarithm.

    `young` [Pa]: of a factor on a stiffness, Young's modulus of what was given, where there is one.
    """

    def __init__(
        self, name: str, unit: str, scale: float, spread: float, *, logarithmic: bool, young: float | None = None
    ) -> None:
        self.name, self.unit, self.scale, self.spread, self.logarithmic = name, unit, scale, spread, logarithmic
        self.young = young

    def value(self, coordinate: Any) -> Any:
        """The number in its unit."""
        if self.logarithmic:
            return self.scale * np.exp(self.spread * coordinate)
        return self.scale + self.spread * coordinate
