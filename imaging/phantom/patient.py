"""All parts of one patient, in the order in which they are painted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from . import organs, skeleton, trunk
from .aorta import Aorta
from .frame import Frame
from .parameters import PhantomParameters
from .render import Layer, Part
from .shapes import Implicit
from .vessels import LiverVessels, caval_vein, liver_vessel_parts, liver_vessels, portal_trunk


@dataclass(frozen=True, eq=False)
class Patient:
    """The analytic anatomy: later parts lie over earlier ones."""

    frame: Frame
    liver: Implicit
    vessels: LiverVessels
    aorta: Aorta
    parts: tuple[Part, ...]


def build_patient(parameters: PhantomParameters) -> Patient:
    """Place all organs of the patient that the parameters describe."""
    frame = Frame(parameters)
    rng = np.random.default_rng([parameters.seed, 0xA7])
    liver = organs.liver(frame, rng)
    vessels = liver_vessels(frame, liver, rng)
    aorta = Aorta(frame)
    resolvable = 0.5 * float(np.linalg.norm(parameters.spacing))
    parts = [
        *([trunk.table(frame)] if parameters.table else []),
        trunk.skin_and_fat(frame),
        *organs.bowel(frame, rng),
        *organs.stomach(frame),
        *organs.pancreas(frame, rng),
        organs.spleen(frame, rng),
        Part("liver", liver, (Layer(0, "liver", organs.lbl("liver")),)),
        *liver_vessel_parts(vessels, resolvable),
        *organs.tumours(frame),
        organs.gallbladder(frame),
        *organs.kidneys(frame, rng),
        *trunk.heart(frame),
        *trunk.lungs(frame),
        trunk.wall(frame),
        *trunk.muscles(frame),
        *skeleton.ribs(frame),
        *skeleton.pelvis(frame),
        *skeleton.spine(frame),
        portal_trunk(vessels, frame),
        *caval_vein(frame),
        *aorta.parts(),
    ]
    return Patient(frame, liver, vessels, aorta, tuple(parts))
