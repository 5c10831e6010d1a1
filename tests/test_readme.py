"""What README.md says is true."""

import re
from importlib.metadata import entry_points
from pathlib import Path

from acquisition.cli.main import COMMANDS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()


def test_the_program_runs(capsys):
    """The example, under virtual time."""
    (program,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert "asyncio.run(main())" in program
    program = program.replace("asyncio.run(main())", "virtual_time.run(main())")
    exec(compile("from acquisition import virtual_time\n" + program, "README.md", "exec"), {})
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 5
    assert all("PixelOffsets(dx=" in line and line.endswith("stars") for line in lines)


def test_every_command_it_names_exists_and_every_command_is_named():
    named = set(re.findall(r"`starlatch (\w+)", README))
    assert named == {*COMMANDS, *(point.name for point in entry_points(group="starlatch.commands"))}


def test_every_page_it_links_exists():
    for page in re.findall(r"\]\(([\w./]+)\)", README):
        assert (ROOT / page).exists(), page
