"""The reader of check folders: NumPy, OpenCV and an engine, no torch."""

from triscope.kernel.runtime.check import Check
from triscope.kernel.runtime.opening import check_class, open
from triscope.kernel.runtime.reading import Reading

__all__ = ["Check", "Reading", "check_class", "open"]
