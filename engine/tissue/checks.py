"""Bad input, named and located before anything is solved."""

from __future__ import annotations

from .problem import Problem


def check_problem(problem: Problem) -> None:
    """All checks."""
