"""`--json`: one JSON document on standard output or nothing; what goes wrong is one line on standard error."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from dicom_files import even, write_series

PRINTS = """
import ctypes, json, sys
from preop.imaging.errors import PreopError
from preop.scenes.json_output import nothing_on_stdout, print_json
try:
    with nothing_on_stdout():
        print("from Python")
        ctypes.CDLL(None).printf(b"from C\\n")
        if sys.argv[1] == "fails":
            raise PreopError("broken")
except PreopError:
    pass
print_json({"name": "Jörg ▶ \\udcff", "value": 1.5})
"""


def preop(*arguments, cwd, **environment):
    command = [sys.executable, "-m", "preop.scenes.cli", *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, capture_output=True, encoding="utf-8", timeout=300, check=False,
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.mark.parametrize(
    "arguments",
    [
        ("inspect", "nowhere", "--json"),
        ("inspect", "--json"),
        ("inspect", "letter.txt", "--json"),
        ("inspect", "scan", "--json", "--no-such-option"),
        ("run", "liver-retraction", "--dicom", "letter.txt", "--out", "out", "--json"),
        ("run", "no-such-scene", "--json"),
        ("run", "liver-retraction", "--set", "options.tetrahedra=many", "--json"),
        ("compare", "nowhere", "letter.txt", "--json"),
        ("compare", "letter.txt", "letter.txt", "--json"),
        ("scenes", "--json", "--show", "liver-retraction"),
        ("doctor", "--json", "--no-such-option"),
    ],
    ids=" ".join,
)
def test_an_error_leaves_standard_output_empty(tmp_path, arguments):
    (tmp_path / "letter.txt").write_text("Dear colleague")
    done = preop(*arguments, cwd=tmp_path)
    assert done.returncode == 2
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert line.startswith("preop: ")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "cp1252"])
def test_inspect_gives_json_alone_whatever_the_output_can_hold(tmp_path, encoding):
    described = "Abd. portal-venös ▶ 1.5"
    write_series(tmp_path / "scan", even(6), SeriesDescription=described, SpecificCharacterSet="ISO_IR 192")
    done = preop("inspect", "scan", "--json", cwd=tmp_path, PYTHONIOENCODING=encoding)
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["studies"][0]["series"][0]["description"] == described
    table = preop("inspect", "scan", cwd=tmp_path, PYTHONIOENCODING=encoding.replace("cp1252", "ascii"))
    assert table.returncode == 0, table.stderr
    assert "16" in table.stdout


def test_scenes_give_json_alone(tmp_path):
    done = preop("scenes", "--json", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert {"liver-retraction", "aneurysm-wall"} <= {scene["name"] for scene in json.loads(done.stdout)}


@pytest.mark.parametrize("ending", ["works", "fails"])
def test_what_libraries_print_does_not_come_between(tmp_path, ending):
    done = subprocess.run(
        [sys.executable, "-c", PRINTS, ending], cwd=tmp_path, capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"name": "Jörg ▶ \udcff", "value": 1.5}
    assert "from Python" in done.stderr
    assert "from C" in done.stderr


def test_json_has_no_nan():
    from preop.scenes.json_output import print_json

    with pytest.raises(ValueError, match="not JSON compliant"):
        print_json({"value": float("nan")})
