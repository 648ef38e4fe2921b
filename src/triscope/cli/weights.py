"""Official weight files: known ones, those that are here, how to get them."""

from __future__ import annotations

import click

from triscope.cli._output import emit, json_option, people, show_table

SECTION = "Looking around"
KEYS = {
    "folder": "where weights are looked for (TRISCOPE_WEIGHTS changes it)",
    "weights": "list of objects: name, file, licence, source, sha256, here (bool), command",
}


@click.command("weights")
@click.argument("name", required=False)
@json_option
def command(name: str | None, as_json: bool) -> None:
    """List the official weight files, or tell how to get the one called NAME.

    Nothing is downloaded: the command that fetches a file is printed.
    """
    from triscope.kernel import weights

    entries = [weights.official(name)] if name else list(weights.KNOWN)
    if as_json:
        rows = [
            {
                "name": e.name,
                "file": e.file,
                "licence": e.licence,
                "source": e.source,
                "sha256": e.sha256,
                "here": weights.found(e.file) is not None,
                "command": e.command,
            }
            for e in entries
        ]
        emit({"folder": str(weights.folder()), "weights": rows}, KEYS)
        return
    cells = [(e.name, "yes" if weights.found(e.file) else "no", e.licence, e.file) for e in entries]
    show_table(f"weights in {weights.folder()}", ("name", "here", "licence", "file"), cells)
    for e in entries:
        if name and weights.found(e.file) is None:
            people().print(e.command, markup=False)
