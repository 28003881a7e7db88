r"""A report as a table: for terminals, as plain text, Markdown, LaTeX and HTML.

Names come from users, so each writer escapes what has a meaning in its language.
"""

from __future__ import annotations

import html
import io
import os
import re
import shutil
import sys
from typing import TYPE_CHECKING, Any

from graphgrad.errors import MissingDependencyError
from graphgrad.explain.names import visible
from graphgrad.proof.partials import CHECKED, PROVED, UNDECIDED, WRONG
from graphgrad.proof.report import MARKS, Report, Row

if TYPE_CHECKING:
    from rich.console import Group

__all__ = ["html_table", "latex_table", "markdown_table", "plain", "rich_table", "terminal"]

COLORS = {PROVED: "green", CHECKED: "cyan", UNDECIDED: "yellow", WRONG: "bold red"}
HEADS = ("derivative", "SymPy", "rule book", "holds", "result")
WIDTH = 100
"""Columns of a table as plain text."""


def _cells(row: Row) -> tuple[str, str, str, str, str]:
    head = f"{row.where}\n{row.of}" if row.of else row.where
    tail = [row.verdict, row.counterexample, row.note]
    found = (head, row.formula, row.rule, row.domain, "\n".join(t for t in tail if t))
    return tuple(visible_lines(cell) for cell in found)  # type: ignore[return-value]


def visible_lines(text: str) -> str:
    """Return text with control characters as escapes, line ends kept."""
    return "\n".join(visible(line) for line in text.split("\n"))


# -- terminals -------------------------------------------------------------------------------------


def rich_table(report: Report) -> Group:
    """Return the report for rich: a title, a table, a summary.

    Raises:
        MissingDependencyError: when rich is not installed.
    """
    try:
        from rich import box
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text
    except ImportError:
        raise MissingDependencyError("tables need the library rich: pip install rich") from None
    table = Table(box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False, show_edge=False)
    table.add_column("")
    for head, ratio in zip(HEADS, (3, 3, 3, 3, 4), strict=True):
        table.add_column(head, ratio=ratio, overflow="fold", vertical="top")
    for row in report.grouped():
        color = COLORS[row.status]
        mark = Text(MARKS[row.status], style=color)
        table.add_row(mark, *map(Text, _cells(row)[:-1]), _result(row), end_section=False)
    color = "bold red" if not report.ok else "green" if report.complete else "yellow"
    parts: list[Any] = [Text(visible(report.title), style="bold"), table]
    parts += [Text(visible(note), style="dim") for note in report.notes]
    return Group(*parts, Text(report.summary, style=color))


def _result(row: Row) -> Any:
    from rich.text import Text

    text = Text(row.status, style=COLORS[row.status])
    text.append(_cells(row)[-1].removeprefix(row.status), style="default")
    return text


def plain(report: Report, width: int = WIDTH) -> str:
    """Return the report as text of at most `width` columns, without colours."""
    return _printed(report, width, color=False)


def terminal(report: Report) -> str:
    """Return the report as this process's terminal shows it: its width, colours, characters."""
    out = sys.stdout
    tty = out.isatty()
    wide = shutil.get_terminal_size().columns if tty or "COLUMNS" in os.environ else WIDTH
    text = _printed(report, wide, color=tty and "NO_COLOR" not in os.environ)
    encoding = out.encoding or "ascii"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _printed(report: Report, width: int, color: bool) -> str:
    from rich.console import Console

    out = io.StringIO()
    console = Console(
        file=out, width=width, force_terminal=color, no_color=not color, highlight=False,
        legacy_windows=False, color_system="standard" if color else None,
    )  # fmt: skip
    console.print(rich_table(report))
    return "\n".join(line.rstrip() for line in out.getvalue().split("\n")).strip("\n")


# -- documents -------------------------------------------------------------------------------------


def markdown_table(report: Report) -> str:
    """Return the report as a Markdown table."""
    lines = [f"**{_md(report.title)}**", "", f"| | {' | '.join(HEADS)} |", "|---" * 6 + "|"]
    for row in report.grouped():
        cells = [MARKS[row.status], *(_md(cell) for cell in _cells(row))]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *(_md(note) for note in report.notes), _md(report.summary)]
    return "\n".join(lines)


def _md(text: str) -> str:
    escaped = re.sub(r"([\\`*_{}\[\]<>|#~$])", r"\\\1", html.escape(text, quote=False))
    return escaped.replace("\n", "<br>")


def html_table(report: Report) -> str:
    """Return the report as an HTML table; every name is escaped."""
    style = "text-align:left;vertical-align:top;white-space:pre-line"
    heads = "".join(f'<th style="{style}">{h}</th>' for h in ("", *HEADS))
    body = []
    for row in report.grouped():
        cells = [MARKS[row.status], *_cells(row)]
        tds = "".join(f'<td style="{style}">{html.escape(cell)}</td>' for cell in cells)
        body.append(f'<tr class="gg-{row.status.replace(" ", "-").lower()}">{tds}</tr>')
    notes = "".join(f"<p>{html.escape(visible(note))}</p>" for note in report.notes)
    return (
        f'<div class="gg-report"><p><b>{html.escape(visible(report.title))}</b></p>'
        f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(body)}</tbody></table>"
        f"{notes}<p><b>{html.escape(report.summary)}</b></p></div>"
    )


def latex_table(report: Report) -> str:
    r"""Return the report as a ``longtable``; needs the packages longtable and amsmath."""
    lines = [
        r"\begin{longtable}{llllp{5cm}}",
        r"derivative & SymPy & rule book & holds & result \\ \hline",
    ]
    for row in report.grouped():
        cells = [_tex_cell(row, k) for k in ("where", "formula", "rule", "domain")]
        tail = [row.verdict, row.counterexample, row.note]
        cells.append(_tex("; ".join(t for t in tail if t)))
        lines.append(" & ".join(cells) + r" \\")
    lines.append(rf"\multicolumn{{5}}{{l}}{{{_tex(report.summary)}}} \\")
    return "\n".join([*lines, r"\end{longtable}"])


def _tex_cell(row: Row, key: str) -> str:
    given = row.tex.get(key)
    return f"${given}$" if given else _tex(getattr(row, key))


_TEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "%": r"\%", "&": r"\&",
    "#": r"\#", "_": r"\_", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "∂": r"$\partial$", "−": "$-$", "·": r"$\cdot$", "≠": r"$\ne$", "√": r"$\surd$",
    "π": r"$\pi$", "′": "$'$", "Σ": r"$\Sigma$", "ᵀ": r"$^{\top}$", "≥": r"$\ge$",
    "≤": r"$\le$", "×": r"$\times$", "⌊": r"$\lfloor$", "⌋": r"$\rfloor$", "<": "$<$",
    ">": "$>$", "|": r"$|$", "∞": r"$\infty$", "…": r"\ldots{}",
    **{c: f"$_{d}$" for d, c in enumerate("₀₁₂₃₄₅₆₇₈₉")},
    **{c: f"$^{d}$" for d, c in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
}  # fmt: skip


def _tex(text: str) -> str:
    return "".join(_TEX.get(c, c) for c in visible(text.replace("\n", "; ")))
