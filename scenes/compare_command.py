"""`preop compare`."""

from __future__ import annotations

import argparse
from pathlib import Path


def compare_command(arguments: argparse.Namespace) -> int:
    """Print Dice, 95 % Hausdorff distance and volumes per label; 1 where most of several segments miss each other."""
    from ..imaging.compare import compare_labels, most_miss, only_in_labels
    from ..imaging.errors import NOT_A_MEDICAL_DEVICE
    from ..imaging.labelfile import read_masks
    from .agreement_table import print_agreement
    from .json_output import nothing_on_stdout, print_json
    from .progress_bar import progress_bar

    with nothing_on_stdout(arguments.json), progress_bar("compare", quiet=arguments.json) as progress:
        labels, truth = (read_masks(_label_path(path)) for path in (arguments.labels, arguments.truth))
        agreements = compare_labels(labels, truth, arguments.names, progress=progress)
        alone = () if arguments.names else only_in_labels(labels, truth)
    if arguments.json:
        rows = [agreement.to_dict() for agreement in agreements]
        print_json({"disclaimer": NOT_A_MEDICAL_DEVICE, "segments": rows, "only_in_labels": list(alone)})
    else:
        print_agreement(agreements, only_in_labels=alone)
        print()
        print(NOT_A_MEDICAL_DEVICE)
    return 1 if most_miss(agreements) else 0


def _label_path(path: Path) -> Path:
    """A result or phantom folder stands for the label map in it."""
    return path / "labels.nii.gz" if (path / "labels.nii.gz").is_file() else path
