import numpy as np
import pytest

pytestmark = pytest.mark.slow

# Tracing takes most of the time; this policy is traced in a fraction of it.
CONFIG = """
from experiments.configs import digits_small

def get_config():
    config = digits_small.get_config()
    config.augmentation = config.linear.augmentation
    return config
"""


@pytest.mark.parametrize(("workers", "victim"), [(1, 0), (2, 1)])
def test_a_killed_training_ends_like_an_uninterrupted_one(
    load_script, monkeypatch, tmp_path, workers, victim
):
    """The weights are bitwise equal, and the metrics of every epoch agree."""
    resume = load_script("benchmarks.resume")
    config = tmp_path / "config.py"
    config.write_text(CONFIG)
    recipe = (f"--config={config}", *resume._RECIPE[1:], "--config.epochs=3")
    monkeypatch.setattr(resume, "_RECIPE", recipe)
    resume.finish(resume.start(tmp_path / "uninterrupted", workers))
    output_dir = tmp_path / "killed"
    resume.kill(resume.start(output_dir, workers), victim, epochs=1, seconds=0.05)
    assert not (output_dir / "encoder.keras").exists()
    assert list(output_dir.glob("checkpoints/*.index"))
    output = resume.finish(resume.start(output_dir, workers))
    assert "resuming at step" in output
    assert resume.weights(output_dir) == resume.weights(tmp_path / "uninterrupted")
    expected = resume.log(tmp_path / "uninterrupted")
    assert len(expected) == 3
    np.testing.assert_allclose(resume.log(output_dir), expected, rtol=1e-4)
