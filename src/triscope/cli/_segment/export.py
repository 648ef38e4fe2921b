"""Encoder and prompt decoder as two ONNX graphs, read without torch."""

from __future__ import annotations

from pathlib import Path

import click

from triscope.cli._output import emit, json_option
from triscope.cli._segment._shared import PATH

KEYS = {
    "folder": "the folder that was written",
    "network": "the network",
    "files": "object: file, bytes",
}


@click.command("export")
@click.option("-o", "--output", type=PATH, required=True, help="The folder to write.")
@click.option("--network", default="sam_nano", show_default=True, help="The network.")
@click.option("--weights", type=PATH, help="Weights of that network from elsewhere.")
@click.option("--single-mask", is_flag=True, help="The decoder answers its one best mask.")
@click.option("--stability", is_flag=True, help="Stability scores in place of predicted IoU.")
@click.option("--extra", is_flag=True, help="Stability scores and areas as further outputs.")
@click.option("--int8", is_flag=True, help="The encoder's products in 8 bit.")
@json_option
def command(
    output: Path,
    network: str,
    weights: Path | None,
    single_mask: bool,
    stability: bool,
    extra: bool,
    int8: bool,
    as_json: bool,
) -> None:
    """Write encoder.onnx and decoder.onnx (the published signature) with a sealed card."""
    from triscope.segment.export import export_folder
    from triscope.segment.export.graphs import Options
    from triscope.segment.networks import load_network

    options = Options(single_mask, stability, extra)
    export_folder(network, load_network(network, weights), output, options, int8=int8)
    files = {path.name: path.stat().st_size for path in sorted(output.glob("*.onnx"))}
    if as_json:
        emit({"folder": output, "network": network, "files": files}, KEYS)
        return
    for name, size in files.items():
        click.echo(f"written: {output / name} ({size / 1e6:.1f} MB)")
