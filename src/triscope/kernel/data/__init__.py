"""Captures and what is known of them: readers of layouts, splits, read-ahead, transforms."""

from triscope.kernel.data.image import decode, mask_of, read_image, read_mask, to_input
from triscope.kernel.data.loading import Loaded, load
from triscope.kernel.data.opening import open_data
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
    "Sample",
    "Skipped",
    "Source",
    "Split",
    "data",
    "decode",
    "fingerprint",
    "load",
    "mask_of",
    "open_data",
    "read_image",
    "read_mask",
    "to_input",
]
