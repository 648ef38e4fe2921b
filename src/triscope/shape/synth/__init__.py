"""Generated parts with exact depth, cameras, STL and defective twins; and rooms to train on."""

from triscope.shape.synth.making import Rig, make_scene, write_part
from triscope.shape.synth.parts import KINDS, Part
from triscope.shape.synth.render import Look
from triscope.shape.synth.rooms import clutter

__all__ = ["KINDS", "Look", "Part", "Rig", "clutter", "make_scene", "write_part"]
