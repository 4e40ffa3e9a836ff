"""The arguments of administration requests, as they may be shown."""

from .wire import Message, Node


def arguments(message: Message) -> list[str]:
    """Return an administration request's ten arguments."""
    node = Node.parse(message.body)
    return [node.get(f"arg{number}") for number in range(10)]


def without_secrets(words: list[str]) -> list[str]:
    """Return the arguments, up to the last that is not empty, with what may hold a password replaced."""
    shown = list(words)
    if shown[:2] == ["modify", "user"] and shown[3] == "password":
        shown[4] = "***"
    if shown[:1] == ["userpw"]:
        shown[3] = "***"
    if shown[:1] == ["mkuser"] and shown[2]:
        shown[2] = "***"
    while shown and not shown[-1]:
        shown.pop()
    return shown
