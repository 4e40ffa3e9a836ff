"""What is said of errors, and what of the engine's own messages reaches the log."""

import logging

from sqlalchemy.exc import SQLAlchemyError

from controlplane.errors import BicError


def reason(error: Exception) -> str:
    """An exception in one line; of one that is not ours, also its kind."""
    if isinstance(error, SQLAlchemyError):
        # Without the statement and its values.
        error = getattr(error, "orig", None) or error
    said = " ".join(str(error).split())
    return said if isinstance(error, BicError) else f"{type(error).__name__}: {said}"


class _OneLine(logging.Filter):
    """Keeps DBOS's own warnings to one line each; tracebacks are for those who ask."""

    def filter(self, record: logging.LogRecord) -> bool:
        said = record.getMessage()
        if said.startswith("Exception encountered in background workflow"):
            # `DbosWorker` has said which one.
            return False
        if record.exc_info and isinstance(error := record.exc_info[1], Exception):
            said += f" {reason(error)}"
        record.msg, record.args, record.exc_info = " ".join(said.split()), (), None
        return True


def quiet() -> None:
    """Let DBOS log its warnings through ours, and nothing else."""
    logger = logging.getLogger("dbos")
    logger.setLevel(logging.WARNING)
    if not logger.handlers:
        # DBOS writes to the terminal by itself where it finds no handler.
        logger.addHandler(logging.NullHandler())
        logger.addFilter(_OneLine())
