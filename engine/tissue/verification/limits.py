"""Where a limit comes from: the order of the method at its mesh, the gap between two models, the digits of a source.

The parts add up. None is fitted to what the code gives: the constants are one, and lengths are those over which the
solution changes by its own size.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limit:
    """A bound on an error and the reason for it; limits add up."""

    value: float
    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", float(self.value))

    def __add__(self, other: Limit) -> Limit:
        return Limit(self.value + other.value, f"{self.reason}; {other.reason}")


def round_off(value: float = 1e-8, why: str = "any element holds this state exactly: the solver's tolerance") -> Limit:
    """Of a state that the method represents exactly."""
    return Limit(value, why)


def order(power: float, cells: float, what: str = "") -> Limit:
    """(h/L)^power with `cells` elements over the length L that the solution changes over.

    For elements of degree k: power k + 1 for displacements of a smooth solution, 2k for energies and forces, k for
    strain and stress (Ciarlet, *The Finite Element Method for Elliptic Problems*, chapter 3); twice the exponent of
    the singularity where there is one (Grisvard).
    """
    return Limit(cells**-power, f"(h/L)^{power:g}, {cells:.3g} elements over {what or 'L'}")


def digits(reference: float, last: float) -> Limit:
    """Half a unit of the last digit that the source gives, relative to the reference."""
    return Limit(0.5 * last / abs(reference), f"source rounded to {last:g}")


def model(value: float, why: str) -> Limit:
    """The known gap between what the source idealises and what is computed."""
    return Limit(value, why)
