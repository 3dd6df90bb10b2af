"""All parts of one patient, in the order in which they are painted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..errors import ScanError
from . import gut, muscles, organs, skeleton, trunk, vessels
from .aorta import Aorta
from .frame import Frame
from .parameters import PhantomParameters
from .render import Layer, Part
from .shapes import Implicit
from .variation import individual


@dataclass(frozen=True, eq=False)
class Patient:
    """The analytic anatomy: later parts lie over earlier ones."""

    frame: Frame
    liver: Implicit
    vessels: vessels.LiverVessels
    aorta: Aorta
    parts: tuple[Part, ...]


def build_patient(parameters: PhantomParameters) -> Patient:
    """Place all organs of the patient that the parameters describe.

    Raises:
        ScanError: a tumour's centre lies outside the liver.
    """
    parameters = individual(parameters)
    frame = Frame(parameters)
    rng = np.random.default_rng([parameters.seed, 0xA7])
    aorta = Aorta(frame)
    liver = organs.liver(frame, rng)
    _require_tumours_inside(parameters, liver)
    trees = vessels.liver_vessels(frame, liver, aorta, rng)
    # A ball of half a voxel's diagonal holds a voxel centre wherever it lies.
    resolvable = 0.5 * float(np.linalg.norm(parameters.spacing))
    parts = [
        *([trunk.table(frame)] if parameters.table else []),
        trunk.skin_and_fat(frame),
        vessels.mesentery(frame, rng),
        *gut.bowel(frame, rng),
        gut.bladder(frame),
        *gut.stomach(frame),
        *gut.pancreas(frame, rng),
        *muscles.muscles(frame),
        organs.spleen(frame, rng),
        Part("liver", liver, (Layer(0, "liver", organs.label_of("liver")),)),
        *vessels.liver_vessel_parts(trees, resolvable),
        *organs.tumours(frame),
        organs.gallbladder(frame),
        *organs.kidneys(frame, rng),
        *trunk.diaphragm(frame),
        *trunk.heart(frame),
        *trunk.lungs(frame, rng),
        *trunk.wall(frame),
        *skeleton.ribs(frame),
        *skeleton.pelvis(frame),
        *skeleton.spine(frame),
        vessels.portal_trunk(trees, frame),
        *vessels.caval_vein(frame, aorta),
        *aorta.parts(),
    ]
    return Patient(frame, liver, trees, aorta, tuple(parts))


def _require_tumours_inside(parameters: PhantomParameters, liver: Implicit) -> None:
    for tumour in parameters.tumours:
        if float(liver.distance(*(np.array([c], np.float32) for c in tumour.centre))[0, 0, 0]) >= 0:
            raise ScanError(
                f"the tumour at {tumour.centre} mm lies outside the liver", where="phantom", advice="Move it"
            )
