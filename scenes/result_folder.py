"""`ResultFolder`: typed reading of a result folder. The report, the stills and the viewer read nothing else."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..imaging.errors import SceneError
from .folder_kind import kind_of

if TYPE_CHECKING:
    import pyvista as pv
    from numpy.typing import NDArray

    from ..imaging.volume import LabelMap

SET_PREFIX = "set_"
"""Point data of this prefix marks the nodes of a named set (`set_grasp`: 1 where the node belongs to it)."""
_ADVICE = "Give a folder that `preop run` wrote"


LAYOUT = 1
"""Version of the folder's layout, written into result.json."""
CONVERGED = "converged"
"""The one status of a result: a computation without an answer writes none."""


@dataclass(frozen=True)
class Picture:
    """A still with its caption; `path` is relative to the result folder."""

    path: str
    caption: str
    key: str = ""


@dataclass(frozen=True, eq=False)
class ResultFolder:
    """A result as it lies on disk.

    Attributes:
        path: the folder.
        data: `result.json`.
    """

    path: Path
    data: Mapping[str, Any]

    @classmethod
    def open(cls, path: str | Path) -> ResultFolder:
        """Read `result.json` and check that the folder is a result.

        Raises:
            SceneError: not a folder, no result in it, or a result that cannot be read.
        """
        path = Path(path)
        if path.is_file() and path.name in ("result.json", "report.html"):
            path = path.parent
        if not path.is_dir():
            what = "is not a folder" if path.exists() else "does not exist"
            raise SceneError(what, where=str(path), advice=_ADVICE)
        file = path / "result.json"
        if not file.is_file():
            raise SceneError("holds no result.json, so it is not a result", where=str(path), advice=_ADVICE)
        try:
            data = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise SceneError(f"cannot be read ({error})", where=str(file), advice="Run the scene again") from error
        if kind_of(data) == "phantom":
            advice = f"Use it as the patient: preop run SCENE --dicom {path}"
            raise SceneError("this is a phantom, not a result", where=str(path), advice=advice)
        problem = _not_a_result(data)
        if problem:
            raise SceneError(f"is not a result of preop: {problem}", where=str(file), advice=_ADVICE)
        return cls(path, data)

    @property
    def title(self) -> str:
        """The scene's title."""
        scene = self.data["scene"]
        return str(scene.get("title") or scene.get("name") or "Result")

    @cached_property
    def surface_files(self) -> dict[str, Path]:
        """Name → VTP file of each anatomy surface, undeformed."""
        return {file.stem: file for file in sorted((self.path / "surfaces").glob("*.vtp"))}

    def surface(self, name: str) -> pv.PolyData:
        """An anatomy surface, LPS mm.

        Raises:
            SceneError: there is none of that name, or the file is damaged.
        """
        if name not in self.surface_files:
            raise SceneError(
                f"no surface {name}",
                where=str(self.path),
                advice=f"There are {', '.join(self.surface_files) or 'none'}",
            )
        return _read(self.surface_files[name])

    def deformed_surface(self, name: str, step: int) -> pv.PolyData | None:
        """A surface as carried by the mesh at a load step; None where it is not carried."""
        file = self.path / "deformed" / f"{name}_step_{step:03d}.vtp"
        return _read(file) if file.is_file() else None

    @cached_property
    def carried(self) -> tuple[str, ...]:
        """Names of the surfaces that the mesh carries."""
        names = {re.sub(r"_step_\d+$", "", file.stem) for file in (self.path / "deformed").glob("*_step_*.vtp")}
        return tuple(sorted(names))

    @cached_property
    def step_files(self) -> tuple[Path, ...]:
        """One VTU per load step, from the unloaded to the fully loaded state."""
        return tuple(sorted((self.path / "fields").glob("step_*.vtu")))

    def grid(self, step: int) -> pv.UnstructuredGrid:
        """Undeformed tetrahedra (LPS mm) with the fields of a load step; negative steps count from the end.

        Raises:
            SceneError: the step is not there, or the file is damaged or lacks its displacement.
        """
        if not self.step_files:
            raise SceneError("holds no fields", where=str(self.path / "fields"), advice="Run the scene again")
        try:
            file = self.step_files[step]
        except IndexError:
            raise SceneError(f"has {len(self.step_files)} load steps, not {step}", where=str(self.path)) from None
        grid = _read(file)
        if "displacement" not in grid.point_data:
            raise SceneError("has no displacement", where=str(file), advice="Run the scene again")
        return grid

    def node_sets(self, grid: pv.UnstructuredGrid) -> dict[str, NDArray[np.int64]]:
        """Name → node indices of the sets marked in a grid, such as `grasp`."""
        marked = {key: np.asarray(grid.point_data[key]) for key in grid.point_data if key.startswith(SET_PREFIX)}
        return {key[len(SET_PREFIX) :]: np.flatnonzero(values) for key, values in marked.items()}

    def label_map(self) -> LabelMap | None:
        """The segmentation, or None where the folder holds none."""
        file = self.path / "labels.nii.gz"
        if not file.is_file():
            return None
        from ..imaging.labelfile import read_labels

        return read_labels(file)

    @cached_property
    def pictures(self) -> tuple[Picture, ...]:
        """Stills with captions, in the order they were made."""
        index = self.path / "stills" / "captions.json"
        if index.is_file():
            listed = json.loads(index.read_text(encoding="utf-8"))
            pictures = [Picture(f"stills/{one['file']}", one["caption"], one.get("key", "")) for one in listed]
            return tuple(picture for picture in pictures if (self.path / picture.path).is_file())
        files = sorted((self.path / "stills").glob("*.png"))
        return tuple(Picture(f"stills/{file.name}", file.stem.replace("_", " "), file.stem) for file in files)

    @property
    def animation(self) -> Path | None:
        """The animation file, if one was made."""
        for suffix in (".webp", ".gif", ".mp4"):
            if (self.path / f"animation{suffix}").is_file():
                return self.path / f"animation{suffix}"
        return None


def _not_a_result(data: Any) -> str:
    """Why this is no result.json, as far as its readers rely on it; empty where it is one."""
    if not isinstance(data, dict):
        return "it is no mapping"
    if data.get("layout") != LAYOUT:
        return f"its layout is {data.get('layout', 'not told')}, and this version reads {LAYOUT}"
    if data.get("status") != CONVERGED:
        return "it holds no converged computation"
    scene = data.get("scene")
    if not isinstance(scene, dict) or not all(isinstance(scene.get(key), str) for key in ("name", "title")):
        return "it lacks the scene's name and title"
    numbers = data.get("numbers")
    if not isinstance(numbers, list) or not all(_is_number(one) for one in numbers):
        return "its numbers are none"
    return ""


def _is_number(one: Any) -> bool:
    return isinstance(one, dict) and {"name", "value", "unit"} <= one.keys() and isinstance(one["value"], int | float)


def _read(file: Path) -> Any:
    """A VTK file that holds at least one point.

    Raises:
        SceneError: it is empty or cannot be read.
    """
    import pyvista as pv
    from vtkmodules.vtkCommonCore import vtkObject

    # VTK reports a damaged file on stderr and returns an empty mesh: ask for the mesh, not the words.
    warned = vtkObject.GetGlobalWarningDisplay()
    vtkObject.SetGlobalWarningDisplay(0)
    try:
        mesh = pv.read(file)
    except (OSError, ValueError, RuntimeError) as error:
        raise SceneError(f"cannot be read ({error})", where=str(file), advice="Run the scene again") from error
    finally:
        vtkObject.SetGlobalWarningDisplay(warned)
    if mesh is None or not mesh.n_points:
        raise SceneError("is damaged or empty", where=str(file), advice="Run the scene again")
    return mesh
