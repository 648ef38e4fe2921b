"""Generated parts with exact depth, cameras, STL and defective twins; rooms and heaps to learn."""

from triscope.shape.synth.making import Rig, make_scene, write_part
from triscope.shape.synth.parts import KINDS, Part
from triscope.shape.synth.render import Look
from triscope.shape.synth.rooms import clutter, heap

__all__ = ["KINDS", "Look", "Part", "Rig", "clutter", "heap", "make_scene", "write_part"]
