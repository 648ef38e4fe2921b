"""The engine as a state machine over a folder: assisted-manual, semi-automatic, automatic.

Every step is written down before the next begins, so it goes on wherever it was stopped. Between
the stages the network can be taught the masks so far (``retrain``).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from triscope.errors import DataError, UsageError
from triscope.kernel.data import fingerprint, open_data, read_image
from triscope.kernel.geometry.rle import Rle
from triscope.segment.answers import Prompted
from triscope.segment.engine.detector import CONFIDENT, ObjectDetector, are_objects, features_of
from triscope.segment.engine.manifest import FILE, Entry, Manifest, read_manifest, write_json
from triscope.segment.everything import FoundMask, Settings, everything, usual
from triscope.segment.formats import Mask, Record
from triscope.segment.formats.sa1b import read_file, row_of
from triscope.segment.plain_points import grid_decoder

STAGES = ("assisted", "semi", "automatic")
DETECTOR = "detector.npz"
PREFILLED = "prefilled"  # how a mask that a person accepted, but did not draw, was made
Bools = NDArray[np.bool_]
Load = Callable[[Manifest], Prompted]
Told = Callable[[int, int], None]  # images done, images in all


class Engine:
    """One engine in one folder; ``load`` makes the predictor that the manifest names."""

    def __init__(self, folder: Path, load: Load, settings: Settings | None = None) -> None:
        self.folder, self._settings = folder, settings
        self.manifest = read_manifest(folder)
        self._load = load
        self._predictor: Prompted | None = None
        self._image: str | None = None

    @classmethod
    def start(
        cls,
        folder: Path,
        images: Any,
        load: Load,
        settings: Settings | None = None,
        network: str = "sam_nano",
        weights: str = "",
    ) -> Engine:
        """A new engine over the images of a source; raises UsageError where one is already."""
        if (folder / FILE).exists():
            raise UsageError(f"{folder} holds an engine already: open it, or take another folder.")
        (folder / "masks").mkdir(parents=True, exist_ok=True)
        entries: dict[str, Entry] = {}
        for sample in open_data(images):
            name = Path(str(sample.name)).as_posix().strip("/").replace("/", "_")
            if name in entries:
                raise DataError(f"two images are called {name}: rename one.")
            path = Path(str(sample.source)).resolve()
            entries[name] = Entry(name, str(path), fingerprint(path))
        Manifest(STAGES[0], entries, network=network, weights=weights).write(folder)
        return cls(folder, load, settings)

    # ---- what there is

    @property
    def stage(self) -> str:
        """The stage the engine is in."""
        return self.manifest.stage

    @property
    def predictor(self) -> Prompted:
        """The network of this round."""
        if self._predictor is None:
            self._predictor = self._load(self.manifest)
        return self._predictor

    @property
    def settings(self) -> Settings:
        """Of everything mode: those that were given, or the usual ones of the network."""
        return self._settings or usual(self.predictor.small)

    def waiting(self) -> list[str]:
        """Images that this stage has not finished, in order."""
        images = self.manifest.images.values()
        return [e.name for e in images if self.stage not in e.done and not e.skipped]

    def next(self) -> str | None:
        """The image to work on; None when the stage is done."""
        return next(iter(self.waiting()), None)

    def image(self, name: str) -> NDArray[Any]:
        """The image itself; raises DataError where it changed since the engine was started."""
        entry = self._entry(name)
        path = Path(entry.path)
        if not path.is_file():
            raise DataError(f"{name} is gone: {path} was there when the engine was started.")
        if fingerprint(path) != entry.fingerprint:
            raise DataError(
                f"{name} changed since the engine was started: its masks would not fit. Put the "
                f"old file back at {path}, or start an engine for the new one."
            )
        return np.asarray(read_image(path))

    def masks(self, name: str) -> tuple[Mask, ...]:
        """The masks of one image so far."""
        path = self._path(name)
        return read_file(path).masks if path.is_file() else ()

    def figures(self) -> dict[str, dict[str, float]]:
        """Each stage's images, masks, masks an image, and seconds a mask where people worked."""
        table: dict[str, dict[str, float]] = {}
        rows = {entry.name: self.masks(entry.name) for entry in self.manifest.images.values()}
        for stage in STAGES:
            done = [e.name for e in self.manifest.images.values() if stage in e.done]
            own = [m for masks in rows.values() for m in masks if m.extra.get("stage") == stage]
            times = [float(m.extra["seconds"]) for m in own if "seconds" in m.extra]
            table[stage] = {
                "images": len(done),
                "masks": len(own),
                "masks an image": len(own) / len(done) if done else 0.0,
                "seconds a mask": sum(times) / len(times) if times else 0.0,
                "prefilled": sum(m.extra.get("made") == PREFILLED for m in own),
            }
        return table

    # ---- a person's work: stages one and two

    def look(self, name: str) -> list[Mask]:
        """Open an image for prompts; in stage two with confident masks filled in."""
        image = self.image(name)
        self.predictor.set_image(image)
        self._image = name
        if self.stage != STAGES[1] or self.masks(name):
            return list(self.masks(name))
        return [
            Mask(one.rle, extra={"made": PREFILLED, **_scores(one)})
            for one in self._confident(image)
        ]

    def predict(self, name: str, **prompt: Any) -> Any:
        """Answer a prompt in an image (see ``Prompted.predict``)."""
        if self._image != name:
            self.look(name)
        return self.predictor.predict(**prompt)

    def add(self, name: str, mask: Bools | Rle, seconds: float = 0.0, **extra: Any) -> int:
        """Keep one mask with the time it took; answers how many the image has now."""
        self._only(STAGES[0], STAGES[1])
        rle = mask if isinstance(mask, Rle) else Rle.encode(np.asarray(mask, bool))
        kept = {"seconds": float(seconds), **extra, "stage": self.stage}
        return self._keep(name, (*self.masks(name), Mask(rle, extra=kept)))

    def remove(self, name: str, index: int) -> int:
        """Take one mask away; answers how many are left."""
        masks = list(self.masks(name))
        if not 0 <= index < len(masks):
            raise UsageError(f"{name} has {len(masks)} masks, so there is no mask {index}.")
        del masks[index]
        return self._keep(name, tuple(masks))

    def finish(self, name: str) -> None:
        """The image is done in this stage."""
        entry = self._entry(name)
        if self.stage not in entry.done:
            entry.done.append(self.stage)
            self.manifest.write(self.folder)

    def skip(self, name: str, why: str) -> None:
        """Leave an image out, with the reason."""
        self._entry(name).skipped = why or "skipped"
        self.manifest.write(self.folder)

    # ---- the machine's work

    def advance(self, progress: Told | None = None) -> str:
        """Go to the next stage, into the second with a detector that learned from the first.

        Raises UsageError where nothing was done in this one, EmptyData where the detector cannot
        learn; the stage stays then.
        """
        if self.stage == STAGES[-1]:
            raise UsageError("the automatic stage is the last one: nothing comes after it.")
        if not any(self.stage in e.done for e in self.manifest.images.values()):
            raise UsageError(
                f"no image is finished in the stage {self.stage!r}: finish at least one first."
            )
        if self.stage == STAGES[0]:
            self._learn(progress)
        self.manifest.stage = STAGES[STAGES.index(self.stage) + 1]
        self.manifest.write(self.folder)
        return self.stage

    def automatic(self, progress: Told | None = None) -> int:
        """All masks of all images that wait in the automatic stage; answers how many were made."""
        self._only(STAGES[2])
        decoder, made = grid_decoder(self.predictor), 0
        waiting = self.waiting()
        for done, name in enumerate(waiting, 1):
            began = time.perf_counter()
            found = everything(decoder, self.image(name), self.settings)
            each = (time.perf_counter() - began) / max(len(found), 1)
            before = self.masks(name)
            fresh = [one for one in found if not are_objects([one], [m.rle for m in before])[0]]
            new = (
                Mask(one.rle, extra={**_scores(one), "stage": self.stage, "machine_seconds": each})
                for one in fresh
            )
            self._keep(name, (*before, *new))
            self.finish(name)
            made += len(fresh)
            if progress is not None:
                progress(done, len(waiting))
        return made

    def cases(self) -> Iterator[Any]:
        """The images that have masks, as cases for training and evaluation."""
        from triscope.segment.evaluate.cases import Case

        for name in self.manifest.images:
            if masks := self.masks(name):
                yield Case(name, self.image(name), tuple(mask.rle.decode() for mask in masks))

    def retrain(self, train: Callable[[Iterator[Any], Path], str]) -> dict[str, Any]:
        """Teach the network the masks so far; ``train(cases, folder)`` answers the weights."""
        number = len(self.manifest.rounds) + 1
        weights = train(self.cases(), self.folder / "rounds" / f"{number:03d}")
        told = {"round": number, "stage": self.stage, "weights": weights, "figures": self.figures()}
        self.manifest.rounds.append(told)
        self.manifest.weights = weights
        self.manifest.write(self.folder)
        self._predictor = self._image = None
        (self.folder / DETECTOR).unlink(missing_ok=True)  # it knows what the old network saw
        return told

    # ---- inside

    def _confident(self, image: NDArray[Any]) -> list[FoundMask]:
        """What the detector of stage one is sure of in an image."""
        if not (self.folder / DETECTOR).is_file():
            self._learn()
        detector = ObjectDetector.load(self.folder / DETECTOR)
        decoder = grid_decoder(self.predictor)
        found = everything(decoder, image, self.settings)
        if not found:
            return []
        sure = detector.probability(features_of(found, self.predictor.set_image(image)))
        return [one for one, p in zip(found, sure, strict=True) if p >= CONFIDENT]

    def _learn(self, progress: Told | None = None) -> None:
        """Teach the detector what was drawn in stage one."""
        features, objects = [], []
        decoder = grid_decoder(self.predictor)
        drawn = [e for e in self.manifest.images.values() if STAGES[0] in e.done]
        for done, entry in enumerate(drawn, 1):
            image = self.image(entry.name)
            found = everything(decoder, image, self.settings)
            features.append(features_of(found, self.predictor.embed(image)))
            objects.append(are_objects(found, [mask.rle for mask in self.masks(entry.name)]))
            if progress is not None:
                progress(done, len(drawn))
        whole = [one for one in features if len(one)]
        table = np.concatenate(whole) if whole else np.zeros((0, 1))
        known = np.concatenate(objects) if objects else np.zeros(0, bool)
        ObjectDetector.learned(table, known).save(self.folder / DETECTOR)

    def _keep(self, name: str, masks: Sequence[Mask]) -> int:
        entry = self._entry(name)
        hw = masks[0].rle.size if masks else self.image(name).shape[:2]
        record = Record(Path(entry.path).name, (int(hw[0]), int(hw[1])), tuple(masks))
        write_json(self._path(name), row_of(record))
        return len(masks)

    def _path(self, name: str) -> Path:
        return self.folder / "masks" / f"{self._entry(name).name}.json"

    def _entry(self, name: str) -> Entry:
        if name not in self.manifest.images:
            raise UsageError(f"no image {name!r} in this engine of {len(self.manifest.images)}.")
        return self.manifest.images[name]

    def _only(self, *stages: str) -> None:
        if self.stage not in stages:
            raise UsageError(
                f"this belongs to the stage {' or '.join(stages)}, the engine is in {self.stage!r}."
            )


def _scores(one: FoundMask) -> dict[str, Any]:
    row = one.to_dict()
    return {name: row[name] for name in ("predicted_iou", "stability_score", "point_coords")}
