"""The verb ``compress``: a smaller check from a trained one, with what it gained and lost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
from safetensors.torch import load_file
from torch import Tensor, nn

from triscope.errors import CheckError, EmptyData, LeakedData, UsageError
from triscope.kernel import catalogue, config
from triscope.kernel.data import Dataset, fingerprint, open_data
from triscope.kernel.export.fitted import WEIGHTS, Fitted
from triscope.kernel.fitting import Fitting, run
from triscope.kernel.portions import Portions, portions_of
from triscope.kernel.protocols import Progress
from triscope.kernel.runtime import Check
from triscope.kernel.runtime.calibrating import calibrate_again, calibrate_at_first
from triscope.kernel.runtime.card import Card
from triscope.kernel.runtime.engine import MAIN, Engine
from triscope.kernel.runtime.evaluating import to_measure
from triscope.kernel.runtime.folder import may_replace
from triscope.kernel.runtime.golden import read_golden
from triscope.kernel.runtime.opening import open_engines
from triscope.kernel.weights import to_follow
from triscope.surface.compress.channels import fit_shapes
from triscope.surface.compress.distil import Distilling, Lesson
from triscope.surface.compress.prune import Pruning, prune
from triscope.surface.models._supervised import Supervised

ROUNDS = 7  # of the timing, each side in turn
FIGURES = ("map_50", "accuracy", "dice")  # what each kind of answer is measured by
TUNING = 0.2  # of the steps of the first training, and 0.1 of its learning rate, after pruning


def compress(
    check: Check,
    data: Any,
    out: str | Path,
    how: Pruning | Distilling,
    changes: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    workers: int = 1,
    accelerator: str = "auto",
    devices: int = 1,
    progress: Progress | None = None,
) -> Check:
    """Write a smaller check into ``out``; the check that is there now.

    ``data`` are the labelled parts that the check was fitted on; what it held out is held out
    again, and test images are only measured. After pruning ``changes`` replaces settings of the
    tuning (steps, learning_rate); of a distillation they are those of the smaller network:
    ``{"backbone": "mobilenetv2_050"}``. The card's proof has both sides: bytes, parameters, CPU
    milliseconds, and the figure of the test images.

    Raises UsageError for models that cannot be compressed, BadSettings, DataError, TrainingError.
    """
    may_replace(Path(out))
    model = restored(check)
    opened = open_data(data)
    portions = _portions(check, opened, seed)
    before = _parameters(model)
    record: dict[str, Any] = {"of": check.label, "how": asdict(how)}
    if isinstance(how, Pruning):
        learner = _pruned(model, how, changes or {}, record)
    else:
        learner = _student(check, model, portions.train, how, changes or {}, record)
    fitting = Fitting(
        check.card.model,
        learner,
        portions,
        tile=check.card.tile,
        overlap=check.card.overlap,
        mm_per_px=check.card.mm_per_px,
        seed=seed,
        workers=workers,
        accelerator=accelerator,
        devices=devices,
        progress=progress,
    )
    made = run(fitting)
    made.card = made.card.with_(settings=config.to_dict(learner.described))
    _calibrate(check, made, progress, workers)
    figures = _figures(check, made, opened, progress, workers)
    record["before"] = {"parameters": before, **figures[0]}
    record["after"] = {"parameters": _parameters(learner.model), **figures[1]}
    assert isinstance(made.origin, Fitted)
    made.origin = _Proven(made.origin, check, record)
    made.save(out, why=str(record["method"]))
    return made


def restored(check: Check) -> Any:
    """The trained model of a check; raises UsageError where it is none of known defects."""
    cls = catalogue.load(check.card.model)
    if not (isinstance(cls, type) and issubclass(cls, Supervised)):
        raise UsageError(
            f"{check.card.model} cannot be compressed: only models that learn known defects are "
            "(detectors, classifiers, segmentation)."
        )
    folder = check.folder
    if folder is None or not (folder / WEIGHTS).is_file() or check.card.precision != "fp32":
        raise CheckError(
            f"{folder or check.label} has no weights to compress: give the check folder that fit "
            "wrote, in fp32."
        )
    settings: Any = config.build(catalogue.settings_class(check.card.model), check.card.settings)
    with to_follow():
        model = cls(replace(settings, classes=()))
        model.begin(Dataset((), classes=check.card.classes))
    if "teacher" in model.parts:
        raise UsageError(f"{check.card.model} answers by its teacher and cannot be compressed.")
    weights = load_file(folder / WEIGHTS)
    fit_shapes(model.parts, weights)
    model.restore(weights)
    model.settings = settings
    return model


class Learner:
    """A model that is trained once more, by losses that may be other than its own.

    It has no phases: what was trained step by step is tuned as a whole.
    """

    def __init__(self, model: Any, plan: Any, lesson: Lesson | None = None) -> None:
        self.model, self.lesson = model, lesson
        self.described = model.settings  # for the card
        self.settings = plan

    def begin(self, data: Dataset) -> None:
        """The classes are known, and the network is there."""

    def at_windows(self, tile: int) -> None:
        """The model looks at windows."""
        self.model.at_windows(tile)

    def batches(self, data: Dataset, split: Any, seed: int) -> Any:
        """Those of the model."""
        return self.model.batches(data, split, seed)

    def losses(self, batch: Any) -> Mapping[str, Tensor]:
        """Those of the lesson, or of the model."""
        found: Mapping[str, Tensor] = (self.lesson or self.model).losses(batch)
        return found

    def network(self) -> nn.Module:
        """What learns: the model, and the adapters of the lesson."""
        own: nn.Module = self.model.network()
        return own if self.lesson is None else nn.ModuleList([own, self.lesson.adapt])

    def score(self, data: Dataset) -> float:
        """That of the model."""
        return float(self.model.score(data)) if hasattr(self.model, "score") else 0.0

    def card(self) -> Mapping[str, Any]:
        """That of the model."""
        found: Mapping[str, Any] = self.model.card()
        return found

    def graph(self) -> nn.Module:
        """That of the model."""
        found: nn.Module = self.model.graph()
        return found

    def weights(self) -> Mapping[str, Tensor]:
        """Those of the model."""
        found: Mapping[str, Tensor] = self.model.weights()
        return found

    def restore(self, weights: Mapping[str, Tensor]) -> None:
        """Into the model."""
        self.model.restore(weights)


def _pruned(
    model: Any, how: Pruning, changes: Mapping[str, Any], record: dict[str, Any]
) -> Learner:
    counts = prune(model.net, how)
    total = [sum(pair[side] for pair in counts.values()) for side in (0, 1)]
    record |= {"method": "prune", "groups": len(counts), "channels": total}
    first = model.settings
    tuning = {
        "steps": max(1, round(TUNING * first.steps)),
        "learning_rate": 0.1 * first.learning_rate,
        "warm_up": 0,
    }
    tuned = _changed(first, {**tuning, **changes})
    record["steps"] = tuned.steps
    return Learner(model, tuned)


def _student(
    check: Check,
    teacher: Any,
    samples: Any,
    how: Distilling,
    changes: Mapping[str, Any],
    record: dict[str, Any],
) -> Learner:
    settings = _changed(teacher.settings, changes)
    if settings == teacher.settings:
        raise UsageError(
            "a distillation needs a smaller network: name its backbone, such as "
            "--backbone mobilenetv2_050, or other settings of its size."
        )
    student = type(teacher)(settings)
    student.begin(Dataset((), classes=check.card.classes))
    lesson = Lesson(student, teacher.net, how)
    record |= {"method": "distil", "changes": dict(changes), "steps": settings.steps}
    return Learner(student, settings, lesson)


def _changed(settings: Any, changes: Mapping[str, Any]) -> Any:
    return config.build(type(settings), {**config.to_dict(settings), **changes})


def _portions(check: Check, data: Dataset, seed: int) -> Portions:
    """To learn from, all that the check did not hold out; to calibrate, what it did."""
    usable = portions_of(data, 0, seed, labelled=True)
    kept = {image.hash for image in check.seen.of("calibrate")}
    calibrate = [s for s in data if s.split != "test" and fingerprint(s.source) in kept]
    held = {id(sample) for sample in calibrate}
    train = tuple(sample for sample in usable.train if id(sample) not in held)
    if not train:
        raise EmptyData(f"{data.root or 'the data'} holds only what {check.label} held out.")
    held_out = Dataset(tuple(calibrate), data.root, data.layout, data.classes)
    return Portions(data, train, held_out)


def _calibrate(check: Check, made: Check, progress: Progress | None, workers: int) -> None:
    """By the wish of the first check where it can be had, otherwise as after a fit."""
    made.card = made.card.with_(zones=check.card.zones, promise=check.card.promise)
    if not check.card.promise.get("asked") or not made.held or not calibrate_again(made, progress):
        calibrate_at_first(made, progress, workers)


def _figures(
    check: Check, made: Check, data: Dataset, progress: Progress | None, workers: int
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The main figure of both on the test images; nothing where there are none."""
    try:
        samples, _ = to_measure(check, data)
    except (EmptyData, LeakedData):
        return {}, {}
    found = []
    for one in (check, made):
        known = one.evaluate(samples, draws=10, workers=workers, progress=progress).known or {}
        name = next(name for name in FIGURES if name in known)
        found.append({name: known[name], "images": len(samples)})
    return found[0], found[1]


def _parameters(model: Any) -> int:
    return sum(parameter.numel() for parameter in model.net.parameters())


class _Proven:
    """The files of the smaller check; its card has the table of before and after."""

    def __init__(self, origin: Fitted, check: Check, record: dict[str, Any]) -> None:
        self.origin, self.check, self.record = origin, check, record

    def write(self, folder: Path, check: Check) -> Card:
        """See ``kernel.runtime.check.Origin``."""
        card = self.origin.write(folder, check)
        assert self.check.folder is not None
        folders = {"before": self.check.folder, "after": folder}
        engines = {
            "before": self.check.engine,
            "after": open_engines(folder, card)[MAIN],
        }
        example = read_golden(self.check.folder)[0][MAIN]
        spent = _milliseconds(engines, example)
        for side, place in folders.items():
            size = (place / f"{MAIN}.onnx").stat().st_size
            self.record[side] |= {"bytes": size, "cpu_ms": round(spent[side], 3)}
        return card.with_(proof={**card.proof, "compression": self.record})


def _milliseconds(engines: Mapping[str, Engine], example: Any) -> dict[str, float]:
    """CPU milliseconds of one input on each side, all threads together: medians of rounds."""
    taken: dict[str, list[float]] = {side: [] for side in engines}
    for _ in range(1 + ROUNDS):
        for side, engine in engines.items():
            start = process_time()
            engine.run(example)
            taken[side].append(1000 * (process_time() - start))
    return {side: float(np.median(times[1:])) for side, times in taken.items()}


def table(record: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Rows for people: what, before, after, and how they compare."""
    before, after = record["before"], record["after"]
    for name, title, scale, unit in (
        ("bytes", "graph", 1e-6, "MB"),
        ("parameters", "parameters", 1e-6, "M"),
        ("cpu_ms", "CPU time an image", 1.0, "ms"),
    ):
        ratio = before[name] / after[name] if after[name] else float("inf")
        sides = (f"{side[name] * scale:.3g} {unit}" for side in (before, after))
        yield title, *sides, f"{ratio:.2f} x less"  # type: ignore[misc]
    for name in FIGURES:
        if before.get(name) is not None and after.get(name) is not None:
            change = 100 * (after[name] - before[name])
            yield name, f"{before[name]:.4f}", f"{after[name]:.4f}", f"{change:+.2f} points"
