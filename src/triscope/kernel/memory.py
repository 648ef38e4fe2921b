"""Amounts of memory as people write them."""

from __future__ import annotations

import re

from triscope.errors import BadSettings

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}
AMOUNT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?)(i?)b?\s*", re.IGNORECASE)


def bytes_of(amount: int | str) -> int:
    """A number of bytes from ``2000000000``, ``"2GB"``, ``"1.5 GiB"`` or ``"800m"``."""
    found = AMOUNT.fullmatch(str(amount))
    if found is None or not float(found[1]):
        raise BadSettings(f"memory={amount!r}: expected an amount such as 2GB, 800MB or 1.5GiB.")
    unit = found[2].lower()
    base = 1024 ** " kmgt".index(unit) if found[3] and unit else UNITS[unit]
    return int(float(found[1]) * base)
