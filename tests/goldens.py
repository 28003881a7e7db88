"""Texts and pictures as files of `golden/`, compared to the letter.

Set GRAPHGRAD_UPDATE_GOLDEN=1 to rewrite the files; then read the texts aloud, look at the pictures.
"""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(__file__).parent / "golden"


def compare(name: str, text: str) -> None:
    """Demand that a text is that of the file of this name."""
    path = FOLDER / name
    if "GRAPHGRAD_UPDATE_GOLDEN" in os.environ:
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8")
