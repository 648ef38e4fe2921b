"""The one training loop: what it runs by, where its batches come from, and the loop itself."""

from triscope.kernel.train.batches import Batches, Shuffled
from triscope.kernel.train.loop import Report, train
from triscope.kernel.train.plan import Plan

__all__ = ["Batches", "Plan", "Report", "Shuffled", "train"]
