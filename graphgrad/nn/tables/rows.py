"""The records of a CSV file, some thousand at a time, and what is wrong with the file, by place.

What one can do: open a file with `Rows`, look at its `header`, and go through its `chunks`. A
fault is a `TableError` that names file, line and column.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any

from graphgrad.errors import TableError

__all__ = ["Chunk", "Rows"]

SIZE = 2000
LARGEST = 1e100
"""Larger numbers are refused: their squares, of which the scaling is made, would overflow."""
DELIMITERS = {";": "a semicolon", "\t": "a tab", "|": "a bar", ",": "a comma"}


class Chunk:
    """Some records that follow each other.

    Attributes:
        rows: the records, lists of as many texts as the header has.
    """

    def __init__(self, first: int, raw: list[list[str]]) -> None:
        self._first, self._raw = first, raw
        self.rows = [r for r in raw if r]

    def line(self, k: int) -> int:
        """Return the line of the file, from 1, on which record `k` begins."""
        line = self._first
        for record in self._raw:
            if record is self.rows[k]:
                break
            line += _lines(record)
        return line

    @property
    def end(self) -> int:
        """The line after the last record's."""
        return self._first + sum(map(_lines, self._raw))


class Rows:
    """A CSV file with a header line, in UTF-8.

    Args:
        path: of the file.
        delimiter: between fields.

    Raises:
        TableError: when the header is not one.

    Example:
        >>> import pathlib, tempfile
        >>> file = pathlib.Path(tempfile.mkdtemp(), "small.csv")
        >>> _ = file.write_text("height,weight\\n1.8,80\\n1.6,62\\n")
        >>> rows = Rows(file)
        >>> rows.header, [chunk.rows for chunk in rows.chunks()]
        (['height', 'weight'], [[['1.8', '80'], ['1.6', '62']]])
    """

    def __init__(self, path: str | Path, delimiter: str = ",") -> None:
        if len(delimiter) != 1:
            raise TableError(f"delimiter {delimiter!r}: expected one character, such as , or ;")
        self.path, self.delimiter = Path(path), delimiter
        first = next(self._chunks(1), None)
        if first is None:
            raise TableError(f"{path} is empty; expected a line with the names of the columns")
        self.header = [name.strip() for name in first.rows[0]]
        self._check_header(first.line(0))

    def chunks(self, size: int = SIZE) -> Iterator[Chunk]:
        """Give the records after the header, blank lines left out.

        Raises:
            TableError: when a record has too few or too many fields, or cannot be read.
        """
        width = {len(self.header)}
        found = self._chunks(size)
        for number, chunk in enumerate(found):
            if number == 0:
                chunk = _without_header(chunk)
            if not set(map(len, chunk.rows)) <= width:
                self._ragged(chunk)
            if chunk.rows:
                yield chunk

    def place(self, name: str, what: str = "column") -> int:
        """Return the position of a column, from 0.

        Raises:
            TableError: when there is none of this name; with the nearest name there is.
        """
        if name in self.header:
            return self.header.index(name)
        near = get_close_matches(name, self.header, 1, 0.5)
        lower = [n for n in self.header if n.lower() == name.lower()]
        hint = f"did you mean {(lower or near)[0]!r}? " if lower or near else ""
        known = ", ".join(map(repr, self.header[:20])) + (", …" if len(self.header) > 20 else "")
        raise TableError(f"{self.path}: there is no {what} {name!r}; {hint}The columns: {known}")

    def column(self, place: int) -> str:
        """Return a column in words, counted from 1."""
        return f"column {place + 1} ({shown(self.header[place])})"

    def where(self, line: int, place: int) -> str:
        """Return a place in words: the file, the line from 1, the column counted from 1."""
        return f"{self.path}, line {line}, {self.column(place)}"

    def _chunks(self, size: int) -> Iterator[Chunk]:
        with open(self.path, encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=self.delimiter, strict=True)
            line = 1
            while True:
                raw: list[list[str]] = []
                try:
                    for record in islice(reader, size):
                        raw.append(record)
                except UnicodeDecodeError:
                    raise TableError(_undecodable(self.path)) from None
                except csv.Error as fault:
                    raise TableError(self._broken(Chunk(line, raw).end, str(fault))) from None
                if not raw:
                    return
                chunk = Chunk(line, raw)
                line = reader.line_num + 1
                if chunk.rows:
                    yield chunk

    def _check_header(self, line: int) -> None:
        header, place = self.header, f"{self.path}, line {line}"
        for k, name in enumerate(header):
            if not name:
                raise TableError(f"{place}, column {k + 1}: the column has no name; give it one")
            if name in header[:k]:
                first = header.index(name) + 1
                raise TableError(
                    f"{place}: columns {first} and {k + 1} are both named {name!r}; rename one"
                )
        if all(is_number(name) for name in header):
            raise TableError(
                f"{place}: expected the names of the columns, got numbers: "
                f"{shown(self.delimiter.join(header[:3]))}…; put a line with names before them"
            )
        for other, words in DELIMITERS.items():
            if len(header) == 1 and other in header[0]:
                raise TableError(
                    f"{place}: one column, {header[0][:60]!r}; is it {words} that stands between "
                    f"fields? Then the delimiter is {other!r}"
                )

    def _ragged(self, chunk: Chunk) -> None:
        width = len(self.header)
        k = next(k for k, row in enumerate(chunk.rows) if len(row) != width)
        count, line = len(chunk.rows[k]), chunk.line(k)
        if count < width:
            where = f"{self.where(line, count)}: the record ends before it"
        else:
            where = f"{self.path}, line {line}, column {width + 1}: the record goes on"
        raise TableError(f"{where}; expected {width} fields as in the header, got {count}")

    def _broken(self, line: int, fault: str) -> str:
        place = f"{self.path}, line {line}"
        if "end of data" in fault:
            with open(self.path, encoding="utf-8-sig", newline="") as file:
                rest = islice(file, line - 1, None)
                column = len(next(csv.reader(rest, delimiter=self.delimiter), [""]))
            return f'{place}, column {column}: the quote " that opens here is never closed'
        if "field limit" in fault:
            limit = csv.field_size_limit()
            return f"{place}: a field longer than {limit} characters; is a quote not closed?"
        return f'{place}: {fault}; inside quotes, a quote is written twice: ""'


def shown(text: str) -> str:
    """Return text of a file as messages show it: not too long, control characters as escapes.

    Example:
        >>> shown("age"), shown("a\\x1b[2J"), len(shown("x" * 1000))
        ('age', 'a\\\\x1b[2J', 60)
    """
    short = text if len(text) <= 60 else f"{text[:59]}…"
    return short if short.isprintable() else repr(short)[1:-1]


def is_number(text: str) -> bool:
    """Return whether a text is a number as CSV files write it, and not beyond `LARGEST`.

    Example:
        >>> [is_number(t) for t in ("1.5", " -2e3 ", "inf", "1_000", "3,5", "")]
        [True, True, False, False, False, False]
    """
    try:
        return abs(float(text)) <= LARGEST and "_" not in text
    except ValueError:
        return False


def _lines(record: Sequence[str]) -> int:
    """Return how many lines of the file a record takes: line breaks may stand in quotes."""
    return 1 + sum(f.count("\n") + f.count("\r") - f.count("\r\n") for f in record)


def _without_header(chunk: Chunk) -> Chunk:
    start = chunk.line(0) + _lines(chunk.rows[0])
    raw = chunk._raw
    k = next(k for k, record in enumerate(raw) if record is chunk.rows[0])
    return Chunk(start, raw[k + 1 :])


def _undecodable(path: Path) -> str:
    """Say where a file stops being UTF-8."""
    with open(path, "rb") as file:
        for number, line in enumerate(file, 1):
            if number == 1 and line[:2] in (b"\xff\xfe", b"\xfe\xff"):
                return f"{path} is UTF-16 text; save it as UTF-8"
            if number == 1 and line[:2] == b"PK":
                return f"{path} is a workbook or another packed file; save the table as CSV"
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as fault:
                before: Any = line[: fault.start].decode("utf-8")
                return (
                    f"{path}, line {number}, character {len(before) + 1}: byte "
                    f"0x{line[fault.start]:02x} is not UTF-8; save the file as UTF-8"
                )
    return f"{path} is not UTF-8 text"
