"""Explanations of a recorded run: formulas, the path ledger, nan certificates, mistakes, quizzes.

Everything here reads the tape. `steps.Wording` has the names, numbers and formulas that all
displays share; `ledger`, `nonfinite`, `mistakes` and `quiz` hold what one can ask for.
"""
