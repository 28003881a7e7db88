"""Colours of factors: the same on a formula and on the arrows of the picture.

Any two of the eight differ clearly, also for readers with protanopia, deuteranopia or tritanopia
(at least 19 in CIELAB, by the simulation of Machado, Oliveira and Fernandes 2009, IEEE TVCG 15),
and each has a contrast of at least 4.5 to white (WCAG 2.1, AA). A ninth factor gets the first
colour again: the number in its circle tells the two apart, as it does in black and white.
"""

from __future__ import annotations

__all__ = ["FACTORS", "badge", "factor_color", "on_background"]

FACTORS = (
    "#087f9b", "#c2185b", "#003f7f", "#8f6300", "#8a2be2", "#7a0019", "#33003f", "#a22fbf",
)  # fmt: skip


def factor_color(number: int) -> str:
    """Return the colour of a factor by its number, from 1.

    Example:
        >>> factor_color(1), factor_color(9)
        ('#087f9b', '#087f9b')
    """
    return FACTORS[(number - 1) % len(FACTORS)]


def badge(number: int) -> str:
    """Return a number in a circle, as it stands at a factor and at its arrow.

    Example:
        >>> badge(1), badge(21)
        ('①', '(21)')
    """
    return chr(0x245F + number) if 1 <= number <= 20 else f"({number})"


def on_background(color: str, background: str) -> str:
    """Return a colour that can be read on a background: on a dark one, mixed with white.

    Example:
        >>> on_background("#003f7f", "#ffffff"), on_background("#003f7f", "#16181d")
        ('#003f7f', '#99b2cb')
    """
    if sum(_channels(background)) > 3 * 128:
        return color
    return "#" + "".join(f"{int(0.4 * c + 0.6 * 255):02x}" for c in _channels(color))


def _channels(color: str) -> list[int]:
    return [int(color[k : k + 2], 16) for k in (1, 3, 5)]
