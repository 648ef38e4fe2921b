"""Who reads the checks of this domain; found by ``kernel.runtime.opening`` and imported there."""

READERS = {"Depth": "triscope.shape.check:ShapeCheck"}
