import pytest

from supcon_tf._requirements import require_keras


@pytest.mark.parametrize("version", ["3.10.0", "3.15.1", "4.0.0rc1"])
def test_what_is_enough(version):
    require_keras(version, "tensorflow")


@pytest.mark.parametrize("version", ["2.15.0", "3.9.2"])
def test_keras_is_too_old(version):
    with pytest.raises(ImportError, match=f"needs Keras 3.10 or newer.*Received: Keras {version}"):
        require_keras(version, "tensorflow")


def test_another_backend_is_refused():
    with pytest.raises(ImportError, match="KERAS_BACKEND=tensorflow.*Received: backend 'jax'"):
        require_keras("3.15.1", "jax")
