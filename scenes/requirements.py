"""What preop's own metadata asks for against what is installed. Imports none of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_OPTIONAL = ("viewer", "xr", "gpu", "batch", "dev")


@dataclass(frozen=True)
class Dependency:
    """One requirement of preop.

    Attributes:
        name: the distribution's name.
        wanted: the version range, "" for any.
        installed: the installed version, "" where it is not installed.
        extra: the extra that asks for it, "" for what `preop run` needs.
        fits: whether it is installed in that range.
    """

    name: str
    wanted: str
    installed: str
    extra: str
    fits: bool

    def to_dict(self) -> dict[str, object]:
        """Plain values, for JSON."""
        return asdict(self)


def dependencies(distribution: str = "preop") -> list[Dependency]:
    """Every requirement that applies to this platform, those of `preop run` first, then extra by extra."""
    from packaging.requirements import Requirement

    found: dict[tuple[str, str], Dependency] = {}
    for line in requires(distribution) or ():
        requirement = Requirement(line)
        extra = _extra_of(requirement)
        if extra is None:
            continue
        for asked in (requirement, *_asked_by_extras(requirement)):
            found[extra, asked.name] = _compare(asked, extra)
    return list(found.values())


def _compare(requirement: Requirement, extra: str) -> Dependency:
    installed = _installed(requirement.name)
    fits = bool(installed) and requirement.specifier.contains(installed, prereleases=True)
    return Dependency(requirement.name, str(requirement.specifier), installed, extra, fits)


def _asked_by_extras(requirement: Requirement) -> Iterator[Requirement]:
    """What a requirement such as `jax[cuda13]` asks for beyond jax itself; nothing where jax is not installed."""
    from packaging.requirements import Requirement

    lines = (requires(requirement.name) or ()) if requirement.extras and _installed(requirement.name) else ()
    for asked in (Requirement(line) for line in lines):
        marker = asked.marker
        if marker is None or marker.evaluate({"extra": ""}):
            continue
        if any(marker.evaluate({"extra": extra}) for extra in requirement.extras):
            yield asked


def _extra_of(requirement: Requirement) -> str | None:
    """ "" for a plain requirement, the extra's name for an optional one, None where it does not apply here."""
    if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
        return ""
    return next((extra for extra in _OPTIONAL if requirement.marker.evaluate({"extra": extra})), None)


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
