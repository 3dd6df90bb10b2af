"""The one error type people see: what is wrong, where, what to do.

Lives in the lowest room so that every room can raise it. Imports nothing heavy.
"""

from __future__ import annotations

import errno
import os

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


class DiskError(ScanError, OSError):
    """A file cannot be written: the disk is full, read-only or not ours.

    It is an OSError too, with the system's number, so that whoever writes beside the final place and knows that place
    can tell it better.
    """

    def __init__(self, what: str, *, where: str = "", advice: str = "", number: int | None = None) -> None:
        super().__init__(what, where=where, advice=advice)
        self.errno, self.strerror = number, os.strerror(number) if number else what

    def __str__(self) -> str:
        return self.line()


def write_error(error: BaseException, where: str) -> DiskError:
    """What a failed write means: the system's words, without a library's traceback around them.

    Args:
        error: an OSError, or what a library made of one.
        where: the file or folder that was to be written.
    """
    origin: BaseException | None = error
    while origin is not None:
        if isinstance(origin, OSError) and origin.errno is not None:
            break
        origin = origin.__cause__ or origin.__context__
    number = origin.errno if isinstance(origin, OSError) else None
    if number in (errno.ENOSPC, errno.EDQUOT):
        what, advice = "the disk is full", "Free some space, or write to another place"
    elif number in (errno.EACCES, errno.EPERM, errno.EROFS):
        what, advice = "no permission to write there", "Write to another place"
    else:
        words = os.strerror(number) if number else " ".join(str(error).split())[:200]
        what, advice = f"cannot be written ({words})", "Check free space and permissions, or write to another place"
    return DiskError(what, where=where, advice=advice, number=number)


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
