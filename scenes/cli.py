"""The `preop` command. Only argparse is imported here; each sub-command imports what it needs."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import signal
import sys
from collections.abc import Sequence

from ..imaging.errors import NOT_A_MEDICAL_DEVICE, PreopError
from .arguments import Parser, number_within, path

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command.

    Returns:
        0 done, 1 done but with a finding (see the sub-command), 2 an error told in one line, 130 interrupted.
    """
    _open_closed_streams()
    parser = build_parser()
    arguments = parser.parse_args(argv, argparse.Namespace(given=sys.argv[1:] if argv is None else list(argv)))
    # Our dense kernels are small: OpenBLAS threads only wait for each other there (a solve of 15,000
    # unknowns took 1.0 s with one and 6.7 s with two). Read when numpy is first imported; a set value wins.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    _clean_up_when_ended()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A sign that the terminal lacks, or a file name that is no text, is no reason to stop.
            stream.reconfigure(errors="backslashreplace")
    try:
        return arguments.command(arguments)
    except PreopError as error:
        return _fail(error.line())
    except KeyboardInterrupt:
        # After a hang-up there may be no terminal left to tell it to.
        with contextlib.suppress(OSError):
            print("\npreop: interrupted; nothing half-written is left", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of a pipe (`preop inspect | head`) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except MemoryError:
        return _fail("not enough memory. Use a smaller mesh (--set options.tetrahedra=…) or a machine with more")
    except Exception as error:
        if os.environ.get("PREOP_DEBUG"):
            raise
        return _fail(
            f"{type(error).__name__}: {' '.join(str(error).split())}. A fault in preop: PREOP_DEBUG=1 shows where"
        )


def _open_closed_streams() -> None:
    """Whoever starts us may close standard output or error (`2>&-`): what is told there is lost, nothing else.

    Left closed, the next file to be opened would get its number, and with it what libraries print.
    """
    for number, name in ((1, "stdout"), (2, "stderr")):
        try:
            os.fstat(number)
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            if nowhere != number:
                os.dup2(nowhere, number)
                os.close(nowhere)
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115


def build_parser() -> argparse.ArgumentParser:
    """All sub-commands and their options."""
    parser = Parser(
        prog="preop",
        description="From a patient's scans to an operation that is planned, computed and rehearsed.",
        epilog=NOT_A_MEDICAL_DEVICE,
    )
    parser.add_argument("--version", action=_Version)
    parser.set_defaults(command=lambda _: _help(parser))
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_doctor(commands)
    _add_inspect(commands)
    _add_phantom(commands)
    _add_run(commands)
    _add_view(commands)
    _add_scenes(commands)
    _add_compare(commands)
    _add_verify(commands)
    return parser


def _help(parser: argparse.ArgumentParser) -> int:
    """What a bare `preop` gets; not 0, as nothing was done."""
    parser.print_help()
    return 2


class _Version(argparse.Action):
    """Prints the version; looked up only then, as importlib.metadata costs as much as the help itself."""

    def __init__(self, option_strings: Sequence[str], dest: str, **_: object) -> None:
        super().__init__(option_strings, dest=argparse.SUPPRESS, nargs=0, help="show the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        print(f"preop {version('preop')}")
        parser.exit()


def _command(commands, name: str, function, text: str) -> argparse.ArgumentParser:
    parser = commands.add_parser(
        name, help=text, description=text[0].upper() + text[1:].replace("%%", "%") + ".", epilog=NOT_A_MEDICAL_DEVICE
    )
    parser.set_defaults(command=function)
    return parser


def _add_doctor(commands) -> None:
    parser = _command(commands, "doctor", _doctor, "show what this machine offers and what is missing")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--all", action="store_true", help="also list every package with its version")
    form.add_argument("--json", action="store_true", help="print JSON")


def _doctor(arguments: argparse.Namespace) -> int:
    # The one place where scenes reaches into xr, and only when asked.
    from ..xr.probe import runtime_report
    from .doctor import run_doctor

    return run_doctor(as_json=arguments.json, every_package=arguments.all, xr_report=runtime_report)


def _add_inspect(commands) -> None:
    parser = _command(commands, "inspect", _inspect, "list the studies and series of a scan and what is odd about them")
    parser.add_argument("path", metavar="PATH", type=path, help="a folder, a zip, or one file")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--identify", action="store_true", help="show patient names and IDs")


def _inspect(arguments: argparse.Namespace) -> int:
    """List what is there; 0 when it can be used as it is, 1 when it cannot."""
    from ..imaging.inspect import inspect_scan
    from .folder_kind import require_no_result
    from .json_output import nothing_on_stdout, print_json
    from .leftovers import temporary_files_together
    from .progress_bar import progress_bar

    require_no_result(arguments.path)
    as_json = arguments.json
    with nothing_on_stdout(as_json), temporary_files_together(), progress_bar("inspect", quiet=as_json) as progress:
        inspection = inspect_scan(arguments.path, progress=progress)
    if as_json:
        print_json({"disclaimer": NOT_A_MEDICAL_DEVICE, **inspection.to_dict(identify=arguments.identify)})
    else:
        from .tables import print_inspection

        print_inspection(inspection, identify=arguments.identify)
        print()
        print(NOT_A_MEDICAL_DEVICE)
    return 0 if inspection.chosen and not inspection.problem else 1


def _add_phantom(commands) -> None:
    parser = _command(
        commands, "phantom", _phantom, "write the embedded patient as a DICOM CT series with its true label map"
    )
    parser.add_argument("--out", metavar="DIR", type=path, required=True, help="folder to write")
    parser.add_argument("--shape", type=int, nargs=3, metavar=("I", "J", "K"), default=(256, 256, 160), help="voxels")
    parser.add_argument("--phase", choices=("native", "arterial", "portal"), default="portal", help="contrast phase")
    seeds = number_within(int, 0, 2**63 - 1, "a whole number, 0 or more")
    parser.add_argument("--seed", type=seeds, default=0, help="noise, texture and variation")
    parser.add_argument(
        "--variation",
        type=number_within(float, 0, 1, "a number from 0 to 1"),
        default=0.0,
        help="how far the anatomy departs from the textbook, 0 to 1",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier phantom")


def _phantom(arguments: argparse.Namespace) -> int:
    from .phantom_export import export_phantom
    from .progress_bar import progress_bar

    with progress_bar("phantom") as progress:
        summary = export_phantom(
            arguments.out,
            shape=tuple(arguments.shape),
            phase=arguments.phase,
            seed=arguments.seed,
            variation=arguments.variation,
            overwrite=arguments.overwrite,
            progress=progress,
        )
    print(summary)
    print()
    print(NOT_A_MEDICAL_DEVICE)
    return 0


def _add_run(commands) -> None:
    parser = _command(commands, "run", _run, "run a scene: scan, segmentation, meshes, physics, pictures, report")
    parser.add_argument("scene", metavar="SCENE", help="a built-in name (see `preop scenes`) or a YAML file")
    parser.add_argument(
        "--dicom", metavar="PATH", type=path, help="the patient: a folder, a zip, or a NIfTI/NRRD/MHA volume"
    )
    parser.add_argument("--out", metavar="DIR", type=path, help="result folder (default: results/SCENE-TIME)")
    parser.add_argument("--device", choices=("auto", "cpu", "gpu"), default="auto", help="where to compute")
    parser.add_argument(
        "--set",
        metavar="KEY=VALUE",
        action="append",
        default=[],
        dest="overrides",
        help="change one key of the scene; may be repeated",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier result")
    parser.add_argument("--no-pictures", action="store_true", help="numbers and meshes only")
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")


def _run(arguments: argparse.Namespace) -> int:
    from .run_command import run_command

    return run_command(arguments)


def _add_view(commands) -> None:
    parser = _command(commands, "view", _view, "show a result in a window, or its stills when there is no display")
    parser.add_argument("result", metavar="RESULT", type=path, help="a folder that `preop run` wrote")


def _view(arguments: argparse.Namespace) -> int:
    from .progress_bar import progress_bar
    from .viewer import view_result

    with progress_bar("stills") as progress:
        return view_result(arguments.result, progress=progress)


def _add_scenes(commands) -> None:
    parser = _command(commands, "scenes", _scenes, "list the built-in scenes and what each needs")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--show", metavar="NAME", help="print one scene's YAML, to start your own from")


def _scenes(arguments: argparse.Namespace) -> int:
    from .scene_list import print_scene, print_scenes

    return print_scene(arguments.show) if arguments.show else print_scenes(as_json=arguments.json)


def _add_compare(commands) -> None:
    parser = _command(
        commands, "compare", _compare, "compare two segmentations: Dice, 95 %% Hausdorff distance, volumes"
    )
    parser.description = (
        f"{parser.description} The exit status is 1 where both sides have two segments or more and most of them miss "
        "each other (median Dice below 0.005), as those of two scans do; surface distances are then not measured. "
        "A whole, such as the kidneys beside the left and the right one, does not count: it meets where its parts do."
    )
    parser.add_argument(
        "labels", metavar="LABELS", type=path, help="a label map, a folder of masks, or a result folder"
    )
    parser.add_argument("truth", metavar="TRUTH", type=path, help="the same, taken as true")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="only these segments")
    parser.add_argument("--json", action="store_true", help="print JSON")


def _compare(arguments: argparse.Namespace) -> int:
    from .compare_command import compare_command

    return compare_command(arguments)


def _add_verify(commands) -> None:
    parser = _command(
        commands, "verify", _verify, "compute reference problems with known answers and compare them with their sources"
    )
    parser.description = (
        f"{parser.description} A table of every reference: source, value, computed value, error, limit, mesh and time. "
        "The exit status is 0 where all are within their limits, 1 otherwise. What needs data that is not here is left "
        "out, and told."
    )
    parser.add_argument("subject", metavar="SUBJECT", choices=("tissue",), help="tissue")
    parser.add_argument("--case", metavar="PATTERN", default="*", help="only cases of this name; * and ? stand for any")
    length = parser.add_mutually_exclusive_group()
    length.add_argument("--quick", action="store_true", help="only those that take seconds")
    length.add_argument("--full", action="store_true", help="all (the default)")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--markdown", action="store_true", help="print the table of docs/verification.md")
    parser.add_argument("--list", action="store_true", help="name the cases and compute nothing")
    parser.add_argument("--device", choices=("auto", "cpu", "gpu"), default="cpu", help="where to compute")


def _verify(arguments: argparse.Namespace) -> int:
    from .verify_command import verify_command

    return verify_command(arguments)


def _fail(line: str) -> int:
    # The terminal may be gone: what was to be told is lost, the exit code is not.
    with contextlib.suppress(OSError):
        print(f"preop: {line}", file=sys.stderr)
    return 2


def _clean_up_when_ended() -> None:
    """A batch system ends a job with SIGTERM, a dropped ssh line with SIGHUP: clean up as after Ctrl-C."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # Under `nohup` SIGHUP is ignored, and stays so.
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(*_: object) -> None:
    # Both may come, one after the other: the second must not break into the cleaning up after the first.
    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
