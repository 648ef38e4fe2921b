"""Painted parts with known defects: for the demo, for tests, and as augmentation.

``paint("metal", "scratch", rng)`` paints a part with a defect, ``spoil(image, "stain", rng)`` puts
one on any picture, ``write_set(folder)`` writes a whole data set. Every draw comes from the given
generator: the same seed gives the same picture.
"""

from triscope.surface.synth.folders import Counts, write_set
from triscope.surface.synth.painting import GOOD, KINDS, Painted, paint, spoil

__all__ = ["GOOD", "KINDS", "Counts", "Painted", "paint", "spoil", "write_set"]
