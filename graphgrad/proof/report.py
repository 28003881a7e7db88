"""The report of a verification, as text, Markdown, HTML, LaTeX and JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from graphgrad.proof.documents import html_table, latex_table, markdown_table
from graphgrad.proof.findings import Findings
from graphgrad.proof.tables import plain, rich_table

__all__ = ["Report"]


@dataclass(frozen=True, repr=False)
class Report(Findings):
    """The findings of a verification, to be read.

    It prints as a table, and shows itself as HTML in notebooks; `text`, `markdown`, `html`,
    `latex` and `json` return it for other places.

    Example:
        >>> import graphgrad as gg
        >>> report = gg.verify(gg.tanh(gg.var("x", 0.5)))
        >>> report.ok, report.complete, [row.status for row in report.rows]
        (True, True, ['proved', 'proved', 'checked'])
        >>> report.rows[0].formula, report.rows[0].rule
        ('1 − tanh(x)²', '1 − v₁²')
    """

    def __str__(self) -> str:
        return self.text()

    def __repr__(self) -> str:
        return self.text()

    def __rich_console__(self, console: Any, options: Any) -> Iterator[Any]:
        yield rich_table(self, options.max_width)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self.html()}

    def text(self, width: int | None = None) -> str:
        """Return the report as a table of at most `width` columns, by default the terminal's.

        Without a terminal it is 100 columns wide.
        """
        return plain(self, width)

    def html(self) -> str:
        """Return the report as an HTML table, its formulas in MathML; names are escaped."""
        return html_table(self)

    def latex(self) -> str:
        r"""Return the report as a LaTeX ``longtable``; formulas are set as mathematics.

        The document needs the packages longtable, array and amsmath.
        """
        return latex_table(self)

    def markdown(self) -> str:
        """Return the report as a Markdown table; names are escaped."""
        return markdown_table(self)

    def json(self) -> str:
        """Return the report as JSON: title, ok, complete, counts, seconds, rows.

        Example:
            >>> import graphgrad as gg, json
            >>> json.loads(gg.verify(gg.var("x", 2.0) ** 2).json())["ok"]
            True
        """
        rows = [
            {k: v for k, v in row.__dict__.items() if k not in ("tex", "group")}
            for row in self.rows
        ]
        head = {
            "title": self.title, "ok": self.ok, "complete": self.complete, "counts": self.counts,
            "seconds": self.seconds, "budget": self.budget, "notes": list(self.notes),
        }  # fmt: skip
        return json.dumps({**head, "rows": rows}, ensure_ascii=False, indent=1, default=str)
