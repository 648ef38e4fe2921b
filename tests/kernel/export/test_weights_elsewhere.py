"""A check goes on where the files of weights that its model began from are not at hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

import triscope
from triscope.errors import WeightsMissing
from triscope.kernel.export.fitted import restored
from triscope.kernel.weights import to_follow
from triscope.surface.models.efficientad import EfficientAd
from triscope.surface.models.efficientad import Settings as EfficientAdSettings


def parts(count: int) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.integers(90, 110, (64, 64, 3), dtype=np.uint8) for _ in range(count)]


def backbone_file(place: Path, classes: int) -> Path:
    """Weights of a backbone as a file; 1001 classes mark one that came from TensorFlow."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net = timm.create_model("mobilenetv2_050", num_classes=classes)
    path = place / "backbone.safetensors"
    save_file(net.state_dict(), path)
    return path


@pytest.mark.parametrize("classes", [1000, 1001])
def test_a_check_is_restored_without_the_file_of_its_backbone(classes: int, tmp_path: Path) -> None:
    file = backbone_file(tmp_path, classes)
    settings = {"backbone": "mobilenetv2_050", "weights": str(file), "size": 64, "keep": 0.5}
    fitted = triscope.fit("patchcore", parts(6), settings, calibrate=0)
    fitted.save(tmp_path / "check")
    image = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    wanted = restored(fitted).graph()(image)

    file.unlink()
    model = restored(triscope.open(tmp_path / "check"))

    for one, other in zip(model.graph()(image), wanted, strict=True):
        assert torch.equal(one, other)
    with pytest.raises(WeightsMissing, match=r"backbone\.safetensors"):
        type(model)(model.settings)


def test_no_file_of_a_teacher_is_read_where_weights_follow() -> None:
    settings = EfficientAdSettings(size=256, width=1, teacher_weights="elsewhere/teacher.pth")
    with pytest.raises(WeightsMissing, match="elsewhere"):
        EfficientAd(settings)
    with to_follow():
        teacher = EfficientAd(settings).parts["teacher"]
    assert not any(p.requires_grad for p in teacher.parameters())
