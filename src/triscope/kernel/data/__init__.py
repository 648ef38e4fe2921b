"""Captures and what is known of them: readers of layouts, splits, read-ahead, transforms."""

from triscope.kernel.data.image import decode, mask_of, read_image, read_mask, size_of, to_input
from triscope.kernel.data.layouts._labels import checked_boxes
from triscope.kernel.data.loading import Loaded, load
from triscope.kernel.data.opening import open_data
from triscope.kernel.data.problems import Problems
from triscope.kernel.data.sample import (
    GOOD,
    BoxLabel,
    Dataset,
    Drawn,
    MaskSource,
    Sample,
    Source,
    Split,
)
from triscope.kernel.data.source import fingerprint
from triscope.kernel.results import Skipped

data = open_data  # triscope.data

__all__ = [
    "GOOD",
    "BoxLabel",
    "Dataset",
    "Drawn",
    "Loaded",
    "MaskSource",
    "Problems",
    "Sample",
    "Skipped",
    "Source",
    "Split",
    "checked_boxes",
    "data",
    "decode",
    "fingerprint",
    "load",
    "mask_of",
    "open_data",
    "read_image",
    "read_mask",
    "size_of",
    "to_input",
]
