"""An evaluation as the figures that people read."""

from __future__ import annotations

from typing import Any

from triscope.kernel.report import Figure

IMAGE = {
    "auroc": ("image AUROC", "chance that a defective part scores above a good one"),
    "average_precision": ("average precision", "of the ranking of defective parts"),
    "f1_max": ("F1, at best", "with the threshold that suits this data best"),
}
DOUBT = {  # where the score is how unsure the check is
    "auroc": ("AUROC of doubt", "chance that a wrong answer is less sure than a right one"),
    "average_precision": ("average precision", "of the ranking by doubt"),
}
KNOWN = {
    "map_50": ("mAP, IoU 0.5", "mean over the classes of the average precision of boxes"),
    "map_50_95": ("mAP, IoU 0.5 to 0.95", "the same, averaged over stricter overlaps"),
    "accuracy": ("accuracy", "share of parts that are named rightly"),
    "mean_class_accuracy": ("mean accuracy", "the same, each class as heavy as the others"),
    "top_5": ("top 5", "share of videos with the right class among the five most probable"),
    "calibration_error": ("calibration error", "mean gap between certainty and accuracy (ECE)"),
    "frame_accuracy": ("frame accuracy", "share of frames with the right label, mean over videos"),
    "edit": ("edit score", "how much of the order of steps is right"),
    "f1_10": ("F1@10", "steps found with an overlap of 10 % at least"),
    "f1_25": ("F1@25", "the same with 25 %"),
    "f1_50": ("F1@50", "the same with 50 %"),
    "iou": ("IoU", "overlap of found and drawn pixels at the threshold of regions"),
    "dice": ("Dice", "the same, as the harmonic mean of precision and recall"),
    "boundary_f": ("boundary F", "how well the borders of defects are met"),
}
REGIONS = {
    "iou": ("IoU of regions", "of the class map, learned from labels alone, with the masks"),
    "dice": ("Dice of regions", "the same, as the harmonic mean of precision and recall"),
}
PIXEL = {
    "auroc": ("pixel AUROC", "the same for pixels of defects"),
    "aupro_30": ("AUPRO", "overlap with the defects, at pixel FPR up to 0.3"),
    "aupro_05": ("AUPRO, strict", "the same up to 0.05"),
    "dice_max": ("Dice, at best", "overlap of the best mask"),
}


def doubts(check: Any) -> bool:
    """Whether the score of a check is its doubt: clips without a class of good parts."""
    return check.card.capture == "clip" and "good" not in check.card.classes


def figures_of(measured: Any, doubt: bool = False) -> list[Figure]:
    """Image metrics, pixel metrics and the shares that the thresholds of the check lead to."""
    found = [
        Figure(title, f"{value.value:.4f}", f"{value.low:.4f} to {value.high:.4f}", meaning)
        for name, (title, meaning) in (DOUBT if doubt else IMAGE).items()
        if (value := (measured.image or {}).get(name)) is not None
    ]
    found += [
        Figure(title, f"{value.value:.4f}", "", meaning)
        for name, (title, meaning) in PIXEL.items()
        if (value := (measured.pixel or {}).get(name)) is not None
    ]
    return _known(measured.known or {}) + found + _shares(measured, doubt)


def _known(known: dict[str, Any]) -> list[Figure]:
    """The first figures of boxes, classes and masks."""
    wanted = [(known, KNOWN), (known.get("regions") or {}, REGIONS)]
    return [
        Figure(title, f"{values[name]:.4f}", "", meaning)
        for values, titles in wanted
        for name, (title, meaning) in titles.items()
        if values.get(name) is not None
    ]


def _shares(measured: Any, doubt: bool) -> list[Figure]:
    if measured.outcomes is None:
        return []
    shares = [("defective parts passed", "defective", "pass", "escape")]
    if doubt:  # nothing fails by doubt alone
        shares = [("wrong answers passed", "defective", "pass", "escape")]
    else:
        shares.insert(0, ("good parts failed", "good", "fail", "false_reject"))
    found = []
    for title, kind, outcome, name in shares:
        count, total = measured.outcomes[kind][outcome], measured.images[kind]
        if total:
            low, high = measured.intervals[name]
            text = f"{100 * low:.1f} to {100 * high:.1f} %"
            found.append(
                Figure(title, f"{count} of {total}", text, "at the thresholds of the check")
            )
    return found
