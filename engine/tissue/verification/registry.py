"""All reference problems. A new family is a file with `CASES` and a line below; tests and the table follow."""

from __future__ import annotations

from . import cook, elastica, elements, homogeneous, inflation, lame, laws, torsion
from .case import Case

CASES: tuple[Case, ...] = (
    *laws.CASES,
    *elements.CASES,
    *homogeneous.CASES,
    *torsion.CASES,
    *inflation.CASES,
    *lame.CASES,
    *cook.CASES,
    *elastica.CASES,
)
