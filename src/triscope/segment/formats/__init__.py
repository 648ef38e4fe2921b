"""Masks on disk: SA-1B, COCO, VOC, YOLO, PNG masks and label maps, read and written as a stream.

Every format has ``read(place) -> Iterator[Record]`` and ``Writer(place)``; what a format cannot
hold is refused, never dropped. Memory does not grow with the number of images.
"""

from triscope.segment.formats.convert import FORMATS, convert, read, writer
from triscope.segment.formats.record import Mask, Record

__all__ = ["FORMATS", "Mask", "Record", "convert", "read", "writer"]
