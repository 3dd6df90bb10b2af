"""The ordered list of steps of the built-in segmenter. A new organ is one file and one line here.

A step is a function `(case, progress) -> {segment name: mask}` with masks at full
resolution. It reads what earlier steps left in `case.masks` and `case.frame`, adds
landmarks to `case.frame` and remarks to `case.remarks`, and returns {} where the scan
does not show its organ. Where masks overlap, the later step of the list wins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module

import numpy as np
from numpy.typing import NDArray

from ..progress import Progress
from .case import Case

Find = Callable[[Case, Progress], Mapping[str, NDArray[np.bool_]]]


@dataclass(frozen=True)
class Stage:
    """One step.

    Attributes:
        title: what a progress bar says.
        module: module of this package whose `find` does it, imported when it runs.
        gives: segments it may return.
        weight: its share of the whole time, relative to the others.
        feeds: segments of later steps that need it even when its own are not wanted.
    """

    title: str
    module: str
    gives: tuple[str, ...]
    weight: float = 1.0
    feeds: tuple[str, ...] = ("*",)

    def needed(self, case: Case) -> bool:
        """Whether this step must run for what was asked."""
        return case.wants(*self.gives) or self.feeds == ("*",) or case.wants(*self.feeds)

    def find(self) -> Find:
        """The function that does it."""
        return import_module(f"{__package__}.{self.module}").find


STAGES: tuple[Stage, ...] = (
    Stage("body", "body", ("body",), 2.0),
    Stage("lungs", "lungs", ("lung_left", "lung_right"), 1.5),
    Stage("bone", "bone", ("bone",), 3.0),
    Stage("aorta", "aorta", ("aorta", "iliac_artery_left", "iliac_artery_right"), 2.0),
    Stage("aortic thrombus", "thrombus", ("aortic_thrombus",), 1.5, feeds=()),
    Stage("kidneys", "kidneys", ("kidney_left", "kidney_right"), 3.0),
    Stage("inferior vena cava", "caval", ("inferior_vena_cava",), 1.0),
    Stage("liver", "liver", ("liver",), 4.0),
    Stage("spleen", "spleen", ("spleen",), 2.0, feeds=()),
    Stage("liver tumours", "tumours", ("liver_tumor",), 0.5, feeds=()),
    Stage("liver vessels", "vessels", ("liver_vessels",), 1.5, feeds=()),
)
