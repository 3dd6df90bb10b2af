"""Whether the scan holds what a procedure computes on, and what of the scene it does not hold."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ..imaging.anatomy import SEGMENTS
from ..imaging.errors import SegmentationError
from .plain_words import listed, name_words
from .used_segments import named_segments

if TYPE_CHECKING:
    from ..imaging.segmentation.base import QualityNote
    from .schema import Part
    from .session import Session


def require_whole(session: Session, names: tuple[str, ...]) -> None:
    """An organ of which only a tip is cut off is told; one that the scan holds a part of is refused.

    Where the scene accepts a part, its note says so and the segmentation is not to be trusted.

    Raises:
        SegmentationError: the scan holds only a part of an organ that the procedure needs whole.
    """
    assert session.segmentation is not None
    for note in session.segmentation.notes:
        if note.segment not in names or not (note.touches_border or note.level == "bad"):
            continue
        if note.partial and not session.scene.segmentation.accept_partial:
            raise SegmentationError(
                f"the scan holds only a part of what is computed on ({note.text})",
                where=session.scene.where(),
                advice="Use a scan of the whole organ, or --set segmentation.accept_partial=true",
            )
        if note.partial:
            _distrust(session, note)
        session.notes.append(f"The computation is on a doubtful organ. {note.text}.")


def _distrust(session: Session, part: QualityNote) -> None:
    """A part that is computed on as if it were whole makes every number doubtful, however well it is segmented."""
    assert session.segmentation is not None
    text = part.text if part.level == "bad" else f"{part.text}; do not trust what is computed on it"
    worse = replace(part, level="bad", text=text)
    notes = tuple(worse if note is part else note for note in session.segmentation.notes)
    session.segmentation = replace(session.segmentation, notes=notes, trusted=False)


def note_missing(session: Session, options: Part) -> None:
    """Tell of the structures that the scene shows or its options name and the segmentation does not hold."""
    wanted = dict.fromkeys([*session.scene.show, *named_segments(options)])
    missing = [
        name for name in dict.fromkeys(one for name in wanted for one in _sides(name)) if not _held(session, name)
    ]
    if missing:
        names = listed([name_words(name) for name in missing])
        session.notes.append(
            f"Not found, whether missed or not there, and so neither shown nor computed with: {names}."
        )


def _held(session: Session, name: str) -> bool:
    return bool(session.labels.mask(name).any())


def _sides(name: str) -> list[str]:
    """Both of a pair, as one of two kidneys may be missed; else the name itself."""
    pair = [one for one in SEGMENTS if name in SEGMENTS[one].part_of and one.endswith(("_left", "_right"))]
    return pair if len(pair) == 2 else [name]
