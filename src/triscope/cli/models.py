"""List the models, or the published networks."""

from __future__ import annotations

import click

from triscope.cli._output import emit, json_option, show_table

SECTION = "Looking around"
KEYS = {
    "models": "list of objects: name, answers (kind of answer), domain, summary",
    "published": "names of the published networks that triscope.published() builds",
}


@click.command("models")
@click.option("--published", is_flag=True, help="List the published networks instead.")
@json_option
def command(published: bool, as_json: bool) -> None:
    """List the models that 'triscope fit' takes, with the kind of their answer."""
    from triscope.kernel import catalogue

    entries = list(catalogue.models().values())
    networks = list(catalogue.published_names())
    if as_json:
        rows = [
            {"name": e.name, "answers": e.answers, "domain": e.domain, "summary": e.summary}
            for e in entries
        ]
        emit({"models": rows, "published": networks}, KEYS)
    elif published:
        show_table("", ("network", "file"), ((n, _file(n)) for n in networks))
    else:
        cells = [(e.name, e.domain, e.answers, e.summary) for e in entries]
        show_table("", ("model", "domain", "answers", "what it is"), cells)


def _file(name: str) -> str:
    from triscope.kernel import catalogue

    return catalogue.published_names()[name].module.replace(".", "/") + ".py"
