"""What the kernel's tests share: toy models in the catalogue."""

from __future__ import annotations

import pytest


@pytest.fixture
def toy_catalogue(monkeypatch: pytest.MonkeyPatch) -> None:
    """The catalogue also knows ``toy_watcher``, ``toy_descender`` and ``no_way``."""
    from toy_models import toys

    toys(monkeypatch)
