"""Proofs: graphs as SymPy expressions and back, derivatives proved, numeric checks, reports."""
