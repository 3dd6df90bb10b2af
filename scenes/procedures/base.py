"""What a procedure is: options it reads from the scene, and a run that ends in an `Outcome`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from ..schema import Part, Scene

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ...meshing.mesh import SurfaceMesh, TetMesh
    from ..session import Session


@dataclass(frozen=True)
class Number:
    """One figure of the report, with its unit and what it means in plain words.

    Attributes:
        place_mm: (3,) LPS mm in the undeformed mesh where it is found; None where it belongs to no place.
        field: the field it is read from, where its place is worth a mark on a picture of that field.
    """

    key: str
    name: str
    value: float
    unit: str
    meaning: str = ""
    place_mm: tuple[float, float, float] | None = None
    field: str = ""


@dataclass(frozen=True)
class Curve:
    """y over x, for a plot and for `result.json`."""

    name: str
    x_name: str
    x_unit: str
    y_name: str
    y_unit: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    turns: tuple[float, ...] = ()
    """x at which the cause takes a new direction, so that a bend there has its explanation."""


@dataclass(frozen=True)
class Assumption:
    """What was put in and not computed: a stiffness, a load, a path.

    Attributes:
        name: what it is, in words.
        value: a number, or words.
        unit: of the number; empty for words.
        source: who says so: a citation, the scene, or a default of preop.
        key: of the scene file, where it came from there.
    """

    name: str
    value: float | str
    unit: str = ""
    source: str = ""
    key: str = ""


@dataclass(frozen=True)
class FieldStep:
    """Fields of one load step.

    Attributes:
        load: fraction of the load path in [0, 1].
        point_data: name → (N, ...) nodal fields; `displacement` is in mm, LPS, from the mesh.
        cell_data: name → (E, ...) element fields.
        units: name → unit of these fields, 1 for a ratio. What each is counted from stands in docs/result-folder.md.
    """

    load: float
    point_data: Mapping[str, NDArray]
    cell_data: Mapping[str, NDArray]
    units: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What a procedure computed.

    Attributes:
        mesh: the tetrahedra it solved on, undeformed (LPS mm).
        steps: fields per accepted load step.
        numbers, curves: what the report shows.
        solver: the solution's code, advice and statistics, ready for JSON.
        node_sets: named node indices worth showing, such as `grasp`.
        surfaces: further surfaces made on the way, by name (LPS mm).
        deforming: names of anatomy surfaces that the mesh carries with it.
        notes: limits of the model that belong beside the numbers.
        assumptions: what was put in; where it is empty they are gathered from the scene's options.
    """

    mesh: TetMesh
    steps: tuple[FieldStep, ...]
    numbers: tuple[Number, ...]
    curves: tuple[Curve, ...]
    solver: Mapping[str, Any]
    node_sets: Mapping[str, NDArray] = field(default_factory=dict)
    surfaces: Mapping[str, SurfaceMesh] = field(default_factory=dict)
    deforming: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    assumptions: tuple[Assumption, ...] = ()


class Procedure(ABC):
    """A kind of operation. Stateless: everything it needs is in the session."""

    name: ClassVar[str]
    options: ClassVar[type[Part]]
    phases: ClassVar[tuple[str, ...]] = ()
    """Contrast phases it works best on, the best one first; a scene may say others."""

    def parse(self, scene: Scene) -> Any:
        """The scene's `options` as this procedure's own type.

        Raises:
            SceneError: an unknown key, a value out of range, or two keys that contradict each other.
        """
        from ..option_checks import check_options
        from ..scene_file import validated

        options = validated(self.options, scene.options, scene.where, prefix="options")
        check_options(scene, options)
        return options

    @abstractmethod
    def labels_needed(self, scene: Scene) -> tuple[str, ...]:
        """Segments without which the procedure cannot run."""

    def labels_whole(self, scene: Scene) -> tuple[str, ...]:
        """Those of them that the scan must hold whole; a vessel that leaves the scan is none."""
        return ()

    @abstractmethod
    def run(self, session: Session) -> Outcome:
        """Mesh, solve and measure.

        Raises:
            SegmentationError: a label it needs is absent.
            MeshError, SolverError: no mesh, or no answer.
        """
