"""Fixtures that several files of tests use."""

import pytest
from hypothesis import settings

settings.register_profile("graphgrad", deadline=None)  # a busy machine is no failure
settings.load_profile("graphgrad")


@pytest.fixture(scope="module")
def own_cache(tmp_path_factory):
    """Keep compiled code in a folder of its own while a file of tests runs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GRAPHGRAD_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
