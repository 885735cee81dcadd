import os

import pytest

from supcon_tf.commands import command_line, report_command


def test_a_closed_pipe_ends_a_command_quietly(monkeypatch, capsys, tmp_path):
    """As in `python -m supcon_tf predict ... | head`."""

    def fail(arguments):
        raise BrokenPipeError(32, "Broken pipe")

    redirected = []
    monkeypatch.setattr(report_command, "run", fail)
    monkeypatch.setattr(command_line, "_import_tensorflow", lambda: None)
    monkeypatch.setattr(os, "dup2", lambda source, target: redirected.append(target))
    with pytest.raises(SystemExit) as end:
        command_line.main(["report", str(tmp_path)])
    assert end.value.code == 1
    assert redirected == [1]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["train", "photos", "--output-dir=x"],
            "--output-dir=x. Did you mean `train ... --output_dir",
        ),
        (["train", "photos", "--unlabeled=x"], "Did you mean `train ... --unlabelled`?"),
        (["--epochs=3", "train", "photos"], "Did you mean `train ... --epochs`?"),
        (["predict", "run", "a.png", "-q"], "predict: error: unrecognized arguments: -q\n"),
        (["train", "photos", "--seed=-1"], "must be an integer from 0 to 4294967295. Received: -1"),
        (["train", "photos", "--seed=4294967296"], "must be an integer from 0 to 4294967295"),
        (["train", "photos", "--seed=a"], "must be an integer from 0 to 4294967295. Received: a"),
    ],
)
def test_mistakes_in_options(capsys, arguments, message):
    with pytest.raises(SystemExit) as end:
        command_line.main(arguments)
    assert end.value.code == 2
    assert message in capsys.readouterr().err
