"""``models`` and ``weights``: tables for people, one object for machines."""

from __future__ import annotations

from cli_runs import run

import triscope
from triscope.cli import models, weights


def test_models_lists_the_catalogue() -> None:
    answer = run("models")
    assert answer.code == 0
    for name in triscope.models():
        assert name in answer.out


def test_models_json_has_the_documented_keys() -> None:
    answer = run("models", "--json")
    assert set(answer.json) == set(models.KEYS)
    assert [row["name"] for row in answer.json["models"]] == list(triscope.models())
    assert answer.err == ""


def test_published_networks_are_listed_on_request() -> None:
    answer = run("models", "--published")
    assert "sam_vit_b" in answer.out
    assert "stfpm" not in answer.out


def test_weights_tells_the_command_and_downloads_nothing() -> None:
    answer = run("weights", "sam_vit_b")
    assert answer.code == 0
    assert "curl -L" in answer.out
    assert "sam_vit_b_01ec64.pth" in answer.out


def test_weights_json_has_the_documented_keys() -> None:
    rows = run("weights", "--json").json
    assert set(rows) == set(weights.KEYS)
    assert all(row["here"] is False for row in rows["weights"])
