"""The commands of `triscope segment`, a file each."""
