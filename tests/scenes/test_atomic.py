"""A result folder appears whole or not at all."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from preop.imaging.errors import MeshError, PreopError, write_error
from preop.scenes import leftovers, swap
from preop.scenes.atomic import MARK, atomic_folder, file_error, require_free
from preop.scenes.manifest import add_to_manifest


def write_and_fail(target, error, **options):
    with atomic_folder(target, **options) as folder:
        (folder / MARK).write_text("{}")
        raise error


def test_a_new_folder_and_its_parents_appear_at_the_end(tmp_path):
    target = tmp_path / "a" / "b"
    with atomic_folder(target) as folder:
        (folder / "x").write_text("1")
        assert not target.exists()
    assert (target / "x").read_text(encoding="utf-8") == "1"
    assert os.listdir(tmp_path / "a") == ["b"]


@pytest.mark.parametrize("error", [RuntimeError("x"), KeyboardInterrupt(), OSError(errno.ENOSPC, "no space")])
def test_nothing_is_left_after_a_failure(tmp_path, error):
    with pytest.raises((RuntimeError, KeyboardInterrupt, PreopError)):
        write_and_fail(tmp_path / "a" / "b", error)
    assert os.listdir(tmp_path) == []


def test_a_full_disk_is_one_line(tmp_path):
    with pytest.raises(PreopError, match="the disk is full") as caught:
        write_and_fail(tmp_path / "out", OSError(errno.ENOSPC, "No space left on device"))
    assert str(tmp_path / "out") in caught.value.line()


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("ImageIO could not write\nthe slice"), "cannot be written (ImageIO could not write the slice)."),
        (OSError(errno.EIO, "Input/output error"), "the file system says: Input/output error."),
        (OSError(errno.ENOSPC, "No space left on device"), "the disk is full."),
    ],
)
def test_what_a_library_could_not_write_is_told_once_and_at_the_target(tmp_path, error, said):
    def write():
        with atomic_folder(tmp_path / "out") as folder:
            raise write_error(error, str(folder / "dicom" / "CT0001.dcm")) from error

    with pytest.raises(PreopError) as caught:
        write()
    line = caught.value.line()
    assert line.startswith(f"{tmp_path / 'out'}: {said}")
    assert ".partial" not in line
    assert line.count(str(tmp_path)) == 1


def test_an_error_in_the_working_folder_names_the_target_and_keeps_its_kind(tmp_path):
    def fail(where, what):
        with atomic_folder(tmp_path / "out") as folder:
            raise MeshError(what.format(folder), where=where.format(folder), advice="Look there")

    for where, what, line in (
        ("{}/surfaces/liver.vtp", "is empty", f"{tmp_path / 'out'}: is empty. Look there"),
        ("liver", "no file in {}/surfaces", f"liver: no file in {tmp_path / 'out'}/surfaces. Look there"),
        ("/elsewhere/a", "is empty", "/elsewhere/a: is empty. Look there"),
    ):
        with pytest.raises(MeshError) as caught:
            fail(where, what)
        assert caught.value.line() == str(caught.value) == line
    assert os.listdir(tmp_path) == []


def test_an_earlier_result_survives_a_failed_overwrite(tmp_path):
    target = tmp_path / "out"
    with atomic_folder(target) as folder:
        (folder / MARK).write_text("old")
    with pytest.raises(RuntimeError):
        write_and_fail(target, RuntimeError(), overwrite=True)
    assert (target / MARK).read_text(encoding="utf-8") == "old"
    with atomic_folder(target, overwrite=True) as folder:
        (folder / MARK).write_text("new")
    assert (target / MARK).read_text(encoding="utf-8") == "new"
    assert os.listdir(tmp_path) == ["out"]


def test_what_preop_did_not_write_is_not_touched(tmp_path):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "mine.txt").write_text("x")
    with pytest.raises(PreopError, match="already holds files"):
        require_free(tmp_path / "letters", overwrite=False)
    with pytest.raises(PreopError, match="did not write"):
        require_free(tmp_path / "letters", overwrite=True)
    with pytest.raises(PreopError, match="is a file"):
        require_free(tmp_path / "letters" / "mine.txt", overwrite=True)


def a_result(target, text="old", **options):
    with atomic_folder(target, **options) as folder:
        (folder / "stills").mkdir()
        (folder / "stills" / "a.png").write_text(text)
        (folder / MARK).write_text(text)
    return target


@pytest.mark.parametrize("mine", ["thesis.tex", "stills/thesis.tex", "link"])
def test_a_file_among_those_of_preop_is_not_lost(tmp_path, mine):
    target = a_result(tmp_path / "out")
    if mine == "link":
        (target / mine).symlink_to(tmp_path)
    else:
        (target / mine).write_text("years of work")
    with pytest.raises(PreopError, match=f"preop did not write, such as {mine}"):
        a_result(target, "new", overwrite=True)
    assert (target / mine).exists()
    assert (target / MARK).read_text(encoding="utf-8") == "old"


@pytest.mark.parametrize(
    "manifest", ["", "[]", '{"files": ["thesis.tex"]}', '{"made_by": "me", "files": ["thesis.tex"]}']
)
def test_a_name_alone_does_not_make_a_folder_ours(tmp_path, manifest):
    """A result.json or a manifest of somebody else's."""
    for name, text in ((MARK, "{}"), ("manifest.json", manifest), ("thesis.tex", "years of work")):
        (tmp_path / name).write_text(text)
    with pytest.raises(PreopError, match=r"preop did not write, such as thesis\.tex"):
        require_free(tmp_path, overwrite=True)


def test_what_preop_wrote_later_and_what_file_browsers_leave_may_go(tmp_path):
    target = a_result(tmp_path / "out")
    (target / "stills" / "b.png").write_text("x")
    add_to_manifest(target, [target / "stills" / "b.png"])
    (target / ".DS_Store").write_text("x")
    a_result(target, "new", overwrite=True)
    assert (target / MARK).read_text(encoding="utf-8") == "new"
    assert not (target / ".DS_Store").exists()


@pytest.mark.parametrize("exchange", [True, False])
@pytest.mark.parametrize("error", [OSError(errno.EIO, "I/O error"), KeyboardInterrupt()])
def test_the_old_result_comes_back_when_the_new_one_cannot_take_its_place(tmp_path, monkeypatch, exchange, error):
    target = a_result(tmp_path / "out")
    if not exchange:
        monkeypatch.setattr(swap, "exchange", lambda *_: False)
    rename = os.rename

    def failing(one, other):
        if str(one).endswith(".partial"):
            raise error
        rename(one, other)

    monkeypatch.setattr(os, "rename", failing)
    if exchange and swap.exchange(tmp_path / "out", tmp_path / "out"):
        a_result(target, "new", overwrite=True)
        assert (target / MARK).read_text(encoding="utf-8") == "new"
    else:
        with pytest.raises((PreopError, KeyboardInterrupt)):
            a_result(target, "new", overwrite=True)
        assert (target / MARK).read_text(encoding="utf-8") == "old"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("new_in_place", [True, False])
def test_the_next_run_mends_a_swap_that_was_killed(tmp_path, new_in_place):
    """Killed between the two renames, or before the old folder was deleted."""
    target = a_result(tmp_path / "out")
    os.rename(target, tmp_path / ".out.replaced")
    if new_in_place:
        a_result(tmp_path / "elsewhere", "new").rename(target)
    with pytest.raises(PreopError, match="already holds files"):
        require_free(target, overwrite=False)
    assert (target / MARK).read_text(encoding="utf-8") == ("new" if new_in_place else "old")
    assert os.listdir(tmp_path) == ["out"]


def test_the_rests_of_killed_runs_go_and_those_of_running_ones_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(leftovers, "_GRACE_SECONDS", 0.0)
    (tmp_path / ".out.dead.partial").mkdir()
    (tmp_path / ".out.dead.partial" / "x").write_text("1")
    with atomic_folder(tmp_path / "out") as mine:
        require_free(tmp_path / "out", overwrite=False)
        assert os.listdir(tmp_path) == [mine.name]


def test_a_place_that_was_filled_meanwhile_is_not_overwritten(tmp_path):
    target = tmp_path / "out"

    def write_while_somebody_else_does():
        with atomic_folder(target) as folder:
            (folder / MARK).write_text("mine")
            target.mkdir()
            (target / "theirs").write_text("x")

    with pytest.raises(PreopError, match="out-2") as caught:
        write_while_somebody_else_does()
    assert "meanwhile" in caught.value.line()
    assert (target / "theirs").exists()
    assert (tmp_path / "out-2" / MARK).read_text(encoding="utf-8") == "mine"


def test_a_link_to_a_folder_is_followed(tmp_path):
    target = a_result(tmp_path / "there")
    (tmp_path / "link").symlink_to(target)
    a_result(tmp_path / "link", "new", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (target / MARK).read_text(encoding="utf-8") == "new"


@pytest.mark.parametrize(
    ("name", "said"),
    [("/dev/null", "device"), ("nowhere", "leads nowhere"), ("nowhere/below", "leads nowhere"),
     ("new/..", "you are in"), (".", "you are in"), ("..", "you are in"),
     ("letter.txt/out", "is a file"), ("/", "cannot be replaced"),
     ("/dev/shm", "mount point"), ("x" * 300, "file system says"), ("/proc/preop/out", "file system says")],
)  # fmt: skip
def test_a_place_that_can_never_work_is_refused_at_once(tmp_path, monkeypatch, name, said):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "here" / "nowhere").symlink_to("not/there")
    (tmp_path / "here" / "letter.txt").write_text("x")
    if name == "/dev/shm" and not os.path.ismount(name):
        pytest.skip("/dev/shm is no mount point here")
    with pytest.raises(PreopError, match=said):
        require_free(Path(name), overwrite=True)
    assert sorted(os.listdir(tmp_path / "here")) == ["letter.txt", "nowhere"]


def test_a_file_that_cannot_be_read_is_not_told_as_one_that_cannot_be_written():
    error = PermissionError(errno.EACCES, "Permission denied", "/scans/0001.dcm")
    assert file_error(error).line().startswith("/scans/0001.dcm: permission denied")


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "out").mkdir()
    with atomic_folder(tmp_path / "out") as folder:
        (folder / "x").write_text("1")
    assert (tmp_path / "out" / "x").exists()


def test_where_no_folder_can_be_made_the_name_given_is_told(tmp_path, monkeypatch):
    """As below /proc: the file system names the trial folder, which nobody has heard of."""

    def refuse(*, prefix, suffix, dir):
        raise FileNotFoundError(errno.ENOENT, "No such file or directory", f"{dir}/{prefix}abcd1234{suffix}")

    monkeypatch.setattr("tempfile.mkdtemp", refuse)
    with pytest.raises(PreopError) as caught:
        require_free(tmp_path / "out", overwrite=False)
    line = caught.value.line()
    assert line.startswith(f"{tmp_path / 'out'}: no folder can be made there")
    assert ".partial" not in line
