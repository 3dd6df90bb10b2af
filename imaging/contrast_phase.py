"""The contrast phase of a series, as far as its header tells, and how well it suits a purpose."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

_PHASES = (
    ("native", r"\b(native?|nativ|plain|non[- ]?contrast|unenhanced|w/?o|without|pre[- ]?contrast|nc)\b"),
    ("arterial", r"\b(arteri\w*|art)\b"),
    ("portal venous", r"\b(portal\w*|porto\w*|port|venous|ven|pv|venös|veineux)\b"),
    ("delayed", r"\b(delay\w*|late|spät|tardi\w*|equilib\w*|excret\w*)\b"),
)
_ANGIOGRAPHY = r"\b(aort\w*|cta|angio\w*)\b"
_WITH_AND_WITHOUT = r"\b(w/?o|without|pre)\b[\w ]{0,20}?(and|und|&|\+|/)\s*(with|w/?|post)(\b|(?=\s))"


def phase_hint(description: str, contrast: str) -> str:
    """The contrast phase that a series description names; else whether an agent is mentioned at all.

    "w/o and with" names the protocol of the whole study and no phase of a series. Of several phases none is taken.
    """
    words = re.sub(r"[_^.,;()]+", " ", description.lower())
    both = re.search(_WITH_AND_WITHOUT, words)
    words = re.sub(_WITH_AND_WITHOUT, " ", words)
    # "late arterial" is an arterial phase.
    words = re.sub(r"\b(late|early|spät\w*|früh\w*)[ -]*(?=art|port|ven)", "", words)
    named = [phase for phase, pattern in _PHASES if re.search(pattern, words)]
    if len(named) > 1:
        return f"phase not clear: {' or '.join(named)}"
    if named:
        return named[0]
    if re.search(_ANGIOGRAPHY, words):
        return "arterial"
    return "contrast, phase not stated" if contrast or both else ""


_VESSEL = re.compile(
    r"\b(portale? )?\w*("
    r"ven(a|ae|e|en)|venacava\w*|veine?s?|cav(a|ae|e)|arter(y|ies)|arteri(a|ae|e|en)|art[eè]res?|aort\w*|ivc|svc"
    r"|vessels?|vaisseaux?|gef(ä|ae)(ß|ss)\w*|portae?|(pfort|schlag)adern?"
    r")\b"
)
"""Names of vessels in English, Latin, German and French, also as the end of a longer word."""
_KIND_OF_VESSEL = re.compile(r"\b(arterial\w*|arteriel\w*|artériel\w*|art|venous|venös\w*|veineu\w*|ven|port\w*|pv)\b")
_SAYS_PHASE = re.compile(r"\b(phase|ph|cta|angio\w*)\b")


def phase_of_file(name: str) -> str:
    """The contrast phase that the name of a volume file tells, as `phase_hint`.

    A mask is named after what it shows, whatever the phase it was drawn in: beside the name of a vessel "arterial" and
    "venous" tell its kind, unless the name says that it speaks of a phase.
    """
    words = re.sub(r"[^\w]+|_", " ", unicodedata.normalize("NFC", name).lower())
    without = _VESSEL.sub(" ", words)
    if without != words and not _SAYS_PHASE.search(words):
        without = _KIND_OF_VESSEL.sub(" ", without)
    return phase_hint(without, "")


NAMED = tuple(name for name, _ in _PHASES)
"""Phases that a header may name."""


def phase_rank(hint: str, wanted: Sequence[str]) -> int:
    """How well a phase suits, lower is better; 0 for all where none is wanted.

    Args:
        hint: from `phase_hint`.
        wanted: phases in order of preference, such as ("portal", "arterial").

    Returns:
        The place in `wanted`; then a hint that leaves a wanted phase open; then contrast of no stated phase; then
        other enhanced phases and series that say nothing; at last a native series that is not wanted.
    """
    if not wanted:
        return 0
    for place, phase in enumerate(wanted):
        if hint.startswith(phase):
            return place
    if hint.startswith("phase not clear"):
        return len(wanted) + (0 if any(phase in hint for phase in wanted) else 2)
    if hint.startswith("contrast"):
        return len(wanted) + 1
    return len(wanted) + (3 if hint == "native" else 2)
