"""Networks by name: ours with the weights of the package, published ones from their folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from triscope import weights
from triscope.errors import UnknownModel, WeightsMismatch, WeightsMissing
from triscope.kernel.nn.published import load_published
from triscope.segment.models.sam import BUILDERS, Sam, sam_nano

NANO = Path(__file__).resolve().parent / "weights" / "sam_nano.safetensors"


def load_network(name: str = "sam_nano", path: Path | str | None = None) -> Sam:
    """The network of that name in eval mode; ``path`` holds other weights (safetensors or pt)."""
    if name not in BUILDERS:
        raise UnknownModel(f"no network {name!r}: there are {', '.join(BUILDERS)}.")
    place = Path(path) if path else NANO if name == "sam_nano" else weights.locate(name)
    if not place.is_file():
        raise WeightsMissing(f"{place} is not there: give the file with the weights of {name!r}.")
    with torch.device("meta"):
        network = BUILDERS[name]()
    return load_published(name, network, read_weights(place)).eval()


def nano_of_size(image_size: int, path: Path | str | None = None) -> Sam:
    """``sam_nano`` for another input size, a multiple of 128: smaller is faster and coarser."""
    network = sam_nano(image_size)
    return load_published("sam_nano", network, read_weights(Path(path) if path else NANO)).eval()


def read_weights(path: Path) -> Mapping[str, Tensor]:
    """Tensors of a safetensors file, or of a plain state dict; nothing else is unpickled."""
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(str(path))
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # each library has its own kinds for files that are not its own
        raise WeightsMismatch(f"{path} cannot be read as weights: {error}") from error
    if not isinstance(found, Mapping):
        raise WeightsMismatch(f"{path} holds a {type(found).__name__}: expected a state dict.")
    return found


def save_weights(network: Sam, path: Path, half: bool = True) -> None:
    """Weights as safetensors, in half precision where they are floats."""
    from safetensors.torch import save_file

    tensors = {
        key: (value.half() if half and value.is_floating_point() else value).contiguous()
        for key, value in network.state_dict().items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(tensors, str(path))
