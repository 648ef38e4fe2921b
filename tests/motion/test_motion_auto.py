"""The choice of a model for videos: by what is known of them, and by the time there is."""

from __future__ import annotations

from pathlib import Path

import pytest
from moving import place

import triscope
from triscope.cli import program
from triscope.cli._exits import run
from triscope.errors import BadSettings
from triscope.kernel import catalogue, config
from triscope.kernel.data import Dataset, Sample
from triscope.kernel.data.video import holds_videos
from triscope.kernel.verbs import choose as chosen
from triscope.motion.auto import LADDER, SMALL, Candidate, choose, eager_ms
from triscope.motion.synth import assembly

MANY = Dataset(
    tuple(Sample(f"{label}{i}.mp4", f"{i}", label) for label in "ab" for i in range(100)),
    "",
    "list",
    ("a", "b"),
)


def by_size(candidate: Candidate) -> float:
    """Milliseconds that grow with the ladder: 10, 20, 40 ..."""
    return 10.0 * 2 ** LADDER.index(candidate)


@pytest.mark.parametrize(("budget", "variant"), [(10, "x3d_xs"), (50, "x3d_m"), (900, "mvit_v2_s")])
def test_the_most_able_network_within_the_budget_is_taken(budget: float, variant: str) -> None:
    choice = choose(MANY, budget, by_size)
    assert choice.settings["variant"] == variant
    assert f"most able network that answers within {budget:g} ms here" in choice.why
    config.build(catalogue.settings_class(choice.name), choice.settings)


def test_a_budget_that_nothing_keeps_says_what_else_there_is() -> None:
    with pytest.raises(BadSettings, match=r"takes 10 ms here, more than 9 ms\. Give --latency-ms"):
        choose(MANY, 9, by_size)
    with pytest.raises(BadSettings, match="expected a number above 0"):
        choose(MANY, -1, by_size)


def test_the_ladder_grows_in_accuracy_and_in_cost() -> None:
    assert [c.top_1 for c in LADDER] == sorted(c.top_1 for c in LADDER)
    assert eager_ms(Candidate("x3d", 0, SMALL)) > 0


def test_few_videos_get_a_small_network_and_spans_a_segmenter(tmp_path: Path) -> None:
    name, why, settings = chosen(place() / "clips")
    assert (name, settings) == ("x3d", dict(SMALL)) and why.startswith(
        "3 videos of a class are few"
    )
    assembly.write_all(tmp_path, assembly.paint_many(1, 5))
    assert chosen(tmp_path)[0] == "ms_tcn"
    assert holds_videos(tmp_path) and not holds_videos(tmp_path / "steps.csv")
    with pytest.raises(BadSettings, match="only models of videos are chosen by their latency"):
        chosen([Sample("a.png", "a", "good")], 50)


def test_auto_fits_what_it_chose(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["fit", "auto", str(place() / "clips"), "-o", str(tmp_path / "c"), "--steps", "1",
             "--size", "32", "--frames", "2", "--batch", "2", "--warm-up", "0", "--calibrate", "0",
             "--engine", "onnxruntime"]  # fmt: skip
    assert run(program(), words) == 0
    told = capsys.readouterr().err
    assert "x3d: 3 videos of a class are few" in told and "--seen difference --sampling" in told
    card = triscope.open(tmp_path / "c").card
    assert card.settings["seen"] == "difference" and card.settings["size"] == 32
