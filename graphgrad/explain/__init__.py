"""Explanations of a recorded run: names, numbers and formulas, shared by all displays."""
