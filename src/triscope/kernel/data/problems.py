"""Problems of a data set, counted by their kind and told with examples."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

EXAMPLES = 3


@dataclass
class Problems:
    """``add("boxes without area were left out", "a.xml")``, then ``told()``."""

    counts: Counter[str] = field(default_factory=Counter)
    places: dict[str, list[str]] = field(default_factory=dict)

    def add(self, kind: str, place: str) -> None:
        """One more of this kind, seen at this place."""
        self.counts[kind] += 1
        places = self.places.setdefault(kind, [])
        if len(places) < EXAMPLES and place not in places:
            places.append(place)

    def told(self) -> tuple[str, ...]:
        """One sentence a kind: ``3 boxes without area were left out: a.xml, b.xml``."""
        return tuple(
            f"{count} {kind}: {', '.join(self.places[kind])}"
            + (", …" if count > len(self.places[kind]) else "")
            for kind, count in self.counts.items()
        )
