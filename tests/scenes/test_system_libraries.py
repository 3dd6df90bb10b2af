"""Missing shared libraries are found and turned into one command of the package manager at hand."""

from __future__ import annotations

import pytest

from preop.scenes import system_libraries as system

ABSENT = system.SystemLibrary(
    "libno-such-library.so.9", "testing", {"apt-get": "a", "dnf": "d", "zypper": "z", "pacman": "p"}
)
LIBC = system.SystemLibrary("libc.so.6", "everything", ABSENT.packages)


@pytest.mark.skipif(not system.sys.platform.startswith("linux"), reason="looked for on Linux only")
def test_only_what_the_loader_does_not_find_is_missing() -> None:
    assert system.missing([ABSENT, LIBC]) == [ABSENT]


def test_nothing_is_missing_where_wheels_bring_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system.sys, "platform", "darwin")
    assert system.missing([ABSENT]) == []


@pytest.mark.parametrize("manager", ["apt-get", "dnf", "zypper", "pacman"])
def test_every_library_has_a_package_everywhere(manager: str) -> None:
    assert all(library.packages[manager] for library in (*system.NEEDED, system.DRIVER, *system.VIEWER))


def test_a_package_that_holds_two_libraries_is_named_once() -> None:
    assert system.packages([ABSENT, LIBC], "dnf") == ["d"]


def test_apt_is_told_to_look_at_its_sources_first() -> None:
    """On a fresh machine its list of packages is empty."""
    steps = system.install_steps([ABSENT], "apt-get")
    assert [step[:2] for step in steps] == [["apt-get", "update"], ["apt-get", "install"]]
    assert len(system.install_steps([ABSENT], "dnf")) == 1


@pytest.mark.parametrize(("user", "command"), [(0, "Run: zypper"), (1000, "Run: sudo zypper")])
def test_advice_fits_the_user(monkeypatch: pytest.MonkeyPatch, user: int, command: str) -> None:
    monkeypatch.setattr(system, "package_manager", lambda: "zypper")
    monkeypatch.setattr(system.os, "geteuid", lambda: user)
    told = system.advice([ABSENT])
    assert told.startswith(command)
    assert told.endswith(" z")


def test_unknown_package_manager_still_names_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system, "package_manager", lambda: None)
    assert ABSENT.name in system.advice([ABSENT])


def test_no_right_to_install_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(system.os, "geteuid", lambda: 1000)
    monkeypatch.setattr(system.shutil, "which", lambda name: None)
    assert system.privilege() is None
    monkeypatch.setattr(system.os, "geteuid", lambda: 0)
    assert system.privilege() == []
