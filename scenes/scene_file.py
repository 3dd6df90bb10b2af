"""Reading scene files: built-in names, YAML, `--set key=value`, and one clear line per mistake."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from ..imaging.errors import SceneError
from .list_problems import list_problem, short
from .schema import Scene
from .yaml_text import key_lines, place_of, read_yaml

_BUILT_IN = "a name that `preop scenes` lists"

ModelT = TypeVar("ModelT", bound=BaseModel)


def builtin_names() -> list[str]:
    """Names of the scenes that come with preop."""
    files = resources.files("preop.scenes.builtin").iterdir()
    return sorted(Path(file.name).stem for file in files if file.name.endswith(".yaml"))


def load_scene(name_or_path: str, overrides: Sequence[str] = ()) -> Scene:
    """Read a scene by built-in name or YAML path and apply `key=value` overrides.

    Raises:
        SceneError: no such scene, not YAML, an unknown key or a value out of range.
    """
    text, where, folder = _source(name_or_path)
    try:
        data = read_yaml(text)
    except yaml.YAMLError as error:
        advice = "Mend that line" if where.endswith((".yaml", ".yml")) else f"Give a YAML scene or {_BUILT_IN}"
        raise SceneError(f"not valid YAML: {_yaml_problem(error)}", where=where, advice=advice) from None
    if not isinstance(data, dict):
        raise SceneError(
            "a scene file must be a mapping of keys", where=where, advice="See `preop scenes` for examples"
        )
    # The lines of a scene that comes with preop are not the user's to mend.
    own = name_or_path not in builtin_names()
    lines = key_lines(text) if own else {}
    for override in overrides:
        _override(data, override)
        lines = _outdone(lines, override.partition("=")[0].strip())
    at = partial(place_of, where, lines)
    _refuse_misplaced(data, at)
    scene = validated(Scene, {**data, "folder": folder, "source": where if own else "", "lines": lines}, at)
    # The procedure checks its own options now, so that a misspelt one stops before any work.
    from .procedures import procedure

    procedure(scene.procedure, at("procedure")).parse(scene)
    return scene


def validated(model: type[ModelT], data: Mapping[str, Any], where: Callable[[str], str], prefix: str = "") -> ModelT:
    """Validate and turn pydantic's report into one line that names the first mistake.

    Args:
        where: dotted key → the file and line that it stands in.
        prefix: dotted key of the data in the scene.
    """
    try:
        return model.model_validate(data)
    except ValidationError as error:
        key, what = _first_problem(error, model, prefix)
        raise SceneError(what, where=where(key)) from None


def _outdone(lines: Mapping[str, int], key: str) -> dict[str, int]:
    """The lines without those of a key that `--set` gives, and of what stands under it."""
    return {one: line for one, line in lines.items() if one != key and not one.startswith(f"{key}.")} | {key: 0}


def _refuse_misplaced(data: Mapping[str, Any], where: Callable[[str], str]) -> None:
    """A key at the top that belongs one floor deeper, such as `tetrahedra`, is told with its place."""
    for key in data:
        if key in Scene.model_fields and not Scene.model_fields[key].exclude:
            continue
        if key in Scene.model_fields:
            advice = "Relative paths start at the scene file's folder" if key == "folder" else ""
            raise SceneError(f"unknown key {key}", where=where(key), advice=advice)
        places = [place for place in _places(data, where) if place.endswith(f".{key}")]
        if places:
            raise SceneError(f"unknown key {key}; did you mean {' or '.join(places)}?", where=where(str(key)))


def _places(data: Mapping[str, Any], where: Callable[[str], str]) -> list[str]:
    """Dotted keys one floor deep: of the scene's parts, and of the options of its procedure."""
    from .procedures import procedure

    parts = {name: field.annotation for name, field in Scene.model_fields.items()}
    if isinstance(data.get("procedure"), str):
        parts["options"] = procedure(data["procedure"], where("procedure")).options
    return [f"{name}.{key}" for name, kind in parts.items() for key in getattr(kind, "model_fields", {})]


def _source(name_or_path: str) -> tuple[str, str, Path]:
    if name_or_path in builtin_names():
        file = resources.files("preop.scenes.builtin") / f"{name_or_path}.yaml"
        return file.read_text(encoding="utf-8"), f"scene {name_or_path}", Path.cwd()
    path = Path(name_or_path)
    if path.is_dir():
        raise SceneError("is a folder, not a scene", where=name_or_path, advice="Give a YAML file or a built-in name")
    if not path.is_file():
        close = difflib.get_close_matches(name_or_path, builtin_names(), n=1)
        hint = f"Did you mean {close[0]}? " if close else ""
        raise SceneError(
            "no such scene",
            where=name_or_path,
            advice=f"{hint}Built in are {', '.join(builtin_names())}; or give a YAML file",
        )
    try:
        return path.read_text(encoding="utf-8"), str(path), path.resolve().parent
    except (OSError, UnicodeDecodeError) as error:
        raise SceneError(
            f"cannot be read as text ({error})", where=str(path), advice="Give a YAML scene file"
        ) from None


def _yaml_problem(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "cannot be parsed"
    return f"{problem}, line {mark.line + 1}" if mark else str(problem)


def _override(data: dict[str, Any], text: str) -> None:
    """Set one dotted key, such as `options.tetrahedra=60000`; a number indexes a list."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise SceneError(f"--set needs key=value, not {text!r}", advice="For example --set options.tetrahedra=60000")
    parts = key.strip().split(".")
    target: Any = data
    for part in parts[:-1]:
        target = _descend(target, part, text)
    last: Any = parts[-1]
    if isinstance(target, list):
        last = _list_index(target, last, text)
    elif not isinstance(target, dict):
        raise SceneError(f"{'.'.join(parts[:-1])} is a single value and has no key {last}", where=f"--set {text}")
    try:
        target[last] = read_yaml(value)
    except yaml.YAMLError:
        raise SceneError("the value is not valid YAML", where=f"--set {text}", advice="Quote it") from None


def _descend(target: Any, part: str, text: str) -> Any:
    if isinstance(target, list):
        return target[_list_index(target, part, text)]
    if not isinstance(target, dict):
        raise SceneError(f"there is no key {part} under a single value", where=f"--set {text}")
    # A null in YAML (`key:` with nothing) counts as an empty mapping.
    if target.get(part) is None:
        target[part] = {}
    return target[part]


def _list_index(target: list, part: str, text: str) -> int:
    if part.isdigit() and int(part) < len(target):
        return int(part)
    raise SceneError(f"{part!r} is not an entry of that list (0 to {len(target) - 1})", where=f"--set {text}")


_PLAIN = {
    "too_short": "Needs at least one entry",
    "float_parsing": "Needs a number",
    "float_type": "Needs a number",
    "int_parsing": "Needs a whole number",
    "int_type": "Needs a whole number",
}


def _first_problem(error: ValidationError, model: type[BaseModel], prefix: str) -> tuple[str, str]:
    """Dotted key of the first mistake, and what it is."""
    problems = error.errors(include_url=False)
    # An unknown key explains most of the others, so it is told first.
    first = next((p for p in problems if p["type"] == "extra_forbidden"), problems[0])
    loc = [str(part) for part in first["loc"]]
    # What pydantic calls a mapping's key is the last name itself.
    loc = loc[:-2] if loc and loc[-1] == "[key]" else loc
    key = ".".join([prefix, *loc]) if prefix else ".".join(loc)
    more = f" ({len(problems) - 1} more)" if len(problems) > 1 else ""
    if first["type"] == "extra_forbidden":
        close = difflib.get_close_matches(loc[-1], _keys_at(model, loc[:-1]), n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        return key, f"unknown key {key}{hint}{more}"
    words = list_problem(first, problems)
    if words:
        key = key.rpartition(".")[0] if first["type"] == "missing" else key
        return key, f"{key}: {words}"
    if first["type"] == "missing":
        return key, f"the key {key} is missing{more}"
    message = _PLAIN.get(first["type"]) or first["msg"].removeprefix("Value error, ")
    hint = _meant(first.get("ctx", {}).get("expected", ""), first["input"]) if first["type"] == "literal_error" else ""
    given = "" if message.startswith("unknown ") else f", not {short(first['input'])}"
    return key, f"{key or 'scene'}: {message[0].lower()}{message[1:]}{given}{hint}{more}"


def _meant(expected: str, given: Any) -> str:
    """The word of a short list that was meant: by its letters, or by another name of a contrast phase."""
    from ..imaging.inspect import phase_hint

    words = re.findall(r"'([^']+)'", expected)
    phase = phase_hint(str(given), "").split(" ")[0]
    close = [phase] if phase in words else difflib.get_close_matches(str(given).lower(), words, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _keys_at(model: type[BaseModel], loc: Sequence[str]) -> list[str]:
    """Known keys of the sub-model at a location, as far as it can be followed."""
    current: Any = model
    for part in loc:
        fields = getattr(current, "model_fields", None)
        if not fields or part not in fields:
            break
        annotation = fields[part].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            current = annotation
    return [name for name, field in getattr(current, "model_fields", {}).items() if not field.exclude]
