"""The commands of `triscope segment evaluate`, a file each."""
