"""Errors that a person can act on.

The command line turns a `BicError` into its message on standard error and its exit code; everything
else that escapes is a defect.
"""

EXIT_FAILURE = 1
"""Something was tried and failed."""

EXIT_BAD_INPUT = 2
"""What was given is wrong; nothing was tried."""

EXIT_INTERRUPTED = 130
"""What shells say of a command that Ctrl-C ended."""


class BicError(Exception):
    """An expected failure, whose text is written for the person at the terminal."""

    exit_code = EXIT_FAILURE


class BadInputError(BicError):
    """An argument, file or variable that the person has to correct first."""

    exit_code = EXIT_BAD_INPUT
