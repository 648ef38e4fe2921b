"""``python -m triscope`` is ``triscope``."""

from triscope.cli import main

main()
