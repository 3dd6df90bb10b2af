"""`preop scenes`."""

from __future__ import annotations

from importlib import resources

from ..imaging.errors import NOT_A_MEDICAL_DEVICE, SceneError
from .json_output import print_json


def print_scenes(*, as_json: bool) -> int:
    """The built-in scenes with what they show and need."""
    from .scene_file import builtin_names, load_scene

    scenes = [load_scene(name) for name in builtin_names()]
    if as_json:
        keys = ("name", "title", "description", "needs", "procedure")
        print_json([{key: getattr(scene, key) for key in keys} for scene in scenes])
        return 0
    from rich.console import Console

    console = Console(highlight=False)
    for scene in scenes:
        console.print(f"[bold]{scene.name}[/bold]  {scene.title}")
        console.print(f"  {scene.description}", markup=False)
        console.print(f"  Needs: {scene.needs}\n", markup=False)
    console.print("Run one with: preop run NAME [--dicom PATH]. Print one with: preop scenes --show NAME\n")
    console.print(NOT_A_MEDICAL_DEVICE)
    return 0


def print_scene(name: str) -> int:
    """One built-in scene's YAML, to copy and change."""
    from .scene_file import builtin_names

    if name not in builtin_names():
        raise SceneError("no such built-in scene", where=name, advice=f"There are {', '.join(builtin_names())}")
    print((resources.files("preop.scenes.builtin") / f"{name}.yaml").read_text(encoding="utf-8"), end="")
    return 0
