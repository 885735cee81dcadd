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
