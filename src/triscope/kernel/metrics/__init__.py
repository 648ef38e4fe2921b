"""Metrics on raw scores, one a file: exact over images, streaming over pixels. NumPy only."""

from triscope.kernel.metrics.aupro import aupro, aupro_of, pro_curve
from triscope.kernel.metrics.auroc import auroc, auroc_of
from triscope.kernel.metrics.average_precision import average_precision, average_precision_of
from triscope.kernel.metrics.bootstrap import Interval, bootstrap
from triscope.kernel.metrics.evaluation import Case, Evaluation, TypeRow, evaluate
from triscope.kernel.metrics.f1_max import f1_max, f1_max_of
from triscope.kernel.metrics.overlap import dice, iou, mask_confusion
from triscope.kernel.metrics.pixels import Pixels
from triscope.kernel.metrics.rates import Confusion, confusion
from triscope.kernel.metrics.steps import Bounded, Steps, steps_of

__all__ = [
    "Bounded",
    "Case",
    "Confusion",
    "Evaluation",
    "Interval",
    "Pixels",
    "Steps",
    "TypeRow",
    "aupro",
    "aupro_of",
    "auroc",
    "auroc_of",
    "average_precision",
    "average_precision_of",
    "bootstrap",
    "confusion",
    "dice",
    "evaluate",
    "f1_max",
    "f1_max_of",
    "iou",
    "mask_confusion",
    "pro_curve",
    "steps_of",
]
