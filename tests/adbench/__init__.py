"""ADBench's four objectives as graphgrad graphs, and in plain NumPy to compare with.

Šrajer, Kukelova and Fitzgibbon 2018, "A benchmark of selected algorithmic differentiation tools
on some problems in computer vision and machine learning", Optimization Methods and Software 33;
https://github.com/microsoft/ADBench.
"""
