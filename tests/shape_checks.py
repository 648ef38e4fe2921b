"""The checker behind shapes in signatures: whole numbers pass where numbers are asked for."""

from __future__ import annotations

from beartype import BeartypeConf, beartype

typechecked = beartype(conf=BeartypeConf(is_pep484_tower=True))
