"""The commands of `triscope segment text`, one a file."""
