"""Two graphs of a network, the encoder and the prompt decoder, and the folder that holds them."""

from triscope.segment.export.folder import export_folder

__all__ = ["export_folder"]
