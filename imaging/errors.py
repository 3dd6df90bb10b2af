"""The one error type people see: what is wrong, where, what to do.

Lives in the lowest room so that every room can raise it. Imports nothing heavy.
"""

from __future__ import annotations

NOT_A_MEDICAL_DEVICE = "preop is research software, not a medical device. Do not use it for diagnosis or treatment."


class PreopError(Exception):
    """A failure a person can act on, told in one line.

    Args:
        what: what is wrong, as a short sentence without a full stop.
        where: the file, series, label, element or scene key it concerns.
        advice: what to do next.
    """

    def __init__(self, what: str, *, where: str = "", advice: str = "") -> None:
        self.what, self.where, self.advice = what, where, advice
        super().__init__(self.line())

    def line(self) -> str:
        """The single line shown to a person."""
        text = f"{self.where}: {self.what}" if self.where else self.what
        text = f"{text}. {self.advice}" if self.advice else text
        return " ".join(text.split())


class ScanError(PreopError):
    """A scan cannot be read or does not hold what is needed."""


class GeometryError(PreopError):
    """Frames, units, orientations or grids do not fit together."""


class SegmentationError(PreopError):
    """A segmentation is impossible or lacks a label that is needed."""


class MeshError(PreopError):
    """A surface or tetrahedral mesh is invalid or cannot be made."""


class SolverError(PreopError):
    """A solver stopped without an answer."""


class SceneError(PreopError):
    """A scene file is wrong or asks for something that is not there."""


class MissingLibraryError(PreopError):
    """An optional package or a shared library of the system is missing."""
