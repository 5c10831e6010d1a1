"""``python -m acquisition.cli``: the same as ``starlatch``."""

from acquisition.cli.main import main

main()
