"""The doctor's findings as tables for a person."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

_PLATFORM_NAMES = {"gpu": "GPU", "cuda": "GPU", "rocm": "GPU", "cpu": "CPU", "tpu": "TPU"}


def print_findings(found: dict[str, Any]) -> None:
    """Print the findings of `doctor.examine`."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    table = Table(title=f"preop {found['preop']}", title_justify="left", show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _rows(found):
        table.add_row(name, escape(value))
    console.print(table)

    packages = Table(title="Packages", title_justify="left")
    for heading in ("package", "installed", "wanted", "for"):
        packages.add_column(heading)
    for package in found["packages"]:
        installed = (
            escape(package["installed"]) if package["fits"] else f"[red]{package['installed'] or 'missing'}[/red]"
        )
        packages.add_row(package["name"], installed, escape(package["wanted"]), package["extra"] or "preop run")
    console.print(packages)

    for problem in found["problems"]:
        console.print(f"[bold red]needed[/bold red]  {escape(problem)}", soft_wrap=True)
    for note in found["notes"]:
        console.print(f"[yellow]optional[/yellow]  {escape(note)}", soft_wrap=True)
    if not found["problems"]:
        console.print("[green]`preop run` has all it needs.[/green]")
    console.print(found["not_a_medical_device"], soft_wrap=True)


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
