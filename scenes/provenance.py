"""Where a result came from: hashes, versions, device, times."""

from __future__ import annotations

import hashlib
import os
import platform
from importlib import metadata
from pathlib import Path

_PACKAGES = (
    "preop",
    "numpy",
    "scipy",
    "jax",
    "jaxlib",
    "equinox",
    "pyamg",
    "pydicom",
    "SimpleITK",
    "scikit-image",
    "vtk",
    "pyvista",
    "trimesh",
    "pytetwild",
)


def hash_input(path: Path) -> str:
    """SHA-256 of a file, or of the sorted relative names and contents of a folder."""
    digest = hashlib.sha256()
    if path.is_dir():
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            digest.update(str(file.relative_to(path)).encode() + b"\0")
            _feed(digest, file)
    else:
        _feed(digest, path)
    return digest.hexdigest()


def _feed(digest: hashlib._Hash, file: Path) -> None:
    with file.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)


def versions() -> dict[str, str]:
    """Versions of preop and of what computed the numbers."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def machine() -> dict[str, str | int]:
    """The machine in general terms; no host name and no user name."""
    return {"system": platform.system(), "architecture": platform.machine(), "cores": os.cpu_count() or 1}
