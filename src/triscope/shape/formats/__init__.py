"""Readers and writers of outside formats, and the one that finds out which a folder holds."""

from triscope.shape.formats.opening import open_scene

__all__ = ["open_scene"]
