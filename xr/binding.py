"""The only importer of pyopenxr.

pyopenxr's import name is `xr`, and so is the name of this folder. With the repository's root
on `sys.path` a plain `import xr` finds the folder. Here pyopenxr is found by its
distribution's metadata instead and loaded from its own file.
"""

from __future__ import annotations

import importlib.util
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from types import ModuleType

from ..imaging.errors import MissingLibraryError
from ..scenes.gl import can_load

_NAME = "xr"
_DISTRIBUTION = "pyopenxr"


def load_openxr() -> ModuleType:
    """pyopenxr's module, loaded once.

    Raises:
        MissingLibraryError: pyopenxr is not installed, or a shared library that it needs is missing.
    """
    init = _init_file()
    loaded = sys.modules.get(_NAME)
    if loaded is not None and _is_file(loaded, init):
        return loaded
    spec = importlib.util.spec_from_file_location(_NAME, init, submodule_search_locations=[str(init.parent)])
    if spec is None or spec.loader is None:
        raise MissingLibraryError("pyopenxr cannot be loaded", where=str(init), advice="Install it again")
    before = {name: module for name, module in sys.modules.items() if _is_ours(name)}
    for name in before:
        del sys.modules[name]
    module = importlib.util.module_from_spec(spec)
    # Its own submodules say `from . import …` and look it up under this name.
    sys.modules[_NAME] = module
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        # A binding of C libraries fails in many ways (ImportError, OSError, AttributeError of a library not found).
        for name in [name for name in sys.modules if _is_ours(name)]:
            del sys.modules[name]
        sys.modules.update(before)
        raise _told(error) from error
    return module


def _init_file() -> Path:
    try:
        located = distribution(_DISTRIBUTION).locate_file("xr/__init__.py")
    except PackageNotFoundError:
        located = None
    init = Path(str(located)).resolve() if located is not None else None
    if init is None or not init.is_file():
        raise MissingLibraryError(
            "pyopenxr is not installed", advice="In preop's folder run: make setup EXTRAS=viewer,xr,dev"
        )
    return init


def _told(error: Exception) -> MissingLibraryError:
    if sys.platform.startswith("linux") and not can_load("libGL.so.1"):
        return MissingLibraryError(
            "the headset binding needs OpenGL, and libGL.so.1 is missing",
            advice="`preop doctor` names the package that holds libGL.so.1",
        )
    return MissingLibraryError(
        f"pyopenxr cannot be loaded: {type(error).__name__}: {error}",
        advice="In preop's folder run: make distclean setup",
    )


def _is_ours(name: str) -> bool:
    return name == _NAME or name.startswith(f"{_NAME}.")


def _is_file(module: ModuleType, path: Path) -> bool:
    return module.__file__ is not None and Path(module.__file__).resolve() == path
