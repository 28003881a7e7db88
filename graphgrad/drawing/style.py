"""How pictures look: colours of the themes, font sizes, and the width of text.

Widths are needed before Graphviz runs: every frame reserves room for the longest text that any
frame shows at that place, so that nothing moves from one frame to the next.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from math import ceil

from graphgrad.errors import GraphError

__all__ = ["FONT", "THEMES", "Theme", "line_height", "text_width", "theme"]

FONT = "DejaVu Sans,Verdana,Helvetica,Arial,sans-serif"
NAME, VALUE, ENTRY, ADJOINT, LABEL, CAPTION, LEGEND = 12, 14, 11, 11, 10, 12, 9
"""Font sizes in points of the parts of a picture."""


@dataclass(frozen=True)
class Theme:
    """The colours of a picture; every difference in colour is also one in text or in line."""

    background: str = "#ffffff"
    ink: str = "#202124"
    muted: str = "#6b7280"
    line: str = "#5f6368"
    pending: str = "#b4b8bf"
    value: str = "#166b31"
    adjoint: str = "#b3261e"
    current: str = "#d97706"
    current_text: str = "#a84f00"
    input: str = "#dbeafe"
    parameter: str = "#dcfce7"
    constant: str = "#f3f4f6"
    result: str = "#ffffff"
    output: str = "#fef3c7"
    operation: str = "#e9ebef"
    group: str = "#f8f9fb"


THEMES = {
    "light": Theme(),
    "dark": Theme(
        background="#16181d", ink="#e8eaed", muted="#a3a9b4", line="#9aa0a6", pending="#5b616b",
        value="#7ee2a0", adjoint="#ff9d94", current="#ffb454", current_text="#ffc880",
        input="#1d3557", parameter="#173d2a", constant="#2a2d34", result="#1f2229",
        output="#4a3d10", operation="#33373f", group="#1b1e24",
    ),
    "print": Theme(
        ink="#000000", muted="#555555", line="#000000", pending="#999999", value="#000000",
        adjoint="#000000", current="#000000", current_text="#000000", input="#ffffff",
        parameter="#e8e8e8", constant="#f6f6f6", output="#d8d8d8", operation="#eeeeee",
        group="#fbfbfb",
    ),
}  # fmt: skip
"""light for screens and colour print, dark for dark slides, print for black and white."""


def theme(name: str) -> Theme:
    """Return a theme by name.

    Raises:
        GraphError: when there is none of that name.
    """
    if name not in THEMES:
        raise GraphError(f"theme {name!r}: expected one of {', '.join(THEMES)}")
    return THEMES[name]


# Advance widths of DejaVu Sans in thousandths of the font size, read from the font's own table.
# The other fonts of FONT are as wide or narrower.
_WIDTHS = {
    278: "'ijlIJ ,.·", 352: "/:;\\|f-", 401: "()[]⌊⌋tᵀ!₀₁₂₃₄₅₆₇₈₉²", 500: '*_`–r"∂ᵏₖ',
    559: "szⁿ⁻?εcLν", 612: "FkvxyγλπPTYoδθ", 636: "aeEΣhnuσSbdgpqρ$0123456789{}μ√β",
    698: "KAVXZBRCαφψ⋆", 787: "U∧∨NH∏DG&OQ", 838: "wω∞#+<=>^~−×÷≤≥≠¬⊗←→", 1000: "M%mW@…",
}  # fmt: skip
_ADVANCE = {c: w for w, chars in _WIDTHS.items() for c in chars}
_BOLD = 1.12


def text_width(text: str, size: float, bold: bool = False) -> float:
    """Return the width of one line in points, rather too wide than too narrow.

    Example:
        >>> text_width("w = 3", 10) > text_width("i = 3", 10)
        True
    """
    scale = size * (_BOLD if bold else 1.0) / 1000
    # Hinted fonts round each advance to whole pixels of 0.75 points; take the wider of the two.
    widths = (scale * (_ADVANCE.get(c) or _advance(c)) for c in text)
    return 1.07 * sum(max(w, 0.75 * round(w / 0.75)) for w in widths)


def _advance(c: str) -> int:
    if c < " " or unicodedata.combining(c):
        return 0
    return 1100 if unicodedata.east_asian_width(c) in "WF" else 800


def line_height(size: float) -> int:
    """Return the height of a line of text in points, with room for a bar over it."""
    return ceil(1.4 * size)
