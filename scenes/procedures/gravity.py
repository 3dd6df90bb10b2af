"""Where gravity pulls: as the scene says, else by how the scan says that the patient lay (DICOM Patient Position)."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .base import Assumption, Outcome

if TYPE_CHECKING:
    from ...imaging.volume import ImageVolume
    from ..schema import Scene, Vector

STANDARD = 9.81
"""m/s²."""
MOST_GRAVITY = 30.0
"""m/s², of a scene: no planet that one stands on pulls harder, and 9810 mm/s² is another unit."""

_LYING = {
    "S": ((0.0, 1.0, 0.0), "on the back", "back"),
    "P": ((0.0, -1.0, 0.0), "on the belly", "front"),
    "DR": ((-1.0, 0.0, 0.0), "on the right side", "right side"),
    "DL": ((1.0, 0.0, 0.0), "on the left side", "left side"),
}
"""What the patient lies on, by the end of the code (PS3.3 C.7.3.1.1.2): LPS direction down, and words. Its beginning
says which end goes into the scanner first, which turns the picture but not the patient's own axes."""


@dataclass(frozen=True)
class Pull:
    """Gravity in a scan.

    Attributes:
        vector: m/s², LPS.
        source: who says so; empty where the scene does.
        note: for the report; empty where there is nothing unusual.
    """

    vector: Vector
    source: str = ""
    note: str = ""


def pull_of(volume: ImageVolume | None) -> Pull:
    """Gravity for a scene that does not state it: towards what the patient lay on, the back where nothing tells."""
    code = (volume.patient_position if volume else "").upper()
    known = re.fullmatch(r"(?:HF|FF|LF|RF|AF|PF)(S|P|DR|DL)", code)
    if known is None:
        said = f"has an unknown Patient Position ({code})" if code.isalnum() else "does not say how the patient lay"
        note = f"The scan {said}: gravity is taken to pull towards the back. The option gravity says otherwise."
        return Pull((0.0, STANDARD, 0.0), "a default of preop: the patient on the back", note)
    down, words, side = _LYING[known[1]]
    note = ""
    if known[1] != "S":
        note = (
            f"The patient lay {words} in the scanner ({code}): gravity pulls towards the {side}, and what is computed "
            "holds for this position. The option gravity says otherwise."
        )
    vector = (down[0] * STANDARD, down[1] * STANDARD, down[2] * STANDARD)
    return Pull(vector, f"the scan: the patient lay {words} ({code})", note)


def told(outcome: Outcome, scene: Scene, pull: Pull) -> Outcome:
    """The outcome with gravity's note, and among its assumptions the gravity that was used and who says so."""
    from ..assumptions import assumptions

    if not pull.source:
        return outcome
    used = scene.model_copy(update={"options": {**scene.options, "gravity": list(pull.vector)}})
    found: tuple[Assumption, ...] = tuple(
        replace(one, source=pull.source) if one.key == "options.gravity" else one for one in assumptions(used, outcome)
    )
    return replace(outcome, notes=(*outcome.notes, *filter(None, (pull.note,))), assumptions=found)
