import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).parents[2]
SCRIPTS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in ROOT.glob("experiments/**/*.py")
    if "run(main)" in path.read_text()
)


@pytest.mark.slow
@pytest.mark.parametrize("script", SCRIPTS)
def test_help_imports_nothing_heavy(script):
    code = (
        f"import sys, runpy; sys.argv = [{script!r}, '--help']\n"
        f"try: runpy.run_module({script!r}, run_name='__main__', alter_sys=True)\n"
        "finally: print('heavy:', sorted({'tensorflow', 'keras', 'sklearn', 'matplotlib', "
        "'tensorflow_datasets', 'torch', 'jax'} & set(sys.modules)))"
    )
    process = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert "flags:" in process.stdout, process.stderr
    assert "heavy: []" in process.stdout
