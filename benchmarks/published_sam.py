"""The published Segment Anything, for comparison: a clone of MobileSAM, run as it stands."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

NAMES = {"mobile_sam": "vit_t", "sam_vit_b": "vit_b", "sam_vit_l": "vit_l", "sam_vit_h": "vit_h"}


def published_package(clone: Path) -> Any:
    """The package ``mobile_sam`` of the clone, on timm and torchvision as they are installed."""
    sys.path.insert(0, str(clone))
    for name in ("timm.models.layers", "timm.models.registry"):  # moved in newer versions of timm
        if name not in sys.modules:
            sys.modules[name] = _stand_in(name)
    import mobile_sam

    return mobile_sam


def published_network(clone: Path, name: str) -> Any:
    """The network that is called ``name`` here."""
    return published_package(clone).sam_model_registry[NAMES[name]]()


def _stand_in(name: str) -> types.ModuleType:
    import timm.layers
    import timm.models

    module = types.ModuleType(name)
    source = timm.layers if name.endswith("layers") else timm.models
    module.__dict__.update(source.__dict__)
    return module
