"""``python -m graphgrad`` does what ``graphgrad`` does."""

from __future__ import annotations

import sys

from graphgrad.cli import main

if __name__ == "__main__":
    sys.exit(main())
