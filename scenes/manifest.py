"""`manifest.json`: which files of a folder preop wrote, so that nothing else is ever replaced."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

MANIFEST = "manifest.json"
_MAKER = "preop"
_OF_THE_SYSTEM = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
"""What file browsers leave behind in any folder they look into."""


def write_manifest(folder: Path) -> None:
    """List every file that the folder holds as written by preop."""
    _save(folder, sorted(_entries(folder)))


def add_to_manifest(folder: Path, files: Iterable[Path]) -> None:
    """List further files that preop wrote into a folder of its own; nothing where the folder is not its own."""
    known = _listed(folder)
    if known is not None:
        _save(folder, sorted(known | {file.relative_to(folder).as_posix() for file in files}))


def foreign_file(folder: Path) -> str | None:
    """A file in the folder that preop did not write, relative to it; None where there is none."""
    known = _listed(folder) or frozenset()
    names = (name for name in _entries(folder) if name not in known and name.rsplit("/", 1)[-1] not in _OF_THE_SYSTEM)
    # The one whose name no result has says most.
    return min(names, key=lambda name: (name in ("result.json", MANIFEST), name), default=None)


def _listed(folder: Path) -> frozenset[str] | None:
    """The files of the manifest and the manifest itself; None where there is no manifest of preop's."""
    try:
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if data["made_by"] != _MAKER:
            return None
        return frozenset(data["files"]) | {MANIFEST}
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _save(folder: Path, files: Iterable[str]) -> None:
    from importlib.metadata import version

    data = {"made_by": _MAKER, "version": version("preop"), "files": [name for name in files if name != MANIFEST]}
    beside = folder / f".{MANIFEST}.partial"
    beside.write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")
    os.replace(beside, folder / MANIFEST)


def _entries(folder: Path) -> Iterator[str]:
    """Files and links, relative, with forward slashes; links are not followed."""
    for parent, folders, files in os.walk(folder):
        links = [name for name in folders if (Path(parent) / name).is_symlink()]
        for name in (*files, *links):
            yield (Path(parent) / name).relative_to(folder).as_posix()
