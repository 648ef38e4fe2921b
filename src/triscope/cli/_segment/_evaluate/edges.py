"""Edge detection on the BSDS layout: ODS, OIS, AP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from triscope.cli._output import emit, json_option, show_table
from triscope.cli._progress import progress
from triscope.cli._segment._shared import PATH, network_of, network_options

KEYS = {
    "network": "the network that answered",
    "data": "the source",
    "edges": "object: ODS, OIS, AP, R50, threshold, images",
}


@click.command("edges")
@click.argument("data", type=PATH)
@click.option("--split", default="test", show_default=True, help="The split's folder.")
@click.option("--limit", default=0, help="At most so many images.")
@click.option("--points", default=16, show_default=True, help="Side of the grid of points.")
@click.option("--maps", type=PATH, help="Folder for the edge maps as pictures.")
@network_options
@json_option
def command(**values: Any) -> None:
    """Compare the edges of everything mode with drawings.

    DATA has the BSDS layout: images/SPLIT/*.jpg beside groundTruth/SPLIT/*.mat.
    """
    from triscope.segment import pictures
    from triscope.segment.evaluate.boundaries import EdgeScores
    from triscope.segment.evaluate.edges import edge_map
    from triscope.segment.plain_points import grid_decoder

    network = network_of(values)
    decoder, scores = grid_decoder(network.predictor()), EdgeScores()
    pairs = list(_pairs(values["data"], values["split"], values["limit"]))
    with progress() as report:
        for done, (name, image, drawings) in enumerate(pairs, 1):
            found = edge_map(decoder, image, values["points"])
            scores.add(found, drawings)
            if values["maps"]:
                pictures.save(values["maps"] / f"{name}.png", (found * 255).astype("uint8"))
            report("images", done, len(pairs))
    found_scores = scores.to_dict()
    if values["as_json"]:
        answer = {"network": network.label, "data": values["data"], "edges": found_scores}
        emit(answer, KEYS)
    else:
        cells = [(k, f"{v:.3f}") for k, v in found_scores.items()]
        show_table("", ("what", "value"), cells, right=(1,))


def _pairs(data: Path, split: str, limit: int) -> Iterator[tuple[str, Any, list[Any]]]:
    from triscope.errors import EmptyData
    from triscope.kernel.data import read_image
    from triscope.segment.evaluate.bsds import drawings_of

    images = sorted((data / "images" / split).glob("*.jpg"))
    if not images:
        raise EmptyData(
            f"{data / 'images' / split} holds no .jpg: expected the BSDS layout, images/{split} "
            f"beside groundTruth/{split}."
        )
    for path in images[: limit or None]:
        truth = data / "groundTruth" / split / f"{path.stem}.mat"
        yield path.stem, read_image(path), drawings_of(truth)
