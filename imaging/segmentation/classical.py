"""The built-in segmenter: thresholds, morphology and anatomy, with no learned weights."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..anatomy import BY_LABEL, SEGMENTS
from ..errors import SegmentationError
from ..progress import Progress, part, silent
from ..volume import ImageVolume, LabelMap
from .base import Needs, QualityNote, Segmentation, SegmentationRequest, Segmenter
from .canonical import canonical
from .case import Case
from .doubts import doubt
from .quality import assess_all, summary
from .stages import STAGES, Stage
from .voids import fill_voids


class ClassicalSegmenter(Segmenter):
    """Abdominal CT with or without contrast, automatic, helped by seeds where given.

    Args:
        stages: the steps to run, in order; later ones win where masks overlap.
    """

    name = "classical"
    title = "built-in: thresholds, morphology and anatomy"
    needs = Needs(modality="CT", coverage_mm=30.0, max_spacing_mm=8.0)
    gives = tuple(dict.fromkeys(name for stage in STAGES for name in stage.gives))

    def __init__(self, stages: Sequence[Stage] = STAGES) -> None:
        self.stages = tuple(stages)

    def segment(
        self, volume: ImageVolume, request: SegmentationRequest | None = None, progress: Progress = silent
    ) -> Segmentation:
        """Find every organ asked for. See `Segmenter.segment`."""
        request = request or SegmentationRequest()
        self.check(volume, request)
        turned = canonical(volume)
        progress(0.0, "overview at low resolution")
        case = Case.of(turned.volume, request)
        self._run(case, part(progress, 0.02, 0.93))
        labels = _labelled(case)
        progress(0.94, "checking what was found")
        doubt(case)
        notes = assess_all(
            labels,
            case.volume,
            wanted=request.wanted,
            remarks=tuple(case.remarks),
            doubts=case.doubts,
            faults=case.faults,
        )
        on_source = LabelMap(turned.back(labels.labels), volume.grid, labels.segments)
        progress(1.0, "segmented")
        return _segmentation(on_source, notes, case)

    def _run(self, case: Case, progress: Progress) -> None:
        chosen = [stage for stage in self.stages if stage.needed(case)]
        total = sum(stage.weight for stage in chosen)
        done = 0.0
        for stage in chosen:
            step = part(progress, done / total, (done + stage.weight) / total)
            case.masks.update(stage.find()(case, step))
            done += stage.weight


def _labelled(case: Case) -> LabelMap:
    """Masks in the order they were found, later ones over earlier ones; what an organ encloses belongs to it."""
    labels = np.zeros(case.grid.shape, dtype=np.uint16)
    for name, mask in case.masks.items():
        if case.wants(name) or any(case.wants(whole) for whole in SEGMENTS[name].part_of):
            labels[mask] = SEGMENTS[name].label
    if not labels.any():
        raise SegmentationError(
            f"none of {', '.join(case.request.wanted) or 'its organs'} was found",
            where="segmenter classical",
            advice="Look at the scan with `preop inspect`; give a seed for the organ in the scene",
        )
    fill_voids(labels, case.grid)
    return LabelMap(labels, case.grid, BY_LABEL)


def _segmentation(labels: LabelMap, notes: tuple[QualityNote, ...], case: Case) -> Segmentation:
    trusted = all(note.level != "bad" for note in notes)
    phase = case.frame.phase or case.request.phase
    return Segmentation(labels, notes, trusted, phase, summary(notes, phase))
