"""What pytest leaves aside: the examples in modules whose optional library is not installed."""

from importlib.util import find_spec

collect_ignore = [] if find_spec("anywidget") else ["graphgrad/stepping/frontend.py"]
collect_ignore_glob = [] if find_spec("matplotlib") else ["graphgrad/plots/*"]
