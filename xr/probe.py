"""What OpenXR offers on this machine: binding, loader, the active runtime, its name and extensions.

The runtime is asked in a process of its own: a runtime is foreign code, may crash, and may
start services. Imports nothing heavy.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from dataclasses import asdict, dataclass, replace
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType

from ..imaging.errors import MissingLibraryError

_SECONDS = 30
_RELATIVE = Path("openxr") / "1"
_NO_BINDING = "In preop's folder run: make setup"
_NO_RUNTIME = "Install and start a headset's OpenXR runtime (SteamVR, Monado, WiVRn), or set XR_RUNTIME_JSON"
_BROKEN_RUNTIME = "Start the runtime's service or its program, or make another runtime the active one"


@dataclass(frozen=True)
class RuntimeReport:
    """The OpenXR runtime as found.

    Attributes:
        binding: version of pyopenxr, "" where it is not installed.
        loader: whether the OpenXR loader (brought by pyopenxr) could be loaded.
        manifest: path of the active runtime's JSON manifest, "" where none is set.
        library: the runtime's shared library as the manifest names it.
        name: the runtime's own name, "" where no instance could be made.
        version: the runtime's version.
        extensions: names of the instance extensions it offers.
        reason: one line on why there is no runtime, "" where there is one.
        advice: the next step, "" where none is needed.
    """

    binding: str = ""
    loader: bool = False
    manifest: str = ""
    library: str = ""
    name: str = ""
    version: str = ""
    extensions: tuple[str, ...] = ()
    reason: str = ""
    advice: str = ""

    @property
    def works(self) -> bool:
        """Whether an instance could be made."""
        return not self.reason

    def to_dict(self) -> dict[str, object]:
        """Plain values, for JSON."""
        return asdict(self)


def runtime_report() -> RuntimeReport:
    """Look for the binding and the active runtime, and ask the runtime who it is. Never raises for a missing part."""
    manifest = find_manifest()
    known = RuntimeReport(
        binding=_binding_version(),
        manifest=str(manifest or ""),
        library=_library_of(manifest) if manifest else "",
    )
    if not known.binding:
        return replace(known, reason="pyopenxr is not installed", advice=_NO_BINDING)
    asked = _ask_in_a_process()
    known = replace(known, **asked)
    if known.reason and known.loader:
        if manifest is None:
            return replace(known, reason="no active OpenXR runtime is set", advice=_NO_RUNTIME)
        return replace(known, reason=f"{manifest}: {known.reason}", advice=_BROKEN_RUNTIME)
    return known


def find_manifest() -> Path | None:
    """The active runtime's manifest, looked for where the OpenXR loader looks on Linux.

    `XR_RUNTIME_JSON` wins; then `openxr/1/active_runtime.<arch>.json`, then the same without the architecture, in the
    user's XDG configuration folder, the system's, and /etc (OpenXR loader specification, "Linux Active Runtime
    Location"). The manifest named by the variable is returned even if it does not exist: the loader takes no other.
    """
    named = os.environ.get("XR_RUNTIME_JSON")
    if named:
        return Path(named)
    home = os.environ.get("XDG_CONFIG_HOME") or _home_configuration()
    system = os.environ.get("XDG_CONFIG_DIRS") or "/etc/xdg"
    folders = [Path(folder) / _RELATIVE for folder in (home, *system.split(os.pathsep), "/etc") if folder]
    names = (f"active_runtime.{platform.machine()}.json", "active_runtime.json")
    candidates = (folder / name for name in names for folder in folders)
    return next((path for path in candidates if path.is_file()), None)


def _home_configuration() -> str:
    """The user's configuration folder; empty for a user without a home, as a container may run one."""
    try:
        return str(Path.home() / ".config")
    except RuntimeError:
        return ""


def _library_of(manifest: Path) -> str:
    try:
        return str(json.loads(manifest.read_text(encoding="utf-8"))["runtime"]["library_path"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _binding_version() -> str:
    try:
        return version("pyopenxr")
    except PackageNotFoundError:
        return ""


def _ask_in_a_process() -> dict:
    """The fields that only the runtime itself can fill."""
    command = [sys.executable, "-m", __name__]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return {"loader": True, "reason": f"the runtime did not answer within {_SECONDS} s"}
    if done.returncode == 0:
        answer = json.loads(done.stdout.splitlines()[-1])
        return answer | {"extensions": tuple(answer.get("extensions", ()))}
    if done.returncode < 0:
        return {"loader": True, "reason": f"the runtime crashed (signal {-done.returncode})"}
    told = [line for line in done.stderr.splitlines() if line.strip()]
    return {"reason": told[-1] if told else f"asking the runtime failed (exit {done.returncode})"}


def ask_runtime() -> dict[str, object]:
    """Load the binding, make an instance and read its properties, in this process."""
    from .binding import load_openxr

    try:
        openxr = load_openxr()
    except MissingLibraryError as error:
        return {"loader": False, "reason": error.what, "advice": error.advice}
    try:
        return {"loader": True} | _properties(openxr)
    except openxr.exception.XrException as error:
        return {"loader": True, "reason": " ".join(str(error).split()).rstrip(".") or type(error).__name__}


def _properties(openxr: ModuleType) -> dict[str, object]:
    extensions = sorted(_text(p.extension_name) for p in openxr.enumerate_instance_extension_properties())
    information = openxr.ApplicationInfo(
        application_name="preop doctor", application_version=1, engine_name="preop", engine_version=1,
        # 1.0 is what every runtime can do.
        api_version=openxr.Version(1, 0, 0),
    )  # fmt: skip
    instance = openxr.create_instance(openxr.InstanceCreateInfo(application_info=information))
    try:
        told = openxr.get_instance_properties(instance)
        number = openxr.Version(told.runtime_version)
        return {
            "name": _text(told.runtime_name),
            "version": f"{number.major}.{number.minor}.{number.patch}",
            "extensions": extensions,
        }
    finally:
        openxr.destroy_instance(instance)


def _text(value: bytes | str) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


if __name__ == "__main__":
    print(json.dumps(ask_runtime()))
