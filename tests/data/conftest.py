import pytest

from supcon_tf.data import listing


@pytest.fixture
def listed(monkeypatch):
    """The directories that were listed, and not taken from an earlier listing."""
    paths = []
    list_directory = listing.list_directory

    def spy(path):
        paths.append(path)
        return list_directory(path)

    monkeypatch.setattr(listing, "list_directory", spy)
    return paths
