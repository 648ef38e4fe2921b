"""The predictor: one image, many prompts, in pixels of the image; and what it refuses."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from triscope.errors import BadPrompt, DataError, UnreadableImage, UsageError, WeightsMismatch
from triscope.segment.answers import Embedding
from triscope.segment.frame import Frame, as_rgb
from triscope.segment.models.sam import Sam, sam_nano
from triscope.segment.predictor import Predictor, from_square, resized, to_square


@cache
def network(seed: int = 0) -> Sam:
    torch.manual_seed(seed)
    return sam_nano().eval()


@cache
def image() -> np.ndarray:
    picture = np.random.default_rng(3).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    picture.setflags(write=False)
    return picture


@cache
def looking() -> Predictor:
    predictor = Predictor(network())
    predictor.set_image(image())
    return predictor


def test_one_prompt_gives_three_masks_of_the_size_of_the_image() -> None:
    answer = looking().predict([[30, 40]], [1])
    assert answer.masks.shape == (3, 90, 160) and answer.masks.dtype == bool
    assert answer.iou.shape == (3,) and answer.logits.shape == (3, 128, 128)
    assert len(answer) == 3 and answer.iou[answer.best] == answer.iou.max()
    assert len(looking().predict([[30, 40]], [1], multimask=False)) == 1


def test_masks_are_the_logits_above_zero() -> None:
    answer = looking().predict(box=[10, 20, 90, 80])
    low = torch.from_numpy(answer.logits)[None]
    full = from_square(low, Frame((90, 160), 512))[0].numpy()
    clear = np.abs(full) > 1e-3
    assert np.array_equal(answer.masks[clear], (full > 0)[clear])


def test_the_tensor_twin_gives_the_same() -> None:
    predictor, frame = looking(), Frame((90, 160), 512)
    points, boxes = (
        [[[30.0, 40.0]], [[80.0, 9.0]]],
        [[10.0, 20.0, 90.0, 80.0], [1.0, 2.0, 8.0, 9.0]],
    )
    full, iou, low = predictor.predict_tensors(
        torch.tensor(frame.points_in(points), dtype=torch.float32),
        torch.tensor([[1], [0]]),
        torch.tensor(frame.boxes_in(boxes), dtype=torch.float32),
    )
    many = list(predictor.predict_many(points, [[1], [0]], boxes))
    assert full.shape == (2, 3, 90, 160)
    for i, one in enumerate(many):
        assert np.abs(one.logits - low[i].numpy()).max() < 1e-4
        assert np.abs(one.iou - iou[i].numpy()).max() < 1e-5


def test_batches_do_not_change_the_answer() -> None:
    boxes = np.sort(np.random.default_rng(1).uniform(0, 90, (7, 2, 2)), axis=1).reshape(7, 4)
    by_one = list(looking().predict_many(boxes=boxes, at_once=1))
    by_three = list(looking().predict_many(boxes=boxes, at_once=3))
    assert len(by_one) == len(by_three) == 7
    for a, b in zip(by_one, by_three, strict=True):
        assert np.abs(a.logits - b.logits).max() < 1e-4


def test_a_prompt_changes_the_answer_and_the_mask_goes_back_in() -> None:
    predictor = looking()
    first = predictor.predict([[30, 40]], [1])
    assert np.abs(first.logits - predictor.predict([[30, 40]], [0]).logits).max() > 1e-3
    again = predictor.predict([[30, 40]], [1], mask=first.logits[first.best], multimask=False)
    without = predictor.predict([[30, 40]], [1], multimask=False)
    assert np.abs(again.logits - without.logits).max() > 1e-3


def test_a_mask_of_the_image_becomes_a_prompt() -> None:
    mask = np.zeros((90, 160), bool)
    mask[20:70, 40:120] = True
    logits = looking().mask_prompt(mask)
    assert logits.shape == (128, 128) and logits.max() == 8 and logits.min() == -8
    back = Frame((90, 160), 512).logits_out(logits) > 0
    assert (back & mask).sum() / (back | mask).sum() > 0.97
    assert looking().predict(mask=logits).masks.shape == (3, 90, 160)


def test_embeddings_outlive_the_predictor(tmp_path: Path) -> None:
    embedding = looking().embed(image())
    embedding.save(tmp_path / "one.npz")
    other = Predictor(network())
    other.use(Embedding.load(tmp_path / "one.npz"))
    ours, theirs = looking().predict([[30, 40]], [1]), other.predict([[30, 40]], [1])
    assert np.array_equal(ours.masks, theirs.masks) and np.array_equal(ours.iou, theirs.iou)


def test_embeddings_of_another_network_are_refused() -> None:
    mine, other = looking(), Predictor(network(1))
    with pytest.raises(WeightsMismatch) as caught:
        other.use(mine.embedding)
    assert str(caught.value) == (
        f"the embedding was made by network {mine.fingerprint}, this is {other.fingerprint}: "
        "embed the image again."
    )


def test_damaged_embeddings_are_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.npz"
    looking().embedding.save(path)
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(DataError, match=r"broken\.npz is not a saved embedding"):
        Embedding.load(path)
    sizes = np.array([9, 1, 1, 512])
    np.savez(path, values=np.zeros(1), sizes=sizes, network=np.array("x"))
    with pytest.raises(DataError, match=r"broken\.npz has format 9, this version reads 1\."):
        Embedding.load(path)


def test_many_images_in_a_batch() -> None:
    images = [image(), image()[:50, :40], image()[:, :, 0]]
    batch = list(Predictor(network()).embed_many(images, at_once=2))
    assert [one.frame.image_hw for one in batch] == [(90, 160), (50, 40), (90, 160)]
    alone = looking().embed(image()[:50, :40])
    assert np.abs(batch[1].values - alone.values).max() < 1e-3


def test_a_network_in_training_stays_in_training() -> None:
    torch.manual_seed(0)
    training = sam_nano().train()
    predictor = Predictor(training)
    before = {key: value.clone() for key, value in training.state_dict().items()}
    predictor.set_image(image())
    predictor.predict([[3, 4]], [1])
    assert training.training
    assert all(torch.equal(before[key], value) for key, value in training.state_dict().items())


def test_tensors_into_the_square() -> None:
    pixels = to_square(torch.tensor(image()).permute(2, 0, 1)[None].float(), 512)
    ours = Frame((90, 160), 512).pixels(image())
    assert pixels.shape == ours.shape == (1, 3, 512, 512)
    assert np.abs(pixels.numpy() - ours).max() < 0.02  # one grey level
    small = torch.rand(2, 3, 20, 30)
    assert resized(small, Frame((20, 30), 64)).shape == (2, 3, 43, 64)


@pytest.mark.parametrize(
    "prompt,message",
    [
        ({}, "no prompt: give points with labels, a box, or a mask."),
        (
            {"points": [[160, 40]], "labels": [1]},
            "point (x, y) = (160, 40) lies outside the image of 160x90 (width x height): "
            "expected 0 <= x < 160 and 0 <= y < 90.",
        ),
        (
            {"points": [[3, 4], [5, -0.5]], "labels": [1, 0]},
            "point (x, y) = (5, -0.5) lies outside the image of 160x90 (width x height): "
            "expected 0 <= x < 160 and 0 <= y < 90.",
        ),
        (
            {"points": [[3, 4], [5, 6]]},
            "2 points without labels: give 1 (inside) or 0 (outside) for each.",
        ),
        (
            {"points": [[3, 4]], "labels": [1, 0]},
            "labels have shape (1, 2), the points expect (1, 1).",
        ),
        (
            {"points": [[3, 4]], "labels": [2]},
            "a label is 1 (inside) or 0 (outside), got 2.",
        ),
        ({"labels": [1]}, "labels without points: give points (n, p, 2) beside labels (n, p)."),
        (
            {"points": [3, 4], "labels": [1]},
            "points have the layout (n, p, 2), got shape (1, 2).",
        ),
        (
            {"points": [[3, float("nan")]], "labels": [1]},
            "points are finite numbers, got nan or infinity.",
        ),
        (
            {"box": [50, 10, 20, 30]},
            "box (x0, y0, x1, y1) = (50, 10, 20, 30) is reversed or empty: "
            "expected x0 < x1 and y0 < y1.",
        ),
        (
            {"box": [50, 10, 161, 30]},
            "box (x0, y0, x1, y1) = (50, 10, 161, 30) reaches outside the image of 160x90 "
            "(width x height): cut it to the image first.",
        ),
        (
            {"mask": np.zeros((90, 160))},
            "a mask prompt has 128x128 logits, got shape (90, 160): give the logits of an earlier "
            "answer, or turn a mask of the image into them with mask_prompt().",
        ),
        (
            {"mask": np.full((128, 128), np.nan)},
            "a mask prompt has finite logits, got nan or infinity.",
        ),
    ],
)
def test_bad_prompts(prompt: dict[str, object], message: str) -> None:
    with pytest.raises(BadPrompt) as caught:
        looking().predict(**prompt)
    assert str(caught.value) == message


def test_prompts_that_do_not_pair_up() -> None:
    with pytest.raises(BadPrompt) as caught:
        looking().predict_many([[[3, 4]]], [[1]], boxes=[[1, 2, 3, 4], [1, 2, 3, 5]])
    assert str(caught.value) == (
        "prompts of several kinds belong together one by one, got 1 of points, 2 of boxes."
    )


def test_a_mask_of_another_image_is_refused() -> None:
    with pytest.raises(BadPrompt, match=r"the mask is \(3, 4\), the image \(90, 160\)"):
        looking().mask_prompt(np.zeros((3, 4), bool))


def test_no_image_yet() -> None:
    with pytest.raises(UsageError) as caught:
        Predictor(network()).predict([[1, 2]], [1])
    assert str(caught.value) == "no image yet: call set_image(image) first."


@pytest.mark.parametrize(
    "bad,message",
    [
        (
            np.zeros((4, 4, 2), np.uint8),
            r"an image is \(h, w\) or \(h, w, 3\), got shape \(4, 4, 2\)",
        ),
        (np.zeros((0, 4, 3), np.uint8), r"an image has pixels, got shape \(0, 4, 3\)"),
        (np.zeros((4, 4, 3), np.float32), "an image is uint8 or uint16, got float32"),
    ],
)
def test_bad_images(bad: np.ndarray, message: str) -> None:
    with pytest.raises(UnreadableImage, match=message):
        looking().embed(bad)


def test_grey_alpha_and_sixteen_bits() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(as_rgb(grey), np.stack([grey] * 3, axis=2))
    assert np.array_equal(as_rgb(grey.astype(np.uint16) * 257), as_rgb(grey))
    assert as_rgb(np.zeros((3, 4, 4), np.uint8)).shape == (3, 4, 3)


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 3000), (2000, 3)])
def test_the_smallest_and_the_longest_images(size_hw: tuple[int, int]) -> None:
    predictor = Predictor(network())
    predictor.set_image(np.full((*size_hw, 3), 99, np.uint8))
    assert predictor.predict([[0, 0]], [1]).masks.shape == (3, *size_hw)


def test_a_large_image() -> None:
    """12,000 x 9,000 in shape; the pixels are one row repeated, so that it takes no memory."""
    row = np.broadcast_to(np.arange(3, dtype=np.uint8), (9000, 12000, 3))
    pixels = Frame((9000, 12000), 512).pixels(row)
    assert pixels.shape == (1, 3, 512, 512) and Frame((9000, 12000), 512).resized_hw == (384, 512)
    assert np.allclose(
        pixels[0, :, 200, 200],
        (np.arange(3) - 123.675 + [0, 7.395, 20.145]) / [58.395, 57.12, 57.375],
        atol=1e-5,
    )
