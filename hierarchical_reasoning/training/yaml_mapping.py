"""A YAML file of settings as it stands, before its keys mean anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from hierarchical_reasoning.errors import ConfigError
from hierarchical_reasoning.wording import kind_of


def read_mapping(path: Path) -> Mapping[Any, Any]:
    """What the file of ``--config`` maps; nothing where it is empty.

    Raises:
        ConfigError: the file cannot be read, is not YAML, maps nothing, or has a key twice.
    """
    try:
        found = yaml.load(path.read_text(encoding="utf-8"), Loader=_OnceALoader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise ConfigError(f"--config {path} cannot be read ({error.strerror}); give a YAML file") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError(f"--config {path} is not YAML: {' '.join(str(error).split())}") from error
    if found is None:
        return {}
    if not isinstance(found, Mapping):
        raise ConfigError(f"--config {path}: is {kind_of(found)}, expected keys and values")
    return found


class _OnceALoader(yaml.SafeLoader):
    """YAML's own loader takes the last of several equal keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    raise yaml.MarkedYAMLError(
                        None, None, f"the key {key.value!r} stands there twice", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep=deep)
