"""The data engine of arXiv:2304.02643 section 4: masks make a model, which makes more masks."""

from triscope.segment.engine.machine import STAGES, Engine

__all__ = ["STAGES", "Engine"]
