"""The losses of each step in which a two-stage detector is trained."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.nn import functional as F

from triscope.surface.models import _roi, _rpn

if TYPE_CHECKING:
    from triscope.surface.models._two_stage import TwoStage

# One batch: "images" float32 (b, 3, h, w); "boxes" and "labels", a list of (n, 4) xyxy in pixels
# of the input and one of (n,) from 0 on, an image each.
Batch = Mapping[str, Any]


def image_losses(net: TwoStage, batch: Batch) -> dict[str, Tensor]:
    """Phase 1: which defect covers most of the image."""
    rows, wanted = [], []
    for i, (boxes, labels) in enumerate(zip(batch["boxes"], batch["labels"], strict=True)):
        if len(labels):
            area = (boxes[:, 2:] - boxes[:, :2]).prod(1)
            cover = torch.zeros(net.names.out_features, device=area.device)
            wanted.append(cover.index_add(0, labels, area).argmax())
            rows.append(i)
    pooled = net.maps(batch["images"])[0].mean((2, 3))
    logits = net.names(pooled)
    if not rows:
        return {"loss": logits.sum() * 0}
    return {"loss": F.cross_entropy(logits[rows], torch.stack(wanted))}


def proposal_losses(net: TwoStage, batch: Batch) -> dict[str, Tensor]:
    """Phases 2 and 4: the region proposals."""
    size = (batch["images"].shape[-2], batch["images"].shape[-1])
    return _proposal_losses(net, net.rpn(net.maps(batch["images"]), size), batch)


def head_losses(net: TwoStage, batch: Batch, proposer: TwoStage) -> dict[str, Tensor]:
    """Phases 3 and 5: the heads, on the regions that a trained net proposes."""
    images = batch["images"]
    with torch.no_grad():
        boxes, _ = proposer.proposals(images)
    return _head_losses(net, net.maps(images), boxes, batch)


def joint_losses(net: TwoStage, batch: Batch) -> dict[str, Tensor]:
    """Everything at once (approximate joint training: no gradient through the regions)."""
    images = batch["images"]
    size = (images.shape[-2], images.shape[-1])
    maps = net.maps(images)
    slid = net.rpn(maps, size)
    first = _proposal_losses(net, slid, batch)
    with torch.no_grad():
        boxes, _ = _rpn.propose(slid, size, net.proposing)
    second = _head_losses(net, maps, boxes, batch)
    return {**first, **second, "loss": first["loss"] + second["loss"]}


def _proposal_losses(net: TwoStage, slid: _rpn.Slid, batch: Batch) -> dict[str, Tensor]:
    score, place = _rpn.losses(slid, batch["boxes"], net.proposing)
    loss = score + net.detecting.balance * place
    return {"loss": loss, "objectness": score, "proposal_box": place}


def _head_losses(
    net: TwoStage, maps: list[Tensor], boxes: Tensor, batch: Batch
) -> dict[str, Tensor]:
    size = (batch["images"].shape[-2], batch["images"].shape[-1])
    how = net.detecting
    regions, labels, targets = _roi.teach(boxes, batch["boxes"], batch["labels"], how)
    score, place = _roi.losses(net.head(maps, regions, size), labels, targets, how)
    return {"loss": score + how.balance * place, "class": score, "box": place}
