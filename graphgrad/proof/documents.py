r"""A report as a document: Markdown, HTML with formulas in MathML, LaTeX.

Names come from users, so each writer escapes what has a meaning in its language.
"""

from __future__ import annotations

import html
import re

from graphgrad.errors import MissingDependencyError
from graphgrad.explain.latex import latex_name, mathml
from graphgrad.explain.names import visible
from graphgrad.proof.findings import MARKS, Findings, Row
from graphgrad.proof.partials import CHECKED, PROVED, UNDECIDED, WRONG
from graphgrad.proof.tables import HEADS, cells

__all__ = ["html_table", "latex_table", "markdown_table"]


def markdown_table(found: Findings) -> str:
    """Return the report as a Markdown table."""
    lines = [f"**{_md(found.title)}**", "", f"| | {' | '.join(HEADS)} |", "|---" * 6 + "|"]
    for row in found.grouped():
        shown = [MARKS[row.status], *(_md(cell) for cell in cells(row))]
        lines.append(f"| {' | '.join(shown)} |")
    lines += ["", *(_md(note) for note in found.notes), _md(found.summary)]
    return "\n".join(lines)


def _md(text: str) -> str:
    escaped = re.sub(r"([\\`*_{}\[\]<>|#~$])", r"\\\1", html.escape(text, quote=False))
    return escaped.replace("\n", "<br>")


# -- HTML ------------------------------------------------------------------------------------------

_COLORS = {PROVED: "#15803d", CHECKED: "#0e7490", UNDECIDED: "#a16207", WRONG: "#b91c1c"}
_CELL = "text-align:left;vertical-align:top;white-space:pre-line;padding:0.3em 0.8em"

_BRACE = "border-left:1.5px solid currentcolor;border-radius:6px;padding-left:4px"
"""The brace before cases; without a mathematical font a browser does not stretch one."""


def html_table(found: Findings) -> str:
    """Return the report as an HTML table; formulas are MathML, every name is escaped."""
    heads = "".join(f'<th style="{_CELL}">{h}</th>' for h in ("", *HEADS))
    body = "".join(_html_row(row) for row in found.grouped())
    notes = "".join(f"<p>{html.escape(visible(note))}</p>" for note in found.notes)
    return (
        f'<div class="gg-report"><p><b>{html.escape(visible(found.title))}</b></p>'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>"
        f"{notes}<p><b>{html.escape(found.summary)}</b></p></div>"
    )


def _html_row(row: Row) -> str:
    shown = cells(row)
    color = f' style="color:{_COLORS[row.status]};font-weight:bold"'
    status, rest = html.escape(row.status), html.escape(shown[4].removeprefix(row.status))
    made = [
        f"<span{color}>{MARKS[row.status]}</span>",
        _head(row, shown[0]),
        _formula(row.tex.get("formula"), shown[1]),
        _formula(row.tex.get("rule"), shown[2]),
        _formula(row.tex.get("domain"), shown[3], row.tex.get("words", "")),
        f'<div style="min-width:12em"><span{color}>{status}</span>{rest}</div>',
    ]
    tds = "".join(f'<td style="{_CELL}">{cell}</td>' for cell in made)
    return f'<tr class="gg-{row.status.replace(" ", "-").lower()}">{tds}</tr>'


def _head(row: Row, shown: str) -> str:
    """Return the derivative, and under it what is differentiated."""
    where, of = (row.tex.get(key) for key in ("where", "of"))
    lines = shown.split("\n")
    lines[0] = _formula(where, lines[0])
    if of and row.of in lines:
        place = lines.index(row.of)
        size = row.of.partition("  ")[2]
        lines[place] = _formula(of, row.of, f"  {size}" if size else "")
    if not where:
        return html.escape(shown)
    below = "\n".join(lines[1:])
    return f'{lines[0]}<div style="margin-top:0.6em">{below}</div>'


def _formula(latex: str | None, text: str, words: str = "") -> str:
    """Return a formula as MathML with words after it; as text without LaTeX or its converter."""
    if not latex:
        return html.escape(text)
    drawn = latex.replace(r"\begin{cases}", rf"\style{{{_BRACE}}}{{\begin{{matrix}}")
    try:
        found = mathml(drawn.replace(r"\end{cases}", r"\end{matrix}}"))
        shown = found.replace("<math ", '<math displaystyle="true" ', 1)
        return shown + html.escape(visible(words))
    except MissingDependencyError:
        return html.escape(text)


# -- LaTeX -----------------------------------------------------------------------------------------

_COLUMN = r">{{\raggedright\arraybackslash}}p{{{}\linewidth}}"
_WIDTHS = (0.16, 0.2, 0.19, 0.14, 0.16)


def latex_table(found: Findings) -> str:
    r"""Return the report as a ``longtable``; needs the packages longtable, array and amsmath."""
    lines = [
        r"\begin{longtable}{" + "".join(_COLUMN.format(w) for w in _WIDTHS) + "}",
        rf"\multicolumn{{5}}{{l}}{{{_tex(found.title)}}} \\",
        " & ".join(HEADS) + r" \\ \hline",
        r"\endhead",
    ]
    for row in found.grouped():
        where, of = _math(row.tex.get("where"), row.where), _math(row.tex.get("of"), row.of)
        tail = [row.verdict, row.counterexample, row.note]
        made = [
            rf"{where} \newline {of}" if of else where,
            _math(row.tex.get("formula"), row.formula),
            _math(row.tex.get("rule"), row.rule),
            _math(row.tex.get("domain"), row.domain, row.tex.get("words", "")),
            _tex("; ".join(t for t in tail if t)),
        ]
        lines.append(" & ".join(made) + r" \\[1ex]")
    lines += [rf"\multicolumn{{5}}{{l}}{{{_tex(said)}}} \\" for said in found.notes]
    lines.append(rf"\multicolumn{{5}}{{l}}{{{_tex(found.summary)}}} \\")
    return "\n".join([*lines, r"\end{longtable}"])


def _math(latex: str | None, text: str, words: str = "") -> str:
    return f"${latex}${_tex(words)}" if latex else _tex(text)


_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "%": r"\%", "&": r"\&",
    "#": r"\#", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "∂": r"$\partial$", "−": "$-$", "·": r"$\cdot$", "≠": r"$\ne$", "√": r"$\surd$",
    "π": r"$\pi$", "′": "$'$", "Σ": r"$\Sigma$", "ᵀ": r"$^{\top}$", "≥": r"$\ge$",
    "≤": r"$\le$", "×": r"$\times$", "⌊": r"$\lfloor$", "⌋": r"$\rfloor$", "<": "$<$",
    ">": "$>$", "|": r"$|$", "∞": r"$\infty$", "…": r"\ldots{}",
    "⋆": r"$\star$", "←": r"$\leftarrow$", "→": r"$\to$", "¬": r"$\lnot$", "∧": r"$\wedge$",
    "∨": r"$\vee$", "⊙": r"$\odot$", "⊘": r"$\oslash$", "𝟏": r"$\mathbf{1}$", "∈": r"$\in$",
    "≈": r"$\approx$", "ᵇ": "$^b$", "ᵢ": "$_i$", "ⱼ": "$_j$", "ₖ": "$_k$", "½": r"$\frac12$",
    **{c: f"$_{d}$" for d, c in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    **{c: f"$^{d}$" for d, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
}  # fmt: skip


def _tex(text: str) -> str:
    """Return words with signs in them; Greek letters and bars are set as mathematics."""
    parts = re.findall(r".[\u0304\u0305]?", visible(text.replace("\n", "; ")))
    return "".join(map(_sign, parts))


def _sign(c: str) -> str:
    if len(c) == 2:
        return rf"$\bar{{{_TEX.get(c[0], latex_name(c[0])).strip('$')}}}$"
    known = _TEX.get(c)
    if known is not None:
        return known
    return c if c.isascii() else f"${latex_name(c)}$"
