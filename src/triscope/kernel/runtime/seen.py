"""Which images a check has met, and as what: fitted on, calibrated on, kept as a regression set.

Images are known by the fingerprint of their content, so that a copied or renamed file is still
the same image, and an image that taught or calibrated a check is never counted as a test.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Literal

from triscope.errors import CheckDamaged, DataError, LeakedData
from triscope.kernel.data import Sample, fingerprint
from triscope.kernel.data.source import is_address

Role = Literal["train", "calibrate", "test", "regression"]
SEEN = "images.json"
WHY = {
    "train": "the check was fitted on them",
    "calibrate": "the check was calibrated on them",
    "test": "they are test images",
    "regression": "they are the regression set",
}


@dataclass(frozen=True)
class SeenImage:
    """One image: its number in the model, name, place where it was read, and content hash.

    ``file`` is its copy in the check folder; images of the regression set have one.
    """

    id: int
    name: str
    source: str
    hash: str
    role: Role
    label: str = "good"
    file: str = ""


@dataclass
class Seen:
    """All images that a check has met."""

    images: list[SeenImage] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._next = 1 + max((image.id for image in self.images), default=-1)

    def of(self, role: Role) -> list[SeenImage]:
        """The images of one role."""
        return [image for image in self.images if image.role == role]

    def samples(self, role: Role) -> list[Sample]:
        """The images of one role that are still where they were, unchanged."""
        found = []
        for image in self.of(role):
            with contextlib.suppress(DataError):
                if image.source and fingerprint(image.source) == image.hash:
                    found.append(Sample(image.source, image.name, image.label))
        return found

    def add(self, samples: Iterable[Sample], role: Role) -> list[SeenImage]:
        """Remember samples; their numbers go on where the last ended."""
        start = self._next
        new = [
            SeenImage(start + i, s.name, _place(s), fingerprint(s.source), role, s.label or "good")
            for i, s in enumerate(samples)
        ]
        self.images.extend(new)
        self._next += len(new)
        return new

    def take(self, image: SeenImage) -> SeenImage:
        """Remember an image that another check has met, under a number of its own."""
        mine = replace(image, id=self._next)
        self.images.append(mine)
        self._next += 1
        return mine

    def drop(self, ids: Iterable[int]) -> None:
        """Forget images by their numbers."""
        gone = set(ids)
        self.images = [image for image in self.images if image.id not in gone]

    def refuse(self, samples: Iterable[Sample], roles: tuple[Role, ...], purpose: str) -> None:
        """Raise LeakedData when a sample was already met in one of these roles.

        What cannot be read is left to whoever reads it next.
        """
        known = {image.hash: image for image in self.images if image.role in roles}
        met = []
        for sample in samples:
            with contextlib.suppress(DataError):
                if (code := fingerprint(sample.source)) in known:
                    met.append(known[code])
        if met:
            names = ", ".join(image.name for image in met[:3])
            raise LeakedData(
                f"{len(met)} of the images given to {purpose} may not be used for it, since "
                f"{WHY[met[0].role]}: {names}{', ...' if len(met) > 3 else ''}. "
                f"Give images that the check has not met."
            )

    def write(self, folder: Path) -> None:
        """Write ``images.json``."""
        rows = [asdict(image) for image in self.images]
        (folder / SEEN).write_text(json.dumps(rows, indent=0) + "\n", encoding="utf-8")


def hash_of(images: Iterable[SeenImage]) -> str:
    """One hash of the content of several images, in whatever order."""
    return hashlib.sha256("".join(sorted(image.hash for image in images)).encode()).hexdigest()


def read_seen(folder: Path) -> Seen:
    """Read ``images.json``; an absent file means that nothing is known."""
    path = folder / SEEN
    if not path.is_file():
        return Seen()
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return Seen([SeenImage(**row) for row in rows])
    except (ValueError, TypeError) as error:
        raise CheckDamaged(f"{path} cannot be read: {error}.") from error


def _place(sample: Sample) -> str:
    """Where an image can be found again; nowhere if it was an array."""
    if isinstance(sample.source, Path) or (
        isinstance(sample.source, str) and not is_address(sample.source)
    ):
        return str(Path(sample.source).absolute())
    return sample.source if isinstance(sample.source, str) else ""
