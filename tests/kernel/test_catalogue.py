"""The list of models: read from sources, with suggestions for wrong names."""

from __future__ import annotations

import re

import pytest

from triscope.errors import UnknownModel
from triscope.kernel import catalogue


@pytest.mark.parametrize(
    ("given", "meant"),
    [("patchbank", "patchcore"), ("ddm", "ddn"), ("eficientad", "efficientad"), ("unet2", "unet")],
)
def test_a_wrong_name_is_answered_with_the_closest(given: str, meant: str) -> None:
    total = len(catalogue.models())
    text = f"no model named '{given}'. Did you mean '{meant}'? 'triscope models' lists all {total}."
    with pytest.raises(UnknownModel, match=f"^{re.escape(text)}$"):
        catalogue.entry(given)


def test_nothing_is_suggested_where_nothing_is_like_it() -> None:
    with pytest.raises(UnknownModel, match=r"^no model named 'zzz'\. 'triscope models' lists"):
        catalogue.entry("zzz")


def test_every_entry_can_be_loaded_with_its_settings() -> None:
    for name, entry in catalogue.models().items():
        cls = catalogue.load(name)
        assert (cls.model_name, cls.answers) == (name, entry.answers)
        assert catalogue.settings_class(name).__name__ == "Settings"
