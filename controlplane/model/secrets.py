"""Secrets by reference: read when used, never shown."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from controlplane.errors import BicError


class SecretError(BicError):
    """A secret that cannot be read from where the inventory says it is."""


@dataclass(frozen=True)
class Secret:
    """Where a secret is. Only `reveal` reads it, and neither repr nor comparison ever holds its value."""

    kind: Literal["file", "env"]
    where: str

    @classmethod
    def from_file(cls, path: str) -> "Secret":
        """A secret that is the text of a file, without line ends at its end."""
        return cls("file", path)

    @classmethod
    def from_environment(cls, variable: str) -> "Secret":
        """A secret that is the value of an environment variable."""
        return cls("env", variable)

    def reveal(self) -> str:
        """The secret's value.

        Raises SecretError when the file or variable is missing, unreadable or empty.
        """
        if self.kind == "env":
            value = os.environ.get(self.where, "")
            if not value:
                raise SecretError(f"the environment variable {self.where}, which holds a secret, is not set")
            return value
        try:
            value = Path(self.where).read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SecretError(f"the secret file {self.where} cannot be read: {reason}") from error
        if not value:
            raise SecretError(f"the secret file {self.where} is empty")
        return value
