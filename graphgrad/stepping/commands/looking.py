"""Commands that show what is there: where, list, show, why, rule, diff, watch, info, verify."""

from __future__ import annotations

import ast
import importlib
import inspect
from typing import TYPE_CHECKING

from graphgrad.errors import GraphError
from graphgrad.explain.steps import plain
from graphgrad.graph import Node
from graphgrad.primitive import Primitive
from graphgrad.stepping.nodes import quoted
from graphgrad.stepping.registry import command, whole_number
from graphgrad.stepping.text import Text, from_ansi, joined, lines, styled
from graphgrad.stepping.view import tabled

if TYPE_CHECKING:
    from graphgrad.stepping.session import Session

GROUP = "looking"
AROUND = 5
"""Steps that `list` shows before and after the current one."""
