"""The verb that makes a check: from data and a model's name, by whichever loop the model needs.

The other verbs belong to the check that ``fit`` answers: ``calibrate``, ``evaluate``, ``inspect``,
``save``, ``export``. ``kernel.learn`` changes a saved check afterwards.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from triscope.errors import BadSettings, UsageError
from triscope.kernel import catalogue, config
from triscope.kernel.data import open_data
from triscope.kernel.data.kept import files_kept
from triscope.kernel.data.video import holds_videos
from triscope.kernel.fitting import Fitting, run
from triscope.kernel.memory import bytes_of
from triscope.kernel.portions import Portions, portions_of
from triscope.kernel.protocols import Progress
from triscope.kernel.runtime import Check
from triscope.kernel.runtime.calibrating import calibrate_at_first
from triscope.kernel.runtime.folder import may_replace
from triscope.kernel.train.images import kept_bytes

AUTO = "auto"
KEPT_FILES = 1 << 28  # bytes of encoded files, where the user sets no ceiling
CALIBRATE = 0.2  # share of the training images that is held out, where nothing is said


def fit(
    name: str,
    data: Any,
    settings: Any = None,
    *,
    out: str | Path | None = None,
    calibrate: Any = CALIBRATE,
    tile: int = 0,
    overlap: int = 0,
    memory: int | str | None = None,
    mm_per_px: float | None = None,
    work: str | Path | None = None,
    logs: str | Path | None = None,
    seed: int = 0,
    workers: int = 1,
    accelerator: str = "auto",
    devices: int = 1,
    engine: str = "auto",
    progress: Progress | None = None,
) -> Check:
    """Fit the model of that name; a check that answers, and is saved where ``out`` is given.

    ``data`` is whatever ``triscope.data`` opens. Models of good parts learn from the training
    images that are labelled good, or not labelled at all; test images are never touched. An
    iterator of images is watched once and never held: for models that only watch.

    ``settings`` is the model's Settings, or a mapping of some of its values. ``calibrate`` is the
    share of the training images that is held out to choose thresholds, drawn by ``seed``; or data
    of its own for that; 0 holds out nothing. ``tile`` and ``overlap`` (pixels) cut large images
    into windows. ``memory`` (bytes, or ``"2GB"``) is the ceiling of what the fit may hold.

    A training that was interrupted goes on from the folder ``work`` (by default beside ``out``)
    when ``fit`` is called again with the same arguments, and ends with the same numbers. The
    losses of each step are kept in ``logs``, as CSV and, by the setting, for TensorBoard.
    ``engine`` is auto, onnxruntime or openvino. ``progress(stage, done, total)`` is called often.

    ``auto`` in place of a name looks at the labels and picks; ``choose`` says why.

    Raises UnknownModel, BadSettings, EmptyData, DataError, TrainingError.
    """
    ceiling = None if memory is None else bytes_of(memory)
    with files_kept(_bytes_for_files(name, ceiling)):
        if name == AUTO:
            name, _, own = choose(data)
            settings = {**own, **(settings or {})}
        built = _settings(name, settings, memory)
        if out is not None:
            may_replace(Path(out))
        fitting = Fitting(
            name=name,
            model=catalogue.load(name)(built),
            portions=_portions(name, data, calibrate, seed),
            tile=tile,
            overlap=overlap,
            memory=ceiling,
            mm_per_px=mm_per_px,
            work=_work_of(work, out, logs),
            logs=None if logs is None else Path(logs),
            seed=seed,
            workers=workers,
            accelerator=accelerator,
            devices=devices,
            engine=engine,
            progress=progress,
        )
        check = run(fitting)
        calibrate_at_first(check, progress, workers)
    if out is not None:
        check.save(out, why="fit")
    fitting.clean_up()
    return check


def choose(source: Any, latency_ms: float | None = None) -> tuple[str, str, dict[str, Any]]:
    """The model that suits what is known of the data, the sentence that says why, its settings.

    ``latency_ms`` is how long the answer to a video may take. The domains know: no import leads
    from the kernel to them.
    """
    if holds_videos(source):
        clip = importlib.import_module("triscope.motion.auto").choose(source, latency_ms)
        return clip.name, clip.why, dict(clip.settings)
    if latency_ms is not None:
        raise BadSettings("latency_ms: only models of videos are chosen by their latency.")
    choice = importlib.import_module("triscope.surface.auto").choose(open_data(source))
    return choice.name, choice.why, dict(choice.settings)


def _bytes_for_files(name: str, ceiling: int | None) -> int:
    """What may keep files: models that walk their images many times ask for them many times too."""
    if name != AUTO and not hasattr(catalogue.load(name), "losses"):
        return 0
    return min(KEPT_FILES, kept_bytes(ceiling) // 4)


def _settings(name: str, given: Any, memory: int | str | None) -> Any:
    """The model's Settings from nothing, a mapping or themselves; the ceiling goes into them."""
    cls = catalogue.settings_class(name)
    built: Any = given
    if given is None or isinstance(given, Mapping):
        built = config.build(cls, given or {})
    elif not isinstance(given, cls):
        raise BadSettings(
            f"the settings of {name} are {cls.__module__}.Settings or a mapping of its values, "
            f"got {type(given).__module__}.{type(given).__name__}."
        )
    kinds = {f.name for f in fields(built)}
    if memory is not None and "memory" in kinds:
        return replace(built, memory=bytes_of(memory))
    return built


def _portions(name: str, data: Any, calibrate: Any, seed: int) -> Portions:
    cls = catalogue.load(name)
    opener = getattr(cls, "open_data", None)
    if isinstance(data, Iterator):
        if hasattr(cls, "losses"):
            raise UsageError(
                f"{name} walks its images many times, but the data are a "
                f"{type(data).__name__} that can be walked only once: give a folder or a list."
            )
        return portions_of(data, calibrate, seed, opener=opener, labelled=False)
    return portions_of(data, calibrate, seed, opener=opener, labelled=hasattr(cls, "batches"))


def _work_of(
    work: str | Path | None, out: str | Path | None, logs: str | Path | None
) -> Path | None:
    if work is not None:
        return Path(work)
    if out is None and logs is not None:
        return Path(logs) / ".fit"
    return Path(out).with_name(f".{Path(out).name}.fit") if out is not None else None
