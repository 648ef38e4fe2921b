"""The weights in the package: they load, they are small, they do better than chance."""

from __future__ import annotations

import numpy as np

from triscope.segment.evaluate.cases import scenes
from triscope.segment.evaluate.prompted import evaluate_prompts, means
from triscope.segment.networks import NANO, nano_of_size
from triscope.segment.predictor import Predictor


def test_the_file_is_small() -> None:
    assert NANO.stat().st_size <= 4_000_000


def test_prompts_find_objects_of_scenes_never_seen() -> None:
    predictor = Predictor(nano_of_size(256))
    found = means(evaluate_prompts(predictor, scenes(4)))
    assert found["box"] > 0.55 and found["point"] > 0.35
    assert found["best of 3"] >= found["point"]


def test_a_clear_disc_is_found() -> None:
    rows, columns = np.mgrid[0:256, 0:256]
    disc = np.hypot(columns - 130, rows - 120) < 50
    image = np.where(disc[:, :, None], [200, 60, 40], [60, 90, 110]).astype(np.uint8)
    predictor = Predictor(nano_of_size(256))
    predictor.set_image(image)
    answer = predictor.predict(box=[80, 70, 181, 171])
    mask = answer.masks[answer.best]
    assert (mask & disc).sum() / (mask | disc).sum() > 0.7
