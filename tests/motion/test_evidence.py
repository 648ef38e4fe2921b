"""Evidence lies where the network looked; the table of networks tells what they cost."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from moving import frames_of, saved, write
from torch import nn

import triscope
from triscope.cli import program
from triscope.cli._exits import run
from triscope.errors import UnknownModel, UsageError
from triscope.kernel.report.film import film
from triscope.kernel.results import Finding
from triscope.motion.comparing import NETWORKS, compare
from triscope.motion.evidence import Explainer, _inside, grad_cam, map_layer, sheet, shown
from triscope.motion.models import tsm, video_swin, x3d


class Looks(nn.Module):
    """Class 1 counts what is bright, class 0 what is dark."""

    def __init__(self) -> None:
        super().__init__()
        self.look = nn.Conv3d(3, 2, 1)
        self.out = nn.Linear(2, 2)
        with torch.no_grad():
            self.look.weight.copy_(
                torch.tensor([-1.0, 1.0]).reshape(2, 1, 1, 1, 1).expand(2, 3, 1, 1, 1)
            )
            self.look.bias.zero_()
            self.out.weight.copy_(torch.eye(2))

    def forward(self, clips: torch.Tensor) -> torch.Tensor:
        return self.out(self.look(clips).relu().mean((2, 3, 4)))


def test_evidence_lies_on_what_made_the_answer() -> None:
    clip = torch.zeros(1, 3, 4, 16, 16)
    clip[:, :, 2, 4:8, 8:12] = 1.0
    heat = grad_cam(Looks(), clip, 1)
    assert heat.shape == (4, 16, 16) and heat.max() == pytest.approx(1.0)
    assert np.unravel_index(heat.argmax(), heat.shape)[0] == 2
    inside = heat[2, 4:8, 8:12].sum()
    assert inside > 0.99 * heat.sum()
    frames = np.full((4, 16, 16, 3), 100, np.uint8)
    over = shown(frames, heat)
    assert np.array_equal(over[0], frames[0]) and not np.array_equal(over[2], frames[2])
    assert sheet(over, 2).shape == (16, 32, 3)


@pytest.mark.parametrize(
    ("net", "size"),
    [
        (lambda: tsm.network("mobilenetv2", classes=3), 64),
        (lambda: x3d.X3d(x3d.Shape(4, 1, 64, 1.0, 2.25, 1.0), classes=3), 64),
        (lambda: video_swin.VideoSwin(width=24, depths=(1, 1), heads=(1, 2), classes=3), 32),
    ],
)
def test_every_kind_of_network_chooses_its_own_layer(net, size: int) -> None:  # type: ignore[no-untyped-def]
    torch.manual_seed(0)
    heat = grad_cam(net(), torch.randn(1, 3, 4, size, size), 2)
    assert heat.shape == (4, size, size) and np.isfinite(heat).all() and heat.min() >= 0


def test_a_network_without_maps_says_so() -> None:
    class Flat(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Linear(3, 2)

        def forward(self, clips: torch.Tensor) -> torch.Tensor:
            return self.out(clips.mean((2, 3, 4)))

    with pytest.raises(UsageError, match="Flat keeps no map over space"):
        map_layer(Flat(), torch.zeros(1, 3, 2, 8, 8))


def test_the_table_tells_the_published_costs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(program(), ["bench", "motion", "x3d_s", "tsm_online_mobilenetv2", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["networks"]
    assert rows[0]["parameters"] == 3_794_322 and rows[0]["giga"] == pytest.approx(1.963, abs=1e-3)
    assert rows[1]["input"] == "3x224x224" and rows[1]["milliseconds"] is None
    with pytest.raises(UnknownModel, match="no network named 'x3d'"):
        compare(("x3d",))
    assert len(NETWORKS) > 40


def test_the_evidence_of_a_saved_check_lies_in_the_frames_it_read(tmp_path: Path) -> None:
    check = triscope.open(saved("tsm"))
    path = write(tmp_path / "new.mp4", frames_of("left", seed=3))
    explain = Explainer(check)
    evidence = explain(path, "left")
    assert evidence is not None
    t, h, w = evidence.heat.shape
    assert t == len(evidence.numbers) == check.card.input["frames"]
    assert list(evidence.numbers) == sorted(evidence.numbers) and evidence.numbers[-1] < 20
    assert evidence.heat.min() >= 0 and evidence.heat.max() <= 1 and h == w
    made = film(path, (), evidence)
    assert made.heat is not None and made.heat.image_size == made.picture.shape[:2]
    other = explain(path, "right")
    assert other is not None and not np.allclose(evidence.heat, other.heat)
    check.card = check.card.with_(input={"kind": "timeline"})
    with pytest.raises(UsageError, match="does not answer whole clips"):
        Explainer(check)


def test_evidence_in_the_middle_square_is_moved_into_the_whole_frame() -> None:
    heat = np.ones((2, 4, 4), np.float32)
    whole = _inside(heat, 4, 10)
    assert whole.shape == (2, 4, 10) and whole[:, :, 3:7].all() and whole.sum() == 32


def test_reports_and_overlays_show_a_video_as_a_film(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "new.mp4", frames_of("right", seed=4))
    words = ["inspect", str(saved("tsm")), str(path), "--explain", "--report",
             str(tmp_path / "r.html"), "--overlays", str(tmp_path / "o"), "--json"]  # fmt: skip
    assert run(program(), words) in (0, 1)
    answer = json.loads(capsys.readouterr().out)["inspections"][0]
    page = (tmp_path / "r.html").read_text()
    assert f'"shows":"{answer["details"]["label"]}"' in page.replace('": "', '":"')
    (overlay,) = (tmp_path / "o").glob("*.png")
    picture = cv2.imread(str(overlay))
    assert picture is not None and picture.shape[1] > picture.shape[0]  # three frames by two


def test_a_timeline_of_findings_stands_below_the_film(tmp_path: Path) -> None:
    path = write(tmp_path / "new.mp4", frames_of("right", seed=4))
    plain = film(path, (Finding("right", 0.9, span_s=(0.0, 1.0)),)).picture
    spans = (Finding("base", 0.9, span_s=(0.1, 0.4)), Finding("gear", 0.9, span_s=(0.5, 0.8)))
    made = film(path, spans).picture
    assert np.array_equal(made[: len(plain)], plain)  # the whole video needs no timeline
    band = made[len(plain) + 10]
    w = len(band)
    colours = [tuple(band[int(share * w)]) for share in (0.05, 0.25, 0.45, 0.65, 0.9)]
    assert colours[0] == colours[2] == colours[4] and len(set(colours)) == 3
