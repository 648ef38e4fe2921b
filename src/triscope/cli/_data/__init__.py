"""The commands of ``triscope data``, one a file."""
