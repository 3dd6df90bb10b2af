"""`preop verify`."""

from __future__ import annotations

import argparse
import time
from typing import TYPE_CHECKING, Any

from ..imaging.errors import NOT_A_MEDICAL_DEVICE

if TYPE_CHECKING:
    from ..engine.tissue.verification.case import Case
    from ..engine.tissue.verification.run import Outcome


def verify_command(arguments: argparse.Namespace) -> int:
    """Run the reference problems; 0 where every one is within its limits, 1 otherwise."""
    from ..engine.compiled import keep_compiled
    from ..engine.device import select_device
    from .json_output import nothing_on_stdout

    quiet = arguments.json or arguments.markdown
    with nothing_on_stdout(quiet):
        device = select_device(arguments.device)
        keep_compiled()
        from ..engine.tissue.verification.registry import CASES
        from ..engine.tissue.verification.run import select

        cases = select(CASES, pattern=arguments.case, quick=arguments.quick)
        started, outcomes = time.perf_counter(), [] if arguments.list else _run(cases, quiet=quiet)
    if arguments.list:
        return _list(cases, as_json=arguments.json)
    _print(outcomes, _document(outcomes, device, time.perf_counter() - started), arguments)
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def _print(outcomes: list[Outcome], document: dict[str, Any], arguments: argparse.Namespace) -> None:
    from .json_output import print_json
    from .verification_table import markdown, print_outcomes

    if arguments.json:
        print_json(document)
        return
    if arguments.markdown:
        print(markdown(document))
    else:
        print_outcomes(outcomes)
    print()
    print(NOT_A_MEDICAL_DEVICE)


def _run(cases: list[Case], *, quiet: bool) -> list[Outcome]:
    """All outcomes; of an interrupted run those that are there are printed first."""
    from ..engine.tissue.verification.run import verify
    from .progress_bar import progress_bar
    from .verification_table import print_outcomes

    outcomes: list[Outcome] = []
    try:
        with progress_bar("verify", quiet=quiet) as progress:
            for outcome in verify(cases, progress):
                outcomes.append(outcome)  # noqa: PERF402  (what is there must survive an interruption)
    except KeyboardInterrupt:
        if outcomes and not quiet:
            print_outcomes(outcomes)
        raise
    return outcomes


def _list(cases: list[Case], *, as_json: bool) -> int:
    from .json_output import print_json
    from .verification_table import print_cases

    if as_json:
        rows = [{"name": case.name, "source": case.source, "quick": case.quick} for case in cases]
        print_json({"disclaimer": NOT_A_MEDICAL_DEVICE, "cases": rows})
    else:
        print_cases(cases)
        print()
        print(NOT_A_MEDICAL_DEVICE)
    return 0


def _document(outcomes: list[Outcome], device: str, seconds: float) -> dict[str, Any]:
    from importlib.metadata import version

    return {
        "disclaimer": NOT_A_MEDICAL_DEVICE,
        "subject": "tissue",
        "preop": version("preop"),
        "device": device,
        "seconds": round(seconds, 3),
        "passed": all(outcome.passed for outcome in outcomes),
        "cases": [outcome.to_dict() for outcome in outcomes],
    }
