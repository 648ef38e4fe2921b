"""Faster R-CNN on a pyramid answers as torchvision's, weight for weight."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.rpn import AnchorGenerator
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool

from triscope.surface.models import _boxes, _roi, _rpn
from triscope.surface.models.faster_rcnn import FasterRcnn, Settings

CLASSES = ("scratch", "dent", "stain")
SIZE = 160


def published() -> FasterRCNN:
    """torchvision's network on ResNet-18, random, its heads wide enough to tell boxes apart."""
    torch.manual_seed(0)
    body = BackboneWithFPN(
        resnet18(weights=None),
        {f"layer{i + 1}": str(i) for i in range(4)},
        [64, 128, 256, 512],
        256,
        LastLevelMaxPool(),
    )
    anchors = AnchorGenerator(((16,), (32,), (64,), (128,), (256,)), ((0.5, 1.0, 2.0),) * 5)
    net = FasterRCNN(
        body,
        len(CLASSES) + 1,
        min_size=SIZE,
        max_size=SIZE,
        rpn_anchor_generator=anchors,
        rpn_post_nms_top_n_test=100,
        box_score_thresh=0.01,
    )
    for layer in (net.rpn.head.cls_logits, net.rpn.head.bbox_pred):
        nn.init.normal_(layer.weight, std=0.05)
    nn.init.normal_(net.roi_heads.box_predictor.cls_score.weight, std=0.3)
    nn.init.normal_(net.roi_heads.box_predictor.bbox_pred.weight, std=0.1)
    return net.eval()


def moved(net: FasterRCNN) -> dict[str, Tensor]:
    """torchvision's weights under our keys; the box head of the background is not ours."""
    state = net.state_dict()
    ours: dict[str, Tensor] = {}
    for key, value in state.items():
        new = key
        if key.startswith("backbone.body."):
            rest = key.removeprefix("backbone.body.")
            first, _, more = rest.partition(".")
            if first.startswith("layer"):
                stage = int(first[5]) - 1
                new = f"stages.parts.0.4.{more}" if stage == 0 else f"stages.parts.{stage}.{more}"
            else:
                new = f"stages.parts.0.{('conv1', 'bn1').index(first)}.{more}"
        new = new.replace("backbone.fpn.inner_blocks", "neck.inner")
        new = new.replace("backbone.fpn.layer_blocks", "neck.outer")
        if "neck." in new:
            parts = new.split(".")
            new = ".".join([*parts[:3], parts[-1]])
        new = new.replace("rpn.head.conv.0.0", "rpn.conv").replace(
            "rpn.head.cls_logits", "rpn.objectness"
        )
        new = new.replace("rpn.head.bbox_pred", "rpn.offsets")
        new = new.replace("roi_heads.box_head", "head")
        new = new.replace("roi_heads.box_predictor.cls_score", "head.score")
        if "box_predictor.bbox_pred" in new:
            new, value = new.replace("roi_heads.box_predictor.bbox_pred", "head.box"), value[4:]
        ours[new] = value
    return ours


def rebuilt(net: FasterRCNN) -> FasterRcnn:
    made = FasterRcnn(
        Settings(
            classes=CLASSES,
            form="fpn",
            backbone="resnet18",
            weights="random:0",
            size=SIZE,
            anchors=(32.0,),
            proposals=100,
            threshold=0.01,
        )
    )
    left = made.net.load_state_dict(moved(net), strict=False)
    assert not left.unexpected_keys
    own = ("names.", "stages.mean", "stages.std", "stages.pads_as_tensorflow")
    assert all(key.startswith(own) for key in left.missing_keys), left.missing_keys
    made.parts.learned_batches += 1
    return made


@torch.no_grad()
def test_the_detections_are_those_of_torchvision() -> None:
    net = published()
    ours = rebuilt(net).graph()
    images = torch.rand(2, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    expected = net(list(images))
    boxes, labels, scores = ours.net(images)
    for i, answer in enumerate(expected):
        count = len(answer["scores"])
        assert count > 20
        assert torch.allclose(scores[i, :count], answer["scores"], rtol=1e-4, atol=1e-6)
        assert torch.equal(labels[i, :count] + 1, answer["labels"])
        assert torch.allclose(boxes[i, :count], answer["boxes"], rtol=1e-4, atol=1e-2)
        assert count == 100 or float(scores[i, count]) == 0


@torch.no_grad()
def test_the_losses_are_those_of_torchvision() -> None:
    """With all anchors and regions sampled, nothing is left to chance."""
    net = published()
    ours = rebuilt(net).detector
    images = torch.rand(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(2))
    truth = torch.tensor([[10.0, 20.0, 90.0, 70.0], [60.0, 60.0, 150.0, 140.0]])
    label = torch.tensor([0, 2])
    size = (SIZE, SIZE)
    maps = ours.maps(images)
    answer = ours.rpn(maps, size)
    how = _rpn.Proposing(sampled=10**6, share=1.0)
    first = _rpn.losses(answer, [truth], how)

    net.train()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
    net.rpn.fg_bg_sampler.batch_size_per_image = 10**6
    net.rpn.fg_bg_sampler.positive_fraction = 1.0
    expected = net(list(images), [{"boxes": truth, "labels": label + 1}])
    assert float(first[0]) == pytest.approx(float(expected["loss_objectness"]), rel=1e-4)
    assert float(first[1]) == pytest.approx(float(expected["loss_rpn_box_reg"]), rel=1e-4)

    boxes = torch.tensor([[[12.0, 18.0, 95.0, 75.0], [0.0, 0.0, 40.0, 40.0], [58, 66, 140, 150]]])
    detecting = _roi.Detecting(sampled=10**6, share=1.0, beta=1 / 9)
    regions, labels, targets = _roi.teach(boxes, [truth], [label], detecting)
    ours_second = _roi.losses(ours.head(maps, regions, size), labels, targets, detecting)
    features = net.backbone(net.transform(list(images))[0].tensors)
    heads = net.roi_heads
    pooled = heads.box_head(heads.box_roi_pool(features, [regions[:, 1:]], [size]))
    logits, offsets = heads.box_predictor(pooled)
    from torchvision.models.detection.roi_heads import fastrcnn_loss

    theirs = fastrcnn_loss(logits, offsets, [labels], [targets])
    assert (labels > 0).sum() == 4  # two proposals, and the two truths themselves
    assert float(ours_second[0]) == pytest.approx(float(theirs[0]), rel=1e-4)
    assert float(ours_second[1]) == pytest.approx(float(theirs[1]), rel=1e-4)


def test_offsets_are_undone() -> None:
    generator = torch.Generator().manual_seed(3)
    boxes = torch.rand(50, 2, generator=generator) * 100
    boxes = torch.cat([boxes, boxes + 1 + 50 * torch.rand(50, 2, generator=generator)], 1)
    reference = boxes.flip(0)
    back = _boxes.decode(_boxes.encode(boxes, reference, _roi.WEIGHTS), reference, _roi.WEIGHTS)
    assert torch.allclose(back, boxes, atol=1e-3)
