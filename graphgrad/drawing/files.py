"""Files written in one stroke: whoever opens one sees the old or the new content, never half."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

__all__ = ["write_whole"]


def write_whole(path: str | os.PathLike[str], content: bytes | str) -> Path:
    """Write a file beside its place, then put it there, and return its path.

    Args:
        path: where to; its folder must exist.
        content: bytes, or text to be written as UTF-8 with plain line ends.

    Raises:
        OSError: when it cannot be written; what was there before stays.
    """
    target = Path(path)
    content = content.encode() if isinstance(content, str) else content
    draft = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    try:
        draft.write_bytes(content)
        os.replace(draft, target)
    except OSError as problem:
        problem.filename, problem.filename2 = str(target), None
        raise
    finally:
        draft.unlink(missing_ok=True)
    return target
