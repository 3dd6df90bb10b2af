"""The embedded patient: analytic anatomy, tissue, and a CT scanner to picture it. numpy and scipy only."""

from .parameters import PHASES, Aneurysm, PhantomParameters, Tumour
from .phantom import Phantom, make_phantom

__all__ = ["PHASES", "Aneurysm", "Phantom", "PhantomParameters", "Tumour", "make_phantom"]
