"""All reference problems. A new family is a file with `CASES` and a line below; tests and the table follow."""

from __future__ import annotations

from . import elastica, laws
from .case import Case

CASES: tuple[Case, ...] = (
    *laws.CASES,
    *elastica.CASES,
)
