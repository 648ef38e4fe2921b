"""The encoder as it is exported answers as the network does, and leaves the network as it was."""

from __future__ import annotations

import torch

from triscope.segment.export.encoder import EncoderGraph, SplitAttention
from triscope.segment.models.sam import mobile_sam


def test_tiny_vit_is_the_same_with_products_apart() -> None:
    torch.manual_seed(0)
    network = mobile_sam().eval()
    for name, value in network.state_dict().items():
        if name.endswith(("attention_biases", "norm.weight", "norm.bias", "qkv.bias")):
            value.normal_(1 if name.endswith("weight") else 0, 0.3)
    before = set(network.state_dict())
    graph = EncoderGraph(network).eval()
    images = torch.randn(2, 3, 224, 224)  # windows of 7 and 14 are padded at this size
    with torch.no_grad():
        wanted, found = network.image_encoder(images), graph(images)
    assert sum(isinstance(part, SplitAttention) for part in graph.modules()) == 10
    assert set(network.state_dict()) == before
    assert (wanted - found).abs().max() < 1e-5 * wanted.abs().max()
