"""Every public name has a docstring, every function an example, and every example runs."""

import doctest
import inspect

import pytest

import graphgrad as gg
from graphgrad.primitive import TABLE

MODULES = {"errors", "functions", "gradient", "nn", "ops", "plots", "PRIMITIVES"}
PUBLIC = sorted({*gg.__all__} - MODULES)
OPTIONS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


@pytest.mark.parametrize("name", PUBLIC)
def test_public_names_have_docstrings_with_examples(name):
    thing = getattr(gg, name)
    doc = inspect.getdoc(thing)
    assert doc
    if not inspect.isclass(thing):
        assert ">>> " in doc, f"{name} has no example"


@pytest.mark.parametrize("name", TABLE)
def test_examples_of_primitives_run(name):
    doc = TABLE[name].__doc__
    assert ">>> " in doc
    test = doctest.DocTestParser().get_doctest(doc, {}, name, None, None)
    report = []
    runner = doctest.DocTestRunner(optionflags=OPTIONS)
    runner.run(test, out=report.append)
    assert not report, "".join(report)


@pytest.mark.parametrize("name", TABLE)
def test_conventions_are_told_to_the_reader(name):
    p = TABLE[name]
    assert p.convention in p.__doc__
