"""A segmenter that reads: a label map or a folder of masks made elsewhere, checked like any other result."""

from __future__ import annotations

from pathlib import Path

from ..errors import SegmentationError
from ..progress import Progress, silent
from ..volume import ImageVolume, LabelMap
from .base import Needs, Segmentation, SegmentationRequest, Segmenter
from .canonical import canonical
from .quality import GIVEN, assess_all, summary


class LabelFileSegmenter(Segmenter):
    """Takes the labels from the request's option `path` (see `preop.imaging.labelfile.read_labels`)."""

    name = "labels"
    title = "a label map or a folder of masks made elsewhere"
    # It reads no value of the scan, and neither do its voxels' sizes matter to it.
    needs = Needs(modality="", max_spacing_mm=float("inf"))
    gives = ()

    def segment(
        self, volume: ImageVolume, request: SegmentationRequest | None = None, progress: Progress = silent
    ) -> Segmentation:
        """Read the labels, check that they lie on the scan, and judge them. See `Segmenter.segment`."""
        from ..labelfile import read_labels

        request = request or SegmentationRequest()
        path = request.options.get("path", "")
        if not path or not Path(path).exists():
            raise SegmentationError(
                f"the label map {path or '(none given)'} is not there",
                where="segmenter labels",
                advice="Give the file or folder as option `path`",
            )
        progress(0.0, "label map")
        labels = read_labels(Path(path), like=volume.grid)
        progress(0.5, "checking the labels")
        turned = canonical(volume)
        judged = LabelMap(turned.forward(labels.labels), turned.volume.grid, labels.segments)
        notes = assess_all(judged, turned.volume, wanted=request.wanted, remarks=labels.notes)
        trusted = all(note.level != "bad" for note in notes)
        progress(1.0, "label map")
        return Segmentation(labels, notes, trusted, GIVEN, summary(notes, GIVEN))
