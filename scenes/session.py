"""`Session`: the only mutable object. Viewer, headset and batch drive the same one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..imaging.progress import Progress, silent
from .memory import PeakMemory
from .schema import Scene

if TYPE_CHECKING:
    from ..imaging.segmentation.base import Segmentation
    from ..imaging.volume import ImageVolume, LabelMap
    from ..meshing.mesh import Embedding, SurfaceMesh
    from .procedures.base import Outcome


@dataclass(frozen=True)
class StageRecord:
    """What one stage cost."""

    name: str
    seconds: float
    peak_memory_mib: float


@dataclass
class Session:
    """One patient, one scene, and what has been computed of them so far.

    Attributes:
        scene: what is to be done; frozen.
        scratch: a folder for intermediate files, deleted when the run ends.
        device: the name of what computes, from the engine.
        command: the command that asked for this run; empty where none did.
        progress: who listens.
        volume, segmentation, truth, surfaces, outcome: filled by the stages in this order.
        embeddings: what carries the vertices of the surfaces that move with the mesh, by name.
        stages: time and peak memory of each finished stage.
        inputs: name, number of files and SHA-256 of everything that was read.
        agreement, agreement_remarks: with a known truth, where there is one; and what was missed in it, in words.
        notes: what a person should know about this run.
    """

    scene: Scene
    scratch: Path
    device: str = ""
    command: str = ""
    progress: Progress = silent
    volume: ImageVolume | None = None
    segmentation: Segmentation | None = None
    truth: LabelMap | None = None
    surfaces: dict[str, SurfaceMesh] = field(default_factory=dict)
    outcome: Outcome | None = None
    embeddings: dict[str, Embedding] = field(default_factory=dict)
    stages: list[StageRecord] = field(default_factory=list)
    inputs: list[dict[str, Any]] = field(default_factory=list)
    agreement: list[dict[str, Any]] = field(default_factory=list)
    agreement_remarks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    started: float = field(default_factory=time.time)

    @property
    def labels(self) -> LabelMap:
        """The label map in use."""
        if self.segmentation is None:
            raise RuntimeError("the segmentation stage has not run")
        return self.segmentation.labels

    @contextmanager
    def stage(self, name: str) -> Iterator[Progress]:
        """Time a stage, measure its peak memory, and prefix its progress with its name."""

        def report(fraction: float | None, message: str) -> None:
            self.progress(fraction, f"{name}: {message}" if message else name)

        with PeakMemory() as memory:
            start = time.perf_counter()
            report(None, "")
            yield report
            seconds = time.perf_counter() - start
        self.stages.append(StageRecord(name, seconds, memory.mib))
        self.progress(1.0, name)
