"""What the command line takes: paths that are paths, numbers within bounds, and one line for a mistake."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

T = TypeVar("T", int, float)


class Parser(argparse.ArgumentParser):
    """Tells a mistake in one line, as everything else that goes wrong."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong and where the options are listed; exit 2."""
        self.exit(2, f"preop: {message} (see {self.prog} --help)\n")


def path(text: str) -> Path:
    """A path that is one: an unset variable of the shell arrives as an empty one, which would mean this folder."""
    if not text.strip():
        raise argparse.ArgumentTypeError("is empty; give a path (. is this folder)")
    return Path(text)


def number_within(kind: Callable[[str], T], low: float, high: float, words: str) -> Callable[[str], T]:
    """A number of that kind within bounds."""

    def number(text: str) -> T:
        try:
            value = kind(text)
        except ValueError:
            value = None
        # A NaN is within no bounds.
        if value is None or not low <= value <= high:  # pyright: ignore[reportOperatorIssue]
            raise argparse.ArgumentTypeError(f"must be {words}, not {text!r}")
        return value

    return number
