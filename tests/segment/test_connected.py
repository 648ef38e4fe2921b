"""What helps a small network: connected regions for clicks, boxes beside masks."""

from __future__ import annotations

import numpy as np
import torch
from drawn_predictor import DrawnPredictor

from triscope.segment.connected import under_clicks
from triscope.segment.models.sam import mobile_sam, sam_nano
from triscope.segment.predictor import Predictor
from triscope.segment.prompts import Prompts

MASK = np.zeros((40, 60), bool)
MASK[5:15, 5:20] = True  # left
MASK[20:30, 40:55] = True  # right


def test_the_region_under_a_click_stays() -> None:
    kept = under_clicks(MASK, np.array([[10.0, 8]]))
    assert kept[5:15, 5:20].all() and kept.sum() == 150


def test_every_inside_click_keeps_its_region() -> None:
    assert (under_clicks(MASK, np.array([[10.0, 8], [50, 25]])) == MASK).all()


def test_a_click_beside_all_regions_keeps_them() -> None:
    assert (under_clicks(MASK, np.array([[30.0, 2], [59.6, 39.6]])) == MASK).all()
    assert not under_clicks(np.zeros((4, 4), bool), np.array([[1.0, 1]])).any()


class TwoRegions(DrawnPredictor):
    """Answers two squares, whatever the prompt."""

    def _decode(self, embedding: np.ndarray, prompts: Prompts) -> tuple[np.ndarray, np.ndarray]:
        logits = np.full((len(prompts), 4, 64, 64), -5, np.float32)
        logits[:, :, 8:24, 8:24] = logits[:, :, 40:56, 40:56] = 5
        return logits, np.ones((len(prompts), 4), np.float32)


def test_clicks_are_told_apart_in_pixels_of_the_image() -> None:
    predictor = TwoRegions()
    predictor.set_image(np.zeros((128, 128, 3), np.uint8))
    both = predictor.predict([[90, 90]], [1]).masks
    assert both[:, 30, 30].all() and both[:, 90, 90].all()
    predictor.small = True
    one = predictor.predict([[90, 90], [30, 30]], [1, 0])
    assert not one.masks[:, 30, 30].any() and one.masks[:, 90, 90].all()
    assert one.logits[:, 10, 10].min() > 0  # the network's own logits stay whole
    assert predictor.predict([[90, 90], [30, 30]], [1, 1]).masks[:, 30, 30].all()
    assert predictor.predict(box=[0, 0, 128, 128]).masks[:, 30, 30].all()


def test_it_is_on_for_the_small_network_only() -> None:
    assert Predictor(sam_nano(128)).small
    with torch.device("meta"):
        published = mobile_sam()
    assert not Predictor(published.to_empty(device="cpu")).small


def test_a_mask_alone_comes_with_its_box() -> None:
    predictor = DrawnPredictor()  # fills boxes
    predictor.set_image(np.zeros((128, 128, 3), np.uint8))
    rough = np.zeros((128, 128), bool)
    rough[20:60, 30:100] = True
    predictor.small = True
    found = predictor.predict(mask=predictor.mask_prompt(rough)).masks[0]
    assert (found & rough).sum() / (found | rough).sum() > 0.9
    empty = predictor.predict(mask=np.full((64, 64), -5.0)).masks[0]
    assert empty.all()
