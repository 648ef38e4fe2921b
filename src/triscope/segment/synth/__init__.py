"""Generated scenes with exact masks: what ``sam_nano`` learns from, and what tests look at."""

from triscope.segment.synth.scene import Scene, scene

__all__ = ["Scene", "scene"]
