"""A result folder appears whole or not at all."""

from __future__ import annotations

import errno
import os

import pytest

from preop.imaging.errors import PreopError
from preop.scenes.atomic import MARK, atomic_folder, require_free


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


def test_an_empty_folder_may_be_filled(tmp_path):
    (tmp_path / "out").mkdir()
    with atomic_folder(tmp_path / "out") as folder:
        (folder / "x").write_text("1")
    assert (tmp_path / "out" / "x").exists()
