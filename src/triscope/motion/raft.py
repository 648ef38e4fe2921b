"""RAFT: all pairs of pixels compared once, then the flow refined step by step (arXiv:2003.12039).

Teed, Deng: RAFT: Recurrent All-Pairs Field Transforms for Optical Flow, ECCV 2020. The network is
torchvision's small one; its weights are a file of one's own.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from triscope.errors import WeightsMismatch
from triscope.kernel import weights

LEAST = 128  # pixels a side that the pyramid of comparisons needs; smaller pictures are padded
FILE = "raft_small"


def raft(
    first: NDArray[np.uint8], second: NDArray[np.uint8], file: str | Path | None = None
) -> NDArray[np.float32]:
    """The flow of two pictures uint8 (h, w[, 3]) as float32 (h, w, 2).

    ``file`` holds torchvision's state dict; by default it is looked for in the weights folder.
    """
    net = network(str(file or weights.locate(FILE)))
    h, w = first.shape[:2]
    pads = (0, max(LEAST, w + -w % 8) - w, 0, max(LEAST, h + -h % 8) - h)
    pair = [torch.nn.functional.pad(_tensor(p), pads, "replicate") for p in (first, second)]
    with torch.inference_mode():
        answer = net(*pair)[-1][0, :, :h, :w]
    return np.ascontiguousarray(answer.permute(1, 2, 0).numpy())


def _tensor(picture: NDArray[np.uint8]) -> Tensor:
    """(1, 3, h, w) in [-1, 1]; grey as three equal channels."""
    coloured = picture if picture.ndim == 3 else np.repeat(picture[..., None], 3, axis=2)
    plain = torch.from_numpy(np.ascontiguousarray(coloured.transpose(2, 0, 1)[None]))
    return plain.float() / 127.5 - 1


@lru_cache(maxsize=2)
def network(file: str) -> Any:
    """The network of a file, read once; raises WeightsMismatch where it is another's."""
    from torchvision.models.optical_flow import raft_small

    net = raft_small(weights=None)
    try:
        net.load_state_dict(torch.load(file, map_location="cpu", weights_only=True))
    except (RuntimeError, TypeError, AttributeError) as error:
        raise WeightsMismatch(
            f"{file} does not hold torchvision's raft_small: {str(error).splitlines()[0]} "
            f"Fetch it: {weights.official(FILE).command}"
        ) from error
    return net.eval()
