"""The doctor's findings as tables for a person."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.table import Table

_PLATFORM_NAMES = {"gpu": "GPU", "cuda": "GPU", "rocm": "GPU", "cpu": "CPU", "tpu": "TPU"}


def print_findings(found: dict[str, Any], *, every_package: bool = False) -> None:
    """Print the findings of `doctor.examine`: the verdicts first, then the machine, on demand the packages."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"[bold]preop {found['preop']}[/bold]")
    if not found["problems"]:
        console.print("[green]ok[/green]        `preop run` has all it needs.")
    for problem in found["problems"]:
        console.print(f"[bold red]needed[/bold red]    {escape(problem)}", soft_wrap=True)
    for note in found["notes"]:
        console.print(f"[yellow]optional[/yellow]  {escape(note)}", soft_wrap=True)

    console.print()
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(found):
        table.add_row(name, escape(value))
    console.print(table)
    if every_package:
        console.print()
        console.print(_packages(found["packages"]))
    else:
        console.print("The packages and their versions: preop doctor --all", style="dim")
    console.print()
    console.print(found["not_a_medical_device"], soft_wrap=True)


def _packages(packages: list[dict[str, Any]]) -> Table:
    """Each package once, for what `preop run` or the first of the extras needs it."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="dim")
    for heading in ("package", "installed", "wanted", "for"):
        table.add_column(heading)
    listed: set[str] = set()
    for package in packages:
        if package["name"] in listed:
            continue
        listed.add(package["name"])
        # What is optional and absent is no fault.
        colour = "yellow" if package["extra"] else "red"
        installed = escape(package["installed"] or "missing")
        shown = installed if package["fits"] else f"[{colour}]{installed}[/{colour}]"
        table.add_row(package["name"], shown, escape(package["wanted"]), package["extra"] or "preop run")
    return table


def _rows(found: dict[str, Any]) -> Iterable[tuple[str, str]]:
    machine = found["machine"]
    yield "Python", found["python"]
    yield "system", machine["platform"]
    yield "processor", f"{machine['processor']}, {machine['cores']} cores usable"
    yield "memory", f"{_known(machine['memory_gib'])} GiB, {_known(machine['memory_available_gib'])} GiB available"
    yield "disk", f"{machine['disk_free_gib']} GiB free here"
    yield "display", machine["display"]
    yield "JAX", _jax(found["jax"])
    yield "OpenGL", _gl(found["gl"])
    yield "OpenXR", _openxr(found["openxr"])
    names = ", ".join(library["name"] for library in found["libraries"])
    yield "shared libraries", f"missing: {names}" if names else "all there"


def _jax(jax: dict[str, Any]) -> str:
    if "error" in jax:
        return jax["error"]
    devices = ", ".join(
        f"{_PLATFORM_NAMES.get(device['platform'], device['platform'])} {device['kind']}".replace("CPU cpu", "CPU")
        for device in jax["devices"]
    )
    return f"{jax['jax']} (jaxlib {jax['jaxlib']}), default backend {jax['backend']}; devices: {devices}"


def _gl(gl: dict[str, str]) -> str:
    if gl["error"]:
        return gl["error"]
    return f"{gl['renderer']}, {gl['vendor']}, {gl['version']} ({gl['window_class']}, off screen)"


def _openxr(openxr: dict[str, Any]) -> str:
    binding = f"pyopenxr {openxr['binding']}" if openxr["binding"] else "no binding"
    if openxr["reason"]:
        return f"{openxr['reason']} ({binding})"
    return f"{openxr['name']} {openxr['version']}, {len(openxr['extensions'])} extensions ({binding})"


def _known(value: float | None) -> str:
    return "?" if value is None else f"{value:g}"
