"""The commands that the program has, found as its users find them."""

from __future__ import annotations

import click


def command_of(group: click.Command, *words: str) -> click.Command:
    """Return the command that `words` call, from `group` down."""
    command = group
    for word in words:
        assert isinstance(command, click.Group), word
        found = command.get_command(click.Context(command), word)
        assert found is not None, word
        command = found
    return command


def verbs(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Return the words of every command under `group`, those of `sites` included."""
    found: list[tuple[str, ...]] = []
    for name in group.list_commands(click.Context(group)):
        command = command_of(group, name)
        here = (*path, name)
        found += verbs(command, here) if isinstance(command, click.Group) else [here]
    return found
