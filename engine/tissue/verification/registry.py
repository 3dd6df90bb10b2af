"""All reference problems. A new family is a file with `CASES` and a line below; tests and the table follow."""

from __future__ import annotations

from . import (
    arterial,
    cook,
    curved_shells,
    elastica,
    elements,
    heart,
    hertz,
    homogeneous,
    inflation,
    lame,
    laws,
    membranes,
    motion,
    shells,
    silicone,
    strands,
    torsion,
)
from .case import Case

CASES: tuple[Case, ...] = (
    *laws.CASES,
    *elements.CASES,
    *homogeneous.CASES,
    *arterial.CASES,
    *torsion.CASES,
    *inflation.CASES,
    *lame.CASES,
    *cook.CASES,
    *elastica.CASES,
    *membranes.CASES,
    *shells.CASES,
    *curved_shells.CASES,
    *strands.CASES,
    *heart.CASES,
    *hertz.CASES,
    *motion.CASES,
    *silicone.CASES,
)
