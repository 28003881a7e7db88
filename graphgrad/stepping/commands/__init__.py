"""The commands of a session, by what they are for; importing this package fills the table."""

from graphgrad.stepping.commands import (
    changing,
    checking,
    filing,
    helping,
    looking,
    moving,
    stopping,
    teaching,
)
from graphgrad.stepping.commands.teaching import is_answer

__all__ = [
    "changing", "checking", "filing", "helping", "is_answer", "looking", "moving",
    "stopping", "teaching",
]  # fmt: skip
