"""Problems of a data set, counted by their kind and told with examples."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

EXAMPLES = 3
UNLABELLED = "images without a label were left out"


@dataclass
class Problems:
    """``add("boxes without area were left out", "a.xml")``, then ``told()``."""

    counts: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, place: str) -> None:
        """One more of this kind, seen at this place."""
        self.counts[kind] += 1
        places = self.places.setdefault(kind, [])
        if place not in places[: EXAMPLES + 1]:
            places.append(place)
            del places[EXAMPLES + 1 :]

    def told(self) -> tuple[str, ...]:
        """A line a kind: ``boxes without area were left out: 3 (a.xml, b.xml, …)``."""
        return tuple(
            f"{kind}: {count} ({', '.join(self.places[kind][:EXAMPLES])}"
            + (", …)" if len(self.places[kind]) > EXAMPLES else ")")
            for kind, count in self.counts.items()
        )
