"""The command line: the only part that prints, or knows a terminal."""

import time

STARTED = time.monotonic()
"""The moment from which `--max-time` counts, before anything heavy is imported."""
