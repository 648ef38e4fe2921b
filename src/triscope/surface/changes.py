"""Changes of images that leave the class of a part alone, for training."""

from __future__ import annotations

from triscope.kernel.data.transforms import Affine, Chain, Flip, Light, QuarterTurn, Sometimes

LIGHT = Light(brightness=(-0.1, 0.1), contrast=(0.8, 1.25))
# Mirrored, turned a little, shifted, brighter, darker; what moves in is a mirror image.
GENTLE = Chain(
    Flip(horizontal=0.5, vertical=0.5),
    QuarterTurn(),
    Sometimes(Affine(degrees=(-10, 10), scale=(0.8, 1.25), shift=(-0.1, 0.1), border="reflect")),
    LIGHT,
)
# The same for boxes: what moves in is plain, since a mirrored defect would have no box.
BOXED = Chain(
    Flip(horizontal=0.5, vertical=0.5),
    QuarterTurn(),
    Sometimes(Affine(degrees=(-8, 8), scale=(0.85, 1.2), shift=(-0.1, 0.1))),
    LIGHT,
)
