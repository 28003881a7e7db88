"""The examples run as they stand, and write what they say; the README's picture is up to date."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_example_runs(path, tmp_path):
    if "plots" in path.read_text("utf-8"):
        pytest.importorskip("matplotlib", reason="the extra 'plot' is not installed")
    done = subprocess.run(
        [sys.executable, path], cwd=tmp_path, capture_output=True, text=True, check=False,
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
    expected = {"book_figures": 4, "every_plot": 11}.get(path.stem, 0)
    assert len(list(tmp_path.rglob("*.*"))) == expected


def test_the_readmes_picture_is_what_the_example_draws(tmp_path):
    subprocess.run(
        [sys.executable, ROOT / "examples" / "book_figures.py", tmp_path], check=True,
        capture_output=True,
    )  # fmt: skip
    for name in ("forward.svg", "backward.svg"):
        new, kept = ((d / name).read_text("utf-8") for d in (tmp_path, ROOT / "docs" / "pictures"))
        texts = [re.findall(r"<text[^>]*>([^<]*)", svg) for svg in (new, kept)]
        assert texts[0] == texts[1]
