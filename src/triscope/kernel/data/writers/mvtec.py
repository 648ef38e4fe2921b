"""MVTec: ``train/good``, ``validation/good``, ``test/<type>``, ``ground_truth/<type>``."""

from __future__ import annotations

import re

import numpy as np

from triscope.kernel.data.sample import GOOD, Dataset, Sample
from triscope.kernel.data.source import fingerprint
from triscope.kernel.data.writers._out import Out, Size, filled_mask

FOLDERS = {"train": "train", "calibrate": "validation", "test": "test"}


def write(data: Dataset, out: Out) -> None:
    """Good images keep their split; defects all go to test, which is where the layout has them.

    Where no split is known, good images go to train, as do references (aligned good pictures).
    """
    references: set[str] = set()
    for sample, name, hw in out.samples(data):
        if sample.label is None:
            out.problems.add("images without label were left out", sample.name)
        elif sample.good:
            out.image(sample, f"{FOLDERS[sample.split or 'train']}/{GOOD}/{name}")
        else:
            _defect(sample, name, hw, out)
        if (
            sample.reference is not None
            and (key := fingerprint(sample.reference)) not in references
        ):
            references.add(key)
            good = Sample(sample.reference, f"{name.rsplit('.', 1)[0]}_good.png")
            out.image(good, f"train/{GOOD}/{out.own_name(good)}")
    if not (out.folder / "train" / GOOD).is_dir():
        out.problems.add("sets without a good image in train/good teach no model", data.root)


def _defect(sample: Sample, name: str, hw: Size, out: Out) -> None:
    kind = re.sub(r"[^\w.-]+", "_", sample.label or "defect")
    if sample.split not in (None, "test"):
        out.problems.add(f"defects left {sample.split} for test", sample.name)
    out.image(sample, f"test/{kind}/{name}")
    if sample.mask is None and not sample.boxes:
        out.problems.add("defects have neither mask nor boxes", sample.name)
        return
    if sample.mask is None and any(box.mask is None for box in sample.boxes):
        out.problems.add("boxes became masks, filled", sample.name)
    mask = np.where(filled_mask(sample, hw), 255, 0).astype(np.uint8)
    out.picture(mask, f"ground_truth/{kind}/{name.rsplit('.', 1)[0]}_mask.png")
