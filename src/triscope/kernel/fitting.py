"""One fit from the data to the check: read, learn by the model's loops, describe."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from triscope import __version__
from triscope.errors import DataError, EmptyData
from triscope.kernel import catalogue, config
from triscope.kernel.data import Dataset, Sample
from triscope.kernel.export.fitted import Fitted
from triscope.kernel.export.graphs import graphs_of, torch_engines
from triscope.kernel.portions import Portions
from triscope.kernel.protocols import (
    Begins,
    Describes,
    LearnsInPhases,
    LooksAtWindows,
    MakesBatches,
    MakesCheck,
    Progress,
    ScoresItself,
    way_of_learning,
)
from triscope.kernel.results import Skipped
from triscope.kernel.runtime import Check, check_class
from triscope.kernel.runtime.card import Card
from triscope.kernel.runtime.engine import Arrays
from triscope.kernel.runtime.image import ImageCheck
from triscope.kernel.runtime.seen import Seen, hash_of
from triscope.kernel.train import Plan, Shuffled, train
from triscope.kernel.train.images import Rows, kept_bytes
from triscope.kernel.train.log import keep_logs
from triscope.kernel.train.watching import numbered_rows, watch

EXAMPLES = 3


@dataclass
class Fitting:
    """What one fit works on; the fields are the arguments of ``verbs.fit``."""

    name: str
    model: Any
    portions: Portions
    tile: int = 0
    overlap: int = 0
    memory: int | None = None
    mm_per_px: float | None = None
    work: Path | None = None
    seed: int = 0
    workers: int = 1
    accelerator: str = "auto"
    devices: int = 1
    engine: str = "auto"
    progress: Progress | None = None
    seen: Seen = field(default_factory=Seen)
    skipped: list[Skipped] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    logs: Path | None = None

    def report(self, stage: str, done: int, total: int | None) -> None:
        """Tell whoever wants to know how far it is."""
        if self.progress is not None:
            self.progress(stage, done, total)

    def clean_up(self) -> None:
        """Keep the logs and remove what was kept to go on from; called once the check is safe."""
        if self.work is not None and self.work.is_dir():
            if self.logs is not None:
                keep_logs(self.work, self.logs)
            shutil.rmtree(self.work)


def run(fitting: Fitting) -> Check:
    """Fit the model and answer the check that it makes."""
    if isinstance(fitting.model, MakesCheck):
        return _made(fitting)
    ways = way_of_learning(fitting.model)
    if fitting.tile and isinstance(fitting.model, LooksAtWindows):
        fitting.model.at_windows(fitting.tile)
    if isinstance(fitting.model, Begins):
        fitting.model.begin(_data_of(fitting, fitting.portions.train))
    reader = check_class(catalogue.entry(fitting.name).answers)(card_of(fitting), {}, fitting.seen)
    if isinstance(fitting.model, MakesBatches):
        fitting.seen.add(_descend_on_batches(fitting), "train")
    else:
        _learn_from_images(fitting, reader, ways)
    _remember_held(fitting)
    fitting.problems[:0] = [*fitting.portions.data.problems, *fitting.portions.notes]
    return _check_of(fitting)


def _made(fitting: Fitting) -> Check:
    """The check of a model whose captures are folders, learned from its good samples."""
    portions = fitting.portions
    fitting.seen.add(portions.train, "train")
    check: Check = fitting.model.make_check(
        card_of(fitting), list(portions.train), portions.data.root, fitting.seen, fitting.report
    )
    _remember_held(fitting)
    fitting.skipped += check.skipped
    check.card = check.card.with_(data=_data_summary(fitting))
    check.held = portions.held
    check.problems = tuple(dict.fromkeys((*fitting.problems, *check.problems)))
    return check


def card_of(fitting: Fitting) -> Card:
    """The card of the model as it is now; it says what images must become."""
    model = fitting.model
    own: dict[str, Any] = dict(model.card()) if isinstance(model, Describes) else {}
    size = own.pop("size", None) or getattr(model.settings, "size", 0)
    return Card(
        model=fitting.name,
        answers=catalogue.entry(fitting.name).answers,
        settings=config.to_dict(model.settings),
        size=(size, size) if isinstance(size, int) else tuple(size),
        tile=fitting.tile,
        overlap=fitting.overlap,
        mm_per_px=fitting.mm_per_px,
        code=__version__,
        **own,
    )


def _learn_from_images(fitting: Fitting, reader: Check, ways: Sequence[str]) -> None:
    if not isinstance(reader, ImageCheck):
        raise TypeError(
            f"{fitting.name} answers {reader.answers} but has no batches(data, split, seed): only "
            "models that read single images can do without; see triscope/kernel/protocols.py"
        )
    if "gradient" not in ways and "watching" in ways:
        rows_seen = numbered_rows(
            fitting.portions.train,
            reader,
            fitting.seen,
            fitting.skipped,
            workers=fitting.workers,
            progress=fitting.progress,
        )
        if not watch(fitting.model, rows_seen):
            raise _nothing_read(fitting)
        return
    rows = Rows(
        list(fitting.portions.train),
        reader,
        memory=kept_bytes(fitting.memory),
        workers=fitting.workers,
        progress=fitting.progress,
    )
    fitting.skipped += rows.skipped
    if not len(rows):
        raise _nothing_read(fitting)
    numbers = {id(s): image.id for s, image in _numbered(fitting, rows.samples)}
    if "gradient" in ways:
        batch = getattr(fitting.model.settings, "batch", 8)
        _descend(fitting, Shuffled(rows.__getitem__, len(rows), batch, fitting.seed))
        if "watching" in ways:
            watch(
                fitting.model, ((rows[i], numbers[id(r.sample)]) for i, r in enumerate(rows.rows))
            )
    else:
        x = np.stack([rows[i].numpy() for i in range(len(rows))])
        fitting.model.fit(x, [row.sample.label for row in rows.rows])


def _descend_on_batches(fitting: Fitting) -> Sequence[Sample]:
    """The samples that taught: where the batches say so, without those that were left out."""
    model, portions = fitting.model, fitting.portions
    data = _data_of(fitting, portions.train)
    batches = model.batches(data, "train", fitting.seed)
    fitting.skipped += getattr(batches, "skipped", [])
    fitting.problems += getattr(batches, "problems", ())
    _descend(fitting, batches)
    used = {sample.name for sample in getattr(batches, "samples", data)}
    return [sample for sample in data if sample.name in used]


def _descend(fitting: Fitting, batches: Any) -> None:
    model = fitting.model
    steps = getattr(model.settings, "steps", 0)
    asked = {"accelerator": fitting.accelerator, "devices": fitting.devices}
    if fitting.work is not None and not getattr(model.settings, "checkpoint_every", 0):
        asked["checkpoint_every"] = max(50, steps // 10)
    plan = Plan.of(model.settings, **asked)
    score = None
    if isinstance(model, ScoresItself) and len(fitting.portions.held):
        score = partial(model.score, fitting.portions.held)
    if not isinstance(model, LearnsInPhases):
        _train(fitting, model, batches, plan, fitting.work, score)
        return
    phases = model.phases()
    for phase in phases:
        phase.begin()
        steps = max(1, round(phase.share * plan.steps))
        own = replace(plan, steps=steps, warm_up=min(plan.warm_up, steps))
        folder = fitting.work / phase.name if fitting.work else None
        _train(fitting, phase, batches, own, folder, score if phase is phases[-1] else None)


class _Told:
    """Tells how far a training is; a copy in another process has nobody to tell."""

    def __init__(self, stage: str, report: Progress | None = None) -> None:
        self.stage, self.report = stage, report

    def __call__(self, step: int, total: int, losses: Any) -> None:
        if self.report is not None:
            self.report(self.stage, step, total)

    def __reduce__(self) -> tuple[Any, ...]:
        return _Told, (self.stage,)


def _train(
    fitting: Fitting, model: Any, batches: Any, plan: Plan, folder: Path | None, score: Any
) -> None:
    name = getattr(model, "name", "")
    train(
        model,
        batches,
        plan,
        folder,
        _Told(f"train {name}".strip(), fitting.report),
        key=_key(fitting),
        score=score,
    )


def _key(fitting: Fitting) -> str:
    """What a checkpoint belongs to: model, settings, cut and the content of the images."""
    seen = Seen()
    images = fitting.seen.of("train") or seen.add(list(fitting.portions.train), "train")
    content = [
        fitting.name,
        config.to_dict(fitting.model.settings),
        [fitting.tile, fitting.overlap, fitting.seed],
        sorted(image.hash for image in images),
    ]
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode()).hexdigest()


def _numbered(fitting: Fitting, samples: Sequence[Sample]) -> Iterator[tuple[Sample, Any]]:
    return zip(samples, fitting.seen.add(samples, "train"), strict=True)


def _remember_held(fitting: Fitting) -> None:
    held = fitting.portions.held
    if fitting.portions.own:
        fitting.seen.refuse(held, ("train",), "calibrate")
    fitting.seen.add(held, "calibrate")


def _check_of(fitting: Fitting) -> Check:
    card = card_of(fitting)
    card = card.with_(data=_data_summary(fitting))
    graphs = graphs_of(fitting.model, card.answers, card.size)
    check = check_class(card.answers)(card, torch_engines(graphs), fitting.seen)
    check.held = fitting.portions.held
    check.origin = Fitted(fitting.model, graphs, _examples(fitting, check), fitting.engine)
    check.skipped = fitting.skipped
    check.problems = tuple(dict.fromkeys(fitting.problems))
    return check


def _examples(fitting: Fitting, check: Check) -> list[Arrays]:
    """A few captures as the graph gets them, one row each."""
    found: list[Arrays] = []
    pool = [*fitting.portions.held, *_walkable(fitting.portions.train)]
    for sample in pool:
        if len(found) == EXAMPLES:
            break
        try:
            inputs = check.prepare(sample).inputs
        except DataError:
            continue
        found.append({name: array[:1] for name, array in inputs.items()})
    return found


def _data_summary(fitting: Fitting) -> dict[str, Any]:
    train_images, held = fitting.seen.of("train"), fitting.seen.of("calibrate")
    return {
        "layout": fitting.portions.data.layout,
        "train": len(train_images),
        "calibrate": len(held),
        "skipped": len(fitting.skipped),
        "seed": fitting.seed,
        "hash": hash_of(train_images),
    }


def _data_of(fitting: Fitting, samples: Any) -> Dataset:
    data = fitting.portions.data
    return Dataset(tuple(samples), data.root, data.layout, data.classes, data.problems)


def _walkable(samples: Any) -> Sequence[Sample]:
    return samples if isinstance(samples, Sequence) else ()


def _nothing_read(fitting: Fitting) -> EmptyData:
    told = "; ".join(item.error for item in fitting.skipped[:3])
    return EmptyData(
        f"none of the {len(fitting.skipped)} images to learn from could be read: {told}"
        if fitting.skipped
        else "there is no image to learn from."
    )
