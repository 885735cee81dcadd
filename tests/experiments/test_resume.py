import numpy as np
import pytest

pytestmark = pytest.mark.slow

# Most of the time goes before the first step: this policy takes a fraction of it to trace.
CONFIG = """
from experiments.configs import digits_small

def get_config():
    config = digits_small.get_config()
    config.augmentation = config.linear.augmentation
    return config
"""


@pytest.mark.parametrize(("workers", "victim"), [(1, 0), (2, 1)])
def test_a_killed_training_ends_as_one_that_was_not(
    load_script, monkeypatch, tmp_path, workers, victim
):
    """Weights bitwise, and the means of every epoch, also of the one it was killed in."""
    resume = load_script("benchmarks.resume")
    config = tmp_path / "config.py"
    config.write_text(CONFIG)
    recipe = (f"--config={config}", *resume._RECIPE[1:], "--config.epochs=3")
    monkeypatch.setattr(resume, "_RECIPE", recipe)
    resume.finish(resume.start(tmp_path / "undisturbed", workers))
    output_dir = tmp_path / "killed"
    resume.kill(resume.start(output_dir, workers), victim, epochs=1, seconds=0.05)
    assert not (output_dir / "encoder.keras").exists()
    assert list(output_dir.glob("checkpoints/*.index"))
    output = resume.finish(resume.start(output_dir, workers))
    assert "resuming at step" in output
    assert resume.weights(output_dir) == resume.weights(tmp_path / "undisturbed")
    expected = resume.log(tmp_path / "undisturbed")
    assert len(expected) == 3
    np.testing.assert_allclose(resume.log(output_dir), expected, rtol=1e-4)
