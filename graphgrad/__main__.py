"""`python -m graphgrad` is the command line."""

from graphgrad.cli.__main__ import main

if __name__ == "__main__":
    raise SystemExit(main())
