"""The command ``starlatch``; one file a command, imported only when it is used."""
