import numpy as np
import pytest

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("workers", "victim"), [(1, 0), (2, 1)])
def test_a_killed_training_ends_as_one_that_was_not(load_script, tmp_path, workers, victim):
    """Weights bitwise, and the means of every epoch, also of the one it was killed in."""
    resume = load_script("benchmarks.resume")
    resume.finish(resume.start(tmp_path / "undisturbed", workers))
    output_dir = tmp_path / "killed"
    resume.kill(resume.start(output_dir, workers), victim, epochs=3, seconds=0.05)
    assert not (output_dir / "encoder.keras").exists()
    assert list(output_dir.glob("checkpoints/*.index"))
    output = resume.finish(resume.start(output_dir, workers))
    assert "going on at step" in output
    assert resume.weights(output_dir) == resume.weights(tmp_path / "undisturbed")
    expected = resume.log(tmp_path / "undisturbed")
    assert len(expected) == 6
    np.testing.assert_allclose(resume.log(output_dir), expected, rtol=1e-4)
