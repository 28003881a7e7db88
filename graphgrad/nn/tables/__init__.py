"""CSV files as arrays to train with: columns typed, numbers scaled, categories one-hot."""

from __future__ import annotations

from graphgrad.nn.tables.loading import Table, read_csv
from graphgrad.nn.tables.recipe import Recipe

__all__ = ["Recipe", "Table", "read_csv"]
