"""Stepping through a recorded run: a pure session (command in, text out), and a shell around it."""
