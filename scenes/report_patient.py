"""The head of the report: whose scan it is, and how far its segmentation is to be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..imaging.anatomy import SEGMENTS
from .report_words import british, words_of

_MOST_NAMED = 4
_WHOLE_SCAN = "scan"
"""The segment name of a note on the scan as a whole."""


@dataclass(frozen=True)
class Pill:
    """One state of the result in a few words; `level` is ok, warn or bad, or empty for neither."""

    level: str
    text: str


def who(data: Mapping[str, Any]) -> str:
    """Phantom or scan; empty where the result does not tell."""
    provenance = data.get("provenance", {})
    read = {one.get("name") for one in provenance.get("inputs", [])}
    source = data.get("patient", {}).get("source") or next((one for one in ("phantom", "scan") if one in read), "")
    if source == "phantom":
        return "Embedded phantom, not a patient"
    if source == "scan":
        return "Scan given with --dicom" if " --di" in provenance.get("command", "") else "Scan named in the scene"
    return ""


def phase_of(data: Mapping[str, Any]) -> str:
    """The contrast phase in words; empty where it is not known."""
    phase = (data.get("segmentation") or {}).get("phase") or ""
    if phase in ("", "auto"):
        return ""
    return "labels given" if phase == "given" else f"{phase} phase"


def segmentation_pill(data: Mapping[str, Any], carried: Sequence[str] = ()) -> Pill | None:
    """How far to trust the segmentation: bad where the model used a bad segment, ok only without any doubt.

    Args:
        data: result.json.
        carried: surfaces that the mesh carries: what the model used, in a result that does not list it.
    """
    segmentation = data.get("segmentation")
    if not segmentation:
        return None
    notes = segmentation.get("notes", [])
    if not notes:
        trusted = segmentation.get("trusted")
        return Pill("", "Segmentation not checked") if trusted else Pill("bad", "Segmentation not to be trusted")
    # Where nothing tells what the model used, it may have used anything.
    used = used_segments(data, carried) or {note["segment"] for note in notes}
    bad = [note["segment"] for note in notes if note["level"] == "bad" and note["segment"] in used]
    if bad:
        return Pill("bad", f"Segmentation not to be trusted: {_listed(bad)}")
    doubtful = [note for note in notes if note["level"] != "ok" and note["segment"] != _WHOLE_SCAN]
    model = [note["segment"] for note in doubtful if note["segment"] in used]
    beside = [note for note in doubtful if note["segment"] not in used]
    cut = [note["segment"] for note in beside if note.get("only_cut")]
    others = [note["segment"] for note in beside if not note.get("only_cut")]
    scan = any(note["level"] != "ok" and note["segment"] == _WHOLE_SCAN for note in notes)
    said = [f"look at {_listed(model)}, of which the model is made" if model else "no flag raised on the model"]
    said += [f"look at {_listed(others)} beside it"] if others else []
    said += ["the scan as a whole needs a look"] if scan else []
    said += [f"not in the model and cut by the scan's edge: {_listed(cut)}"] if cut else []
    if not doubtful and not scan:
        said = ["no flag raised (automatic check)"]
    return Pill("warn" if model or others or scan else "ok", f"Segmentation: {'; '.join(said)}")


def segmentation_text(data: Mapping[str, Any]) -> str:
    """The line of result.json: structures, phase, and the pill's own words; without notes the segmenter's line."""
    segmentation = data["segmentation"]
    pill = segmentation_pill(data)
    if not segmentation["notes"] or pill is None:
        return segmentation["text"]
    found = sum(note["volume_ml"] > 0 for note in segmentation["notes"])
    return f"{found} structures{f', {phase}' if (phase := phase_of(data)) else ''}. {pill.text}"


def used_segments(data: Mapping[str, Any], carried: Sequence[str] = ()) -> set[str]:
    """Names of the judged segments that the model was made of, parts of a whole included."""
    segmentation = data["segmentation"]
    judged = [note["segment"] for note in segmentation.get("notes", [])]
    regions = {one["name"] for mesh in data.get("meshes", []) for one in mesh.get("regions", [])}
    used = {*segmentation.get("used", carried), *regions}
    return {one for one in judged if one in used or (one in SEGMENTS and used & set(SEGMENTS[one].part_of))}


def check_text(note: Mapping[str, Any]) -> str:
    """The words of a note without the structure's name, which stands beside them."""
    text, name = str(note["text"]), note["segment"]
    start, colon, rest = text.partition(": ")
    if colon and name in SEGMENTS and start.lower() == SEGMENTS[name].meaning.lower():
        text = rest
    return british(text)


def _listed(names: Sequence[str]) -> str:
    """Some names, and how many more."""
    told = ", ".join(words_of(name).lower() for name in names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    return told + (f" and {more} more" if more > 0 else "")
