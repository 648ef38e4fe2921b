"""The promptable task: one image, many masks, several rounds of prompts, arXiv:2304.02643.

Section 3 and appendix A ("training algorithm"): the first prompt is a point or a noisy box, half
and half; then clicks drawn from the error region, with the mask of the round before as a prompt;
and two rounds without a new click, one in between and one at the end.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from triscope.kernel.config import require
from triscope.segment.models.sam import Sam
from triscope.segment.training import losses, sampling


@dataclass(frozen=True)
class Recipe:
    """How the task is trained; the defaults are the published ones."""

    clicks: int = 8  # rounds with a click from the error region, behind the first prompt
    rounds_without: int = 2  # rounds in which only the mask of the round before comes back
    fewer: bool = False  # each update draws how many of the clicks it makes, none included
    boxes: float = 0.5  # share of masks whose first prompt is a box, not a point
    centred: float = 0.0  # share of clicks in the middle of their region, not anywhere in it
    focal: float = 20.0  # weight of the focal loss
    dice: float = 1.0  # weight of the dice loss
    quality: float = 1.0  # weight of the error of the predicted IoU
    judge_all: bool = False  # the predicted IoU of all masks is trained, not only of the best one
    all_of_point: float = 0.0  # share of the loss that all three masks of a point get, not the best
    all_of_box: float = 0.0  # likewise of a box, which leaves less to choose from

    def __post_init__(self) -> None:
        weights = ("focal", "dice", "quality")
        shares = ("boxes", "centred", "all_of_point", "all_of_box")
        require(
            self,
            clicks=(self.clicks >= 0, "0 or more"),
            rounds_without=(0 <= self.rounds_without <= 2, "0, 1 or 2"),
            **{name: (0 <= getattr(self, name) <= 1, "a share in [0, 1]") for name in shares},
            **{name: (getattr(self, name) >= 0, "0 or more") for name in weights},
        )


@dataclass
class _Prompts:
    """What has been said about n masks so far, in pixels of the square."""

    truth: Float[Tensor, "n l l"]
    points: Tensor | None = None
    labels: Tensor | None = None
    boxes: Tensor | None = None
    masks: Tensor | None = None

    @property
    def single(self) -> bool:
        """Whether the prompt may still be ambiguous: one point, or one box, and nothing more."""
        return self.masks is None

    def click(self, points: Tensor, labels: Tensor) -> None:
        """One more point for each mask."""
        self.points = points if self.points is None else torch.cat([self.points, points], 1)
        self.labels = labels if self.labels is None else torch.cat([self.labels, labels], 1)


class PromptableTask:
    """A network that learns to answer prompts; ``kernel.train`` drives it.

    A batch holds ``images`` (b, 3, s, s), normalised and padded, and ``masks`` (b, n, l, l): what
    share of each cell of the logits the mask covers.
    """

    def __init__(self, network: Sam, recipe: Recipe = Recipe()) -> None:
        self._network, self.recipe = network, recipe

    def network(self) -> nn.Module:
        """The network that learns."""
        return self._network

    def losses(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Averages over all masks and rounds, and the overlap of the first and the last round."""
        embeddings = self._network.embed(batch["images"])
        shares = batch["masks"].float()  # mixed precision hands batches over in half
        # The decoder keeps full precision: on a CPU it is faster so, and its gradients are small.
        with torch.autocast(embeddings.device.type, enabled=False):
            return self._rounds(embeddings.float(), shares)

    def _rounds(
        self, embeddings: Float[Tensor, "b c g g"], shares: Float[Tensor, "b n l l"]
    ) -> dict[str, Tensor]:
        count = shares.shape[1]
        boxed = round(self.recipe.boxes * count)
        clicks = self.recipe.clicks
        if self.recipe.fewer:
            clicks = int(torch.randint(clicks + 1, ()))
        without = self._rounds_without(clicks)
        parts: list[dict[str, Tensor]] = []
        for some, with_box in ((shares[:, :boxed], True), (shares[:, boxed:], False)):
            if not some.shape[1]:
                continue
            prompts = self._first(some.flatten(0, 1), with_box)
            rounds = [
                self._round(embeddings, prompts, i in without)
                for i in range(1 + clicks + self.recipe.rounds_without)
            ]
            share = some.shape[1] / count
            parts.append({k: share * _mean(rounds, k) for k in rounds[0] if k != "iou"})
            parts[-1]["box_iou" if with_box else "point_iou"] = rounds[0]["iou"]
            if len(rounds) > 1:
                parts[-1]["last_iou"] = share * rounds[-1]["iou"]
        names = dict.fromkeys(name for part in parts for name in part)
        return {
            name: torch.stack([part[name] for part in parts if name in part]).sum()
            for name in names
        }

    def _rounds_without(self, clicks: int) -> set[int]:
        """Numbers of the rounds without a new click: one at a random place, one at the end."""
        extra = self.recipe.rounds_without
        last = clicks + extra
        places = {last} if extra else set()
        if extra > 1:
            places.add(int(torch.randint(1, last, ())))
        return places

    def _first(self, truth: Float[Tensor, "n l l"], with_box: bool) -> _Prompts:
        prompts, side = _Prompts(truth), self._network.image_size
        if with_box:
            prompts.boxes = sampling.noisy_boxes(truth, side)
        else:
            points = sampling.random_points(truth, side, self.recipe.centred)
            prompts.click(points, truth.new_ones(len(truth), 1))
        return prompts

    def _round(
        self, embeddings: Float[Tensor, "b c g g"], prompts: _Prompts, without: bool
    ) -> dict[str, Tensor]:
        """One answer and its losses; afterwards the prompts hold what the next round is told."""
        single = prompts.single
        if not single and not without:
            assert prompts.masks is not None
            prompts.click(
                *sampling.correcting_points(
                    prompts.masks[:, 0],
                    prompts.truth,
                    self._network.image_size,
                    self.recipe.centred,
                )
            )
        logits, quality = self._network.decode(
            embeddings,
            points=prompts.points,
            labels=prompts.labels,
            boxes=prompts.boxes,
            masks=prompts.masks,
            multimask=single,
        )
        recipe = self.recipe
        shared = recipe.all_of_point if prompts.boxes is None else recipe.all_of_box
        parts, iou = self._judge(logits, quality, prompts.truth[:, None], shared)
        chosen = quality.argmax(dim=1)
        rows = torch.arange(len(chosen))
        prompts.masks = logits[rows, chosen].detach()[:, None]
        return {**parts, "iou": iou[rows, chosen].mean()}

    def _judge(
        self,
        logits: Float[Tensor, "n k l l"],
        quality: Float[Tensor, "n k"],
        truth: Float[Tensor, "n 1 l l"],
        shared: float = 0.0,
    ) -> tuple[dict[str, Tensor], Float[Tensor, "n k"]]:
        """Losses of the mask that is nearest to the truth, and of the predicted IoU.

        ``shared`` is the share of the loss that is the mean over all masks.
        """
        recipe = self.recipe
        focal, dice = losses.focal(logits, truth), losses.dice(logits, truth)
        whole = recipe.focal * focal + recipe.dice * dice  # (n, k)
        nearest = whole.detach().argmin(dim=1)
        rows = torch.arange(len(nearest))
        iou = losses.true_iou(logits, truth)
        error = (quality - iou) ** 2
        judged = error.mean() if recipe.judge_all else error[rows, nearest].mean()
        parts = {"focal": focal[rows, nearest].mean(), "dice": dice[rows, nearest].mean()}
        total = (1 - shared) * whole[rows, nearest].mean() + shared * whole.mean()
        return {"loss": total + recipe.quality * judged, **parts, "quality": judged}, iou


def _mean(rounds: list[dict[str, Tensor]], name: str) -> Tensor:
    return torch.stack([one[name] for one in rounds]).mean()
