"""Which images a check has met, and as what: fitted on, calibrated on, kept as a regression set.

Images are known by the fingerprint of their content, so that a copied or renamed file is still
the same image, and an image that taught or calibrated a check is never counted as a test.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

from triscope.errors import CheckDamaged, LeakedData
from triscope.kernel.data import Sample, fingerprint

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
    """One image: its number in the model, name, place where it was read, and content hash."""

    id: int
    name: str
    source: str
    hash: str
    role: Role
    label: str = "good"


@dataclass
class Seen:
    """All images that a check has met."""

    images: list[SeenImage] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._next = 1 + max((image.id for image in self.images), default=-1)

    def of(self, role: Role) -> list[SeenImage]:
        """The images of one role."""
        return [image for image in self.images if image.role == role]

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

    def drop(self, ids: Iterable[int]) -> None:
        """Forget images by their numbers."""
        gone = set(ids)
        self.images = [image for image in self.images if image.id not in gone]

    def refuse(self, samples: Iterable[Sample], roles: tuple[Role, ...], purpose: str) -> None:
        """Raise LeakedData when a sample was already met in one of these roles."""
        known = {image.hash: image for image in self.images if image.role in roles}
        met = [known[h] for s in samples if (h := fingerprint(s.source)) in known]
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
    return str(sample.source) if isinstance(sample.source, str | Path) else ""
