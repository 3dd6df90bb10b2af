"""Every snippet of the theory and how-to pages runs: the Python of a page in order, scenes through the reader."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs" / "theory").glob("*.md"), *(ROOT / "docs" / "how-to").glob("*.md")])
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(page: Path, language: str) -> list[tuple[int, str]]:
    """(line, text) of each fenced block of a language."""
    text = page.read_text(encoding="utf-8")
    return [(text.count("\n", 0, m.start(2)), m[2]) for m in BLOCK.finditer(text) if m[1] == language]


WITH_PYTHON = [page for page in PAGES if blocks(page, "python")]
WITH_SCENES = [page for page in PAGES if blocks(page, "yaml")]


@pytest.mark.parametrize("page", WITH_PYTHON, ids=lambda page: page.name)
def test_python_runs(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a reader would type it: in one session, in an empty folder, with 64-bit floats as the pages say."""
    import jax

    jax.config.update("jax_enable_x64", True)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {"__name__": "snippet"}
    for line, text in blocks(page, "python"):
        # Blank lines before it give the line numbers of the page to an error.
        exec(compile("\n" * line + text, str(page), "exec", dont_inherit=True), names)


@pytest.mark.parametrize("page", WITH_SCENES, ids=lambda page: page.name)
def test_scenes_are_read(page: Path, tmp_path: Path) -> None:
    from preop.scenes.scene_file import load_scene

    for _, text in blocks(page, "yaml"):
        file = tmp_path / "scene.yaml"
        file.write_text(text, encoding="utf-8")
        assert load_scene(str(file)).name


def test_the_pages_are_there() -> None:
    """A page that lost its fences would pass unseen."""
    assert {"scene.md"} <= {page.name for page in WITH_PYTHON}
    assert {"scene.md"} <= {page.name for page in WITH_SCENES}
