"""Compiled graphs: simplify, fuse, plan memory, write source, run it."""
