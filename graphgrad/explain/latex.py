r"""LaTeX and MathML of names, numbers, arrays and templates, safe for any name a user may give.

What one can do: typeset a name (`latex_name`), an adjoint (`latex_adjoint`), a number or small
array (`latex_value`); fill a LaTeX template (`fill_latex`); turn LaTeX into MathML (`mathml`).
Names are never copied as they came: what has a meaning in TeX is escaped, and no name is set by
``\text``, whose contents converters read in different ways.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Sequence
from typing import Any
from xml.etree.ElementTree import Element, tostring  # writes only; nothing is parsed

import numpy as np

from graphgrad.errors import MissingDependencyError
from graphgrad.explain.names import visible
from graphgrad.explain.numbers import DIGITS, SMALL, latex_number

__all__ = [
    "fill_latex", "latex_adjoint", "latex_name", "latex_shape", "latex_value", "mathml",
]  # fmt: skip

_SPECIAL = {
    "\\": r"\backslash ", "{": r"\{", "}": r"\}", "$": r"\$", "%": r"\%", "&": r"\&", "#": r"\#",
    "_": r"\_", "~": r"\sim ", "^": r"\wedge ", " ": r"\ ", "\xa0": r"\ ", "−": "-",
    "'": r"{}^{\prime}", "<": r"\lt ", ">": r"\gt ",
}  # fmt: skip
_GREEK = {
    "α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "varepsilon", "ζ": "zeta",
    "η": "eta", "θ": "theta", "ι": "iota", "κ": "kappa", "λ": "lambda", "μ": "mu", "ν": "nu",
    "ξ": "xi", "π": "pi", "ρ": "rho", "σ": "sigma", "τ": "tau", "υ": "upsilon", "φ": "varphi",
    "χ": "chi", "ψ": "psi", "ω": "omega", "Γ": "Gamma", "Δ": "Delta", "Θ": "Theta",
    "Λ": "Lambda", "Ξ": "Xi", "Π": "Pi", "Σ": "Sigma", "Υ": "Upsilon", "Φ": "Phi", "Ψ": "Psi",
    "Ω": "Omega",
}  # fmt: skip
_ACCENTS = {"\u0302": "hat", "\u0303": "tilde", "\u0307": "dot", "\u0308": "ddot"}
_MARKED = tuple(f"{command}{{" for command in _ACCENTS.values())
_DIGITS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
_LOWERED = re.compile(r"(.+?)([₀-₉]+)", re.DOTALL)
_POWERS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁽⁾", "0123456789()")
_RAISED = re.compile(r"(.+?)([⁰¹²³⁴⁵⁶⁷⁸⁹⁽⁾]+)", re.DOTALL)
_BEFORE_POWER = re.compile(r"(.+)(\^\{[0-9()]+\})")
_ENTRY = re.compile(r"(.+?)\[([0-9, ]+)\]", re.DOTALL)
_SIZED = re.compile(r"const ([0-9×]+)")


def latex_name(name: str) -> str:
    r"""Return a display name as it is typeset in mathematics.

    A letter is set in italics, a word upright; digits after a letter and the position of an entry
    are lowered, and a layer written above stays above.

    Args:
        name: as `node_names` gives it.

    Example:
        >>> [latex_name(n) for n in ("x", "x₁", "loss", "W[0,1]", "θ₀", "W²")]
        ['x', 'x_{1}', '\\mathrm{loss}', 'W_{0,1}', '\\theta_{0}', 'W^{2}']
        >>> print(latex_name("50%_{a}"))
        \mathrm{50\%\_\{a\}}
    """
    if match := _SIZED.fullmatch(name):
        return r"\mathrm{const}_{" + match[1].replace("×", r" \times ") + "}"
    if match := _RAISED.fullmatch(name):
        return f"{latex_name(match[1])}^{{{match[2].translate(_POWERS)}}}"
    match = _LOWERED.fullmatch(name) or _ENTRY.fullmatch(name)
    if match and not set("[]₀₁₂₃₄₅₆₇₈₉") & set(match[1]):
        return f"{_word(match[1])}_{{{match[2].translate(_DIGITS)}}}"
    return _word(name)


def _word(text: str) -> str:
    if text in _GREEK:
        return rf"\{_GREEK[text]}"
    letter, mark = unicodedata.normalize("NFD", text)[:1], unicodedata.normalize("NFD", text)[1:]
    if mark in _ACCENTS and (letter in _GREEK or letter.isalpha()):
        return rf"\{_ACCENTS[mark]}{{{_word(letter)}}}"
    if len(text) == 1 and text.isalpha():
        return text
    letters = "".join(map(_letter, visible(text)))
    return rf"\mathrm{{{letters}}}"


def _letter(c: str) -> str:
    if c in _GREEK:
        return rf"\{_GREEK[c]} "
    digit = c.translate(_DIGITS)
    return f"{{}}_{{{digit}}}" if digit != c else _SPECIAL.get(c, c)


def latex_adjoint(name: str) -> str:
    r"""Return the adjoint of a typeset name: the name with a bar, its index without.

    Example:
        >>> latex_adjoint("x_{1}"), latex_adjoint("\\mathrm{loss}")
        ('\\bar{x}_{1}', '\\overline{\\mathrm{loss}}')
    """
    if match := _BEFORE_POWER.fullmatch(name):
        return latex_adjoint(match[1]) + match[2]
    base, lowered = name, ""
    if name.endswith("}") and "_{" in name and not name.startswith(r"\mathrm"):
        base, lowered = name.split("_{", 1)[0], "_{" + name.split("_{", 1)[1]
    elif match := re.fullmatch(r"(\\mathrm\{\w+\})(_\{[^{}]*\})", name):
        base, lowered = match[1], match[2]
    letter = len(base) == 1 or base[1:] in _GREEK.values() or base[1:].startswith(_MARKED)
    return rf"\{'bar' if letter else 'overline'}{{{base}}}{lowered}"


def latex_shape(shape: tuple[int, ...]) -> str:
    r"""Return a shape, as in ``3 \times 4``; 1 for a scalar."""
    return r" \times ".join(map(str, shape)) or "1"


def latex_value(value: Any, digits: int = DIGITS) -> str:
    r"""Return a scalar, a small array as a matrix, or else the space the array lies in.

    Example:
        >>> latex_value(np.array([1.0, -2.0]))
        '\\begin{bmatrix} 1 & -2 \\end{bmatrix}'
        >>> latex_value(np.zeros((784, 512)))
        '\\in \\mathbb{R}^{784 \\times 512}'
    """
    array = np.asarray(value)
    if array.ndim == 0:
        return latex_number(array[()], digits)
    if array.ndim > 2 or not 0 < array.size <= SMALL or array.shape[-1] > 6:
        return rf"\in \mathbb{{R}}^{{{latex_shape(array.shape)}}}"
    rows = [" & ".join(latex_number(v, digits) for v in row) for row in np.atleast_2d(array)]
    body = r" \\ ".join(rows)
    return rf"\begin{{bmatrix}} {body} \end{{bmatrix}}"


def fill_latex(template: str, y: str, xs: Sequence[str], g: str = "") -> str:
    r"""Return a LaTeX template with names or numbers put in, with brackets where they need them.

    Example:
        >>> print(fill_latex(r"#1 \cdot #2^{2}", "y", ["-2", r"1.5 \cdot 10^{-9}"]))
        -2 \cdot (1.5 \cdot 10^{-9})^{2}
        >>> print(fill_latex(r"\frac{#1}{#2}", "y", ["-2", "x_{1}"]))
        \frac{-2}{x_{1}}
    """

    def place(match: re.Match[str]) -> str:
        text = {"y": y, "g": g}.get(match[1]) or xs[int(match[1]) - 1]
        before, after = template[: match.start()].rstrip(), template[match.end() :]
        if before.endswith("{") and after.startswith("}"):
            return text
        signed = text.startswith("-")
        alone = not before or before.endswith(("(", "[", "|", "&", ",", r"\\", "{cases}"))
        raised = after.startswith("^")
        product = r" \cdot " in text and (raised or before.endswith(("-", "/")))
        product |= raised and "^" in text
        if product or (signed and (raised or not alone)):
            return f"({text})"
        return f"{{{text}}}" if after.startswith("_") else text

    return re.sub(r"#(y|g|\d+)", place, template)


def mathml(latex: str) -> str:
    """Return LaTeX as a MathML element, well-formed whatever the names in it.

    Args:
        latex: a formula as this package writes them, without dollar signs.

    Returns:
        ``<math …>…</math>``, which browsers show as it is.

    Raises:
        MissingDependencyError: when latex2mathml is not installed.

    Example:
        >>> print(mathml("x_{1}").split("<mrow>", 1)[1])
        <msub><mi>x</mi><mrow><mn>1</mn></mrow></msub></mrow></math>
    """
    try:
        from latex2mathml.converter import Converter
    except ImportError:
        raise MissingDependencyError(
            "MathML needs the library latex2mathml: pip install latex2mathml"
        ) from None
    root = Converter().convert_to_element(latex)
    for element in root.iter():  # the library leaves entities in the text, to be unescaped later
        element.text = html.unescape(element.text) if element.text else element.text
    for element in root.iter():
        _join_letters(element)
        _mark_signs(element)
    return tostring(root, encoding="unicode")


def _join_letters(parent: Element) -> None:
    """Make one upright identifier of the letters of a word, as MathML wants it."""
    previous: Element | None = None
    for child in list(parent):
        upright = child.tag == "mi" and child.get("mathvariant") == "normal"
        if upright and previous is not None:
            previous.text = f"{previous.text}{child.text}"
            parent.remove(child)
        else:
            previous = child if upright else None


def _mark_signs(parent: Element) -> None:
    """Mark a minus after another operator as a sign, which browsers space less."""
    previous: Element | None = None
    for child in parent:
        minus = child.tag == "mo" and child.text in ("−", "-")
        after = previous is not None and previous.tag == "mo" and previous.text not in tuple(")]|")
        if minus and after:
            child.set("form", "prefix")
        previous = child
