r"""SymPy expressions as the house writes them: 1 − v₂², |x|, step(x), e and LaTeX alike.

Symbols are given their display names last, so that no name, however odd, is taken for mathematics.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import sympy as sp
from sympy.printing.latex import LatexPrinter
from sympy.printing.str import StrPrinter

from graphgrad.explain.latex import latex_name
from graphgrad.explain.names import pretty
from graphgrad.explain.numbers import latex_number
from graphgrad.proof.marks import Pair
from graphgrad.proof.orders import decimal, fraction, natural, ordered

__all__ = ["HEAVY", "LONGEST", "latex", "shortened", "text", "tidy"]

LONGEST = 72
"""Characters of a formula that a report shows."""
HEAVY = 200
"""Operations of a formula that is worth printing at all."""
_SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_HOLE = re.compile("\ue000(\\d+)\ue001")


class _Text(StrPrinter):  # type: ignore[misc]
    """SymPy's plain text, with the signs of the house."""

    def __init__(self, decimals: bool = False) -> None:
        super().__init__({"order": "none"})
        self.symbols: list[Any] = []
        self.decimals = decimals

    def _print_Symbol(self, e: Any) -> str:  # noqa: N802 (SymPy's names)
        if e not in self.symbols:
            self.symbols.append(e)
        return f"\ue000{self.symbols.index(e)}\ue001"

    _print_Dummy = _print_Symbol

    def _print_Add(self, e: Any, order: Any = None) -> str:  # noqa: N802
        terms = ordered(e)
        parts = [self._print(terms[0])]
        for term in terms[1:]:
            minus = term.could_extract_minus_sign()
            shown = self.parenthesize(-term if minus else term, 30)
            parts.append(f" − {shown}" if minus else f" + {shown}")
        return "".join(parts)

    def _print_Mul(self, e: Any) -> str:  # noqa: N802
        minus, above, below = fraction(e, self.decimals)
        sign = "−" if minus else ""
        top = "·".join(self._factor(f) for f in above) or "1"
        if not below:
            return sign + top
        bottom = "·".join(self._factor(f) for f in below)
        return f"{sign}{top}/({bottom})" if len(below) > 1 else f"{sign}{top}/{bottom}"

    def _factor(self, e: Any) -> str:
        if e.is_Rational and decimal(e, self.decimals):
            return self._print(e)
        return self.parenthesize(e, 50, strict=False) if not e.is_Pow else self._print(e)

    def _print_Pow(self, e: Any, rational: bool = False) -> str:  # noqa: N802
        if e.exp == sp.Rational(1, 2):
            return f"√({self._print(e.base)})"
        if e.exp.is_Rational and e.exp < 0:
            return f"1/{self._factor(1 / e)}"
        base = self.parenthesize(e.base, 69, strict=False)
        if e.exp.is_Integer:
            return base + str(e.exp).translate(_SUPERSCRIPTS)
        return f"{base}^{self.parenthesize(e.exp, 69, strict=False)}"

    def _print_ExpBase(self, e: Any) -> str:  # noqa: N802
        return f"exp({self._print(e.args[0])})"

    def _print_Abs(self, e: Any) -> str:  # noqa: N802
        return f"|{self._print(e.args[0])}|"

    def _print_Heaviside(self, e: Any) -> str:  # noqa: N802
        return f"step({self._print(e.args[0])})"

    def _print_floor(self, e: Any) -> str:
        return f"⌊{self._print(e.args[0])}⌋"

    def _print_Max(self, e: Any) -> str:  # noqa: N802
        return f"{e.func.__name__.lower()}({self.stringify(e.args, ', ')})"

    _print_Min = _print_Max

    def _print_Rational(self, e: Any) -> str:  # noqa: N802
        return (decimal(e, self.decimals) or f"{e.p}/{e.q}").replace("-", "−")

    def _print_Integer(self, e: Any) -> str:  # noqa: N802
        return str(e.p).replace("-", "−")

    def _print_Pi(self, e: Any) -> str:  # noqa: N802
        return "π"

    def _print_Exp1(self, e: Any) -> str:  # noqa: N802
        return "e"

    def _print_Infinity(self, e: Any) -> str:  # noqa: N802
        return "∞"

    def _print_NegativeInfinity(self, e: Any) -> str:  # noqa: N802
        return "−∞"

    def _print_Not(self, e: Any) -> str:  # noqa: N802
        return f"¬{self._print(e.args[0])}"

    def _print_And(self, e: Any) -> str:  # noqa: N802
        sign = " ∧ " if isinstance(e, sp.And) else " ∨ "
        return sign.join(self._print(a) for a in sorted(e.args, key=str))

    _print_Or = _print_And

    def _print_Relational(self, e: Any) -> str:  # noqa: N802
        sign = {"==": "=", "!=": "≠", "<=": "≤", ">=": "≥"}.get(e.rel_op, e.rel_op)
        return f"{self._print(e.lhs)} {sign} {self._print(e.rhs)}"

    def _print_Piecewise(self, e: Any) -> str:  # noqa: N802
        if len(e.args) == 2 and e.args[1].cond == sp.true:
            (a, c), (b, _) = e.args
            if (a, b) == (1, 0):
                return f"[{self._print(c)}]"
            return f"({self._print(a)} if {self._print(c)} else {self._print(b)})"
        cases = "; ".join(f"{self._print(v)} if {self._print(c)}" for v, c in e.args)
        return f"({cases})"


def tidy(e: Any) -> Any:
    """Return an equal expression with powers of one base as one: w·x^(w − 1) for w·x^w/x."""
    powers = (p for p in sp.preorder_traversal(e) if p.is_Pow and p.base is not sp.E)
    return sp.powsimp(e, combine="exp") if any(p.exp.free_symbols for p in powers) else e


def text(e: Any, names: Mapping[Any, str] | None = None, decimals: bool = False) -> str:
    """Return an expression as text.

    Args:
        e: a SymPy expression.
        names: display names of symbols; others are shown by their own names.
        decimals: write 1.5·x for 3·x/2, as in formulas whose own numbers have points.

    Example:
        >>> x, y = sp.symbols("x y", real=True)
        >>> text(1 - sp.tanh(x) ** 2), text(-x / (2 * y)), text(sp.Abs(x) * sp.exp(-x))
        ('1 − tanh(x)²', '−x/(2·y)', 'exp(−x)·|x|')
    """
    printer = _Text(decimals)
    e, letters = natural(e)
    template = printer.doprint(e)
    known = names or {}

    def fill(match: re.Match[str]) -> str:
        symbol = printer.symbols[int(match[1])]
        name = _shown(letters.get(symbol, symbol), known)
        return f"({name})" if name.startswith("−") and match[0] != template else name

    return _HOLE.sub(fill, template)


def _shown(symbol: Any, names: Mapping[Any, Any]) -> Any:
    if symbol in names:
        return names[symbol]
    name, bracket, entry = symbol.name.partition("[")
    return pretty(name) + bracket + entry


def shortened(e: Any, names: Mapping[Any, str] | None = None, most: int = LONGEST) -> str:
    """Return an expression as text, or its size in words when it is too long to be read."""
    operations = int(e.count_ops())
    shown = text(e, names) if operations <= HEAVY else ""
    return shown if shown and len(shown) <= most else f"({operations} operations)"


def latex(e: Any, names: Mapping[Any, str | Pair] | None = None, decimals: bool = False) -> str:
    """Return an expression as LaTeX, its symbols by display names, set as mathematics.

    Args:
        e: a SymPy expression.
        names: display names of symbols, or names with their own LaTeX.
        decimals: write 1.5 x for 3 x / 2.

    Example:
        >>> print(latex(sp.tanh(sp.Symbol("x")) ** 2, {sp.Symbol("x"): "v₁"}))
        \\tanh^{2}{\\left(v_{1} \\right)}
        >>> print(latex(sp.Symbol("x") * sp.Rational(3, 10)))
        0.3 x
    """
    e, letters = natural(e)
    symbols = {s: _set(_shown(letters.get(s, s), names or {})) for s in e.free_symbols}
    return _Latex(symbols, decimals).doprint(e)


def _set(name: str | Pair) -> str:
    """Return a display name in LaTeX; an entry of W₂ is (W₂)₀₁, one of W simply W₀₁."""
    if isinstance(name, Pair):
        return name.latex
    whole, bracket, entry = name.partition("[")
    if bracket and set("₀₁₂₃₄₅₆₇₈₉") & set(whole):
        return rf"({latex_name(whole)})_{{{entry.removesuffix(']')}}}"
    return latex_name(name)


class _Latex(LatexPrinter):  # type: ignore[misc]
    """SymPy's LaTeX, with the names, the numbers and the order of terms that the text has."""

    def __init__(self, symbols: Mapping[Any, str], decimals: bool):
        super().__init__({"symbol_names": dict(symbols), "ln_notation": False})
        self.decimals = decimals

    def _as_ordered_terms(self, e: Any, order: Any = None) -> list[Any]:
        return ordered(e)

    def _print_Mul(self, e: Any) -> str:  # noqa: N802
        minus, above, below = fraction(e, self.decimals)
        sign = "- " if minus else ""
        top = self._product(above)
        return rf"{sign}\frac{{{top}}}{{{self._product(below)}}}" if below else sign + top

    def _product(self, factors: list[Any]) -> str:
        made = ""
        for k, f in enumerate(factors):
            shown, last = self._print(f), k == len(factors) - 1
            if len(factors) > 1 and self._needs_mul_brackets(f, first=k == 0, last=last):
                shown = rf"\left({shown}\right)"
            made += (r" \cdot " if shown[0].isdigit() else " ") * (k > 0) + shown
        return made or "1"

    def _print_Rational(self, e: Any) -> str:  # noqa: N802
        short = decimal(e, self.decimals)
        return latex_number(float(e), 8) if short else super()._print_Rational(e)

    def _print_Heaviside(self, e: Any, exp: Any = None) -> str:  # noqa: N802
        shown = rf"\operatorname{{step}}\left({self._print(e.args[0])}\right)"
        return shown if exp is None else f"{shown}^{{{exp}}}"

    def _hprint_Function(self, func: str) -> str:  # noqa: N802
        return r"\sigma" if func == "σ" else super()._hprint_Function(func)
