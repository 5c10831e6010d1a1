"""A pipeline as a TOML file.

In: tables ``[[pipeline]]``, each with the ``class`` of a processor and its parameters. Out: a `Pipeline`, or
`ConfigError` that names the step, the key, and what is allowed.
"""

from __future__ import annotations

import inspect
import pkgutil
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from acquisition.errors import ConfigError

from . import processors
from .processor import ImageProcessor, Pipeline


@cache
def built_in() -> dict[str, type[ImageProcessor]]:
    """The processors of this package by their short names, in alphabetical order."""
    found = {}
    for package in pkgutil.iter_modules(processors.__path__):
        if package.ispkg:
            module = import_module(f"{processors.__name__}.{package.name}")
            for name in module.__all__:
                candidate = getattr(module, name)
                if isinstance(candidate, type) and issubclass(candidate, ImageProcessor):
                    found[name] = candidate
    return {name: found[name] for name in sorted(found) if not inspect.isabstract(found[name])}


def load_pipeline(path: str | Path) -> Pipeline:
    """Read a pipeline.

    Raises
    ------
    ConfigError
        If the file cannot be read, is no TOML, or describes no pipeline.
    """
    try:
        with open(path, "rb") as file:
            content = tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {error}") from error
    try:
        return pipeline_of(content)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def pipeline_of(content: Mapping[str, Any]) -> Pipeline:
    """The pipeline that the content of such a file describes.

    Raises
    ------
    ConfigError
        If it describes none.
    """
    steps = content.get("pipeline")
    is_list = isinstance(steps, list) and all(isinstance(step, dict) for step in steps)
    if not is_list or not steps or set(content) != {"pipeline"}:
        keys = ", ".join(content) or "nothing"
        raise ConfigError(f"file has {keys}; need tables [[pipeline]], one for each step, and nothing else")
    return Pipeline([_step(number, step) for number, step in enumerate(steps, start=1)])


def _step(number: int, table: Mapping[str, Any]) -> ImageProcessor:
    name = table.get("class")
    if not isinstance(name, str):
        raise ConfigError(f"step {number} has class {name!r}; need a processor's name")
    kind = _class_of(f"step {number}", name)
    where = f"step {number} ({name})"
    arguments = {key: value for key, value in table.items() if key != "class"}
    allowed, required = _parameters(kind)
    unknown = sorted(set(arguments) - set(allowed))
    if unknown:
        raise ConfigError(f"{where} has {', '.join(unknown)}; allowed: {', '.join(allowed)}")
    missing = [key for key in required if key not in arguments]
    if missing:
        raise ConfigError(f"{where} lacks {', '.join(missing)}")
    try:
        return kind(**arguments)
    except (ValueError, TypeError, AttributeError, LookupError, OSError) as error:
        raise ConfigError(f"{where}: {error}") from error


def _class_of(where: str, name: str) -> type[ImageProcessor]:
    module_name, _, class_name = name.rpartition(".")
    if not module_name:
        known = built_in()
        if name not in known:
            raise ConfigError(f"{where} has class {name!r}; there are: {', '.join(known)}")
        return known[name]
    try:
        kind = getattr(import_module(module_name), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{where} has class {name!r}, which cannot be imported: {error}") from error
    if not (isinstance(kind, type) and issubclass(kind, ImageProcessor)) or inspect.isabstract(kind):
        raise ConfigError(f"{where} has class {name!r}, which is not an ImageProcessor that can be used")
    return kind


def _parameters(kind: type[ImageProcessor]) -> tuple[list[str], list[str]]:
    """Names of all parameters, those that a constructor passes on to its parents included; and of those required."""
    allowed: list[str] = []
    required: list[str] = []
    for parent in kind.__mro__:
        if "__init__" not in vars(parent):
            continue
        passes_on = False
        for parameter in list(inspect.signature(vars(parent)["__init__"]).parameters.values())[1:]:
            if parameter.kind is parameter.VAR_KEYWORD:
                passes_on = True
            elif parameter.kind is not parameter.VAR_POSITIONAL and parameter.name not in allowed:
                allowed.append(parameter.name)
                if parameter.default is parameter.empty:
                    required.append(parameter.name)
        if not passes_on:
            break
    return allowed, required
