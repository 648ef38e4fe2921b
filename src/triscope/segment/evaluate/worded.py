"""Words to masks, measured: the words alone, the best of their three, and with one click more.

The published text is qualitative (arXiv:2304.02643 section 7.5): where words alone fail, one click
often helps. Here all of it has figures, by label.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from triscope.errors import EmptyData
from triscope.kernel.metrics.overlap import iou
from triscope.segment.evaluate.cases import Case
from triscope.segment.evaluate.clicks import centre_of
from triscope.segment.evaluate.prompted import Row
from triscope.segment.text import TextPredictor

TEMPLATE = "a photo of a {}"


def evaluate_words(
    predictor: TextPredictor, cases: Iterable[Case], *, template: str = TEMPLATE, words: str = ""
) -> Iterator[Row]:
    """A row for each mask; the words are its label in the template, or ``words`` for all."""
    for case in cases:
        labels = (words,) * len(case.masks) if words else case.labels
        if not labels:
            raise EmptyData(
                f"{case.name}: its masks have no labels to ask for: say --words for all of them."
            )
        predictor.set_image(case.image)
        for index, (truth, label) in enumerate(zip(case.masks, labels, strict=True)):
            asked = label if words else template.format(label.replace("_", " "))
            said = predictor.predict_text(asked)
            click = centre_of(truth)
            helped = predictor.predict_text(asked, [click], [1])
            clicked = predictor.predict([click], [1])
            overlaps = {
                "words": iou(said.masks[said.best], truth),
                "words, best of 3": max(iou(mask, truth) for mask in said.masks),
                "words and a click": iou(helped.masks[helped.best], truth),
                "the click alone": iou(clicked.masks[clicked.best], truth),
            }
            yield Row(case.name, index, int(truth.sum()), overlaps, label)
