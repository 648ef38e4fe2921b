"""Generated parts: photos with exact depth, normals and cameras, the STL, and defective twins."""

from triscope.shape.synth.making import Rig, make_scene, write_part
from triscope.shape.synth.parts import KINDS, Part
from triscope.shape.synth.render import Look

__all__ = ["KINDS", "Look", "Part", "Rig", "make_scene", "write_part"]
