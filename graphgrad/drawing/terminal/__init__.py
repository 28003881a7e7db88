"""The parts of the terminal drawing; ``graphgrad.drawing.unicode`` puts them together."""
