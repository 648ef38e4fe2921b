"""The reader of check folders: NumPy, OpenCV and an engine, no torch."""

from triscope.kernel.runtime.check import Check, Reading
from triscope.kernel.runtime.opening import check_class, open

__all__ = ["Check", "Reading", "check_class", "open"]
