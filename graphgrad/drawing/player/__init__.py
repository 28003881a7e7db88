"""The player: one HTML file that steps through both passes of a graph, offline."""
