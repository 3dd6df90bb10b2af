"""Which of the segmented organs a computation stands on: how far they are to be trusted decides how far it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ..imaging.anatomy import SEGMENTS
from .procedures import procedure
from .schema import Part, Place, Region, Support

if TYPE_CHECKING:
    from .procedures.base import Outcome
    from .session import Session


def used_segments(session: Session) -> list[str]:
    """The segments judged that the model was made of or held by, parts of a whole included."""
    outcome, segmentation, scene = session.outcome, session.segmentation, session.scene
    assert outcome is not None
    assert segmentation is not None
    kind = procedure(scene.procedure)
    near = held_near(kind.parse(scene), outcome)
    used = {*kind.labels_needed(scene), *outcome.mesh.region_names.values(), *outcome.deforming, *near}
    judged = dict.fromkeys(note.segment for note in segmentation.notes)
    return [name for name in judged if name in used or (name in SEGMENTS and used & set(SEGMENTS[name].part_of))]


def held_near(options: Part, outcome: Outcome) -> set[str]:
    """Segments beside which a support or the jaws hold the organ: they decide the place.

    A support that found nothing to hold on to counts for nothing.
    """
    return {name for place in _places(options, outcome) for name in place.near or ()}


def _places(part: Part, outcome: Outcome) -> Iterator[Place]:
    for key in type(part).model_fields:
        value = getattr(part, key)
        for one in value if isinstance(value, tuple) else (value,):
            if isinstance(one, Place):
                yield one
            elif isinstance(one, Support) and one.name not in outcome.node_sets:
                continue
            elif isinstance(one, Part):
                yield from _places(one, outcome)


def named_segments(options: Part) -> Iterator[str]:
    """Segments that a procedure's options make regions of or hold an organ by."""
    if isinstance(options, Region):
        yield from options.labels
    elif isinstance(options, Place):
        yield from options.near or ()
    for key in type(options).model_fields:
        value = getattr(options, key)
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, tuple) else (value,)
        for part in parts:
            if isinstance(part, Part):
                yield from named_segments(part)
