"""The grid configuration: settings of the whole zone in its catalogue."""

from .catalogue import Transaction
from .errors import Code, IrodsError

DELAY_SERVER = "delay_server"
"""The namespace of who runs the delay server (`leader`), and who is to take it over (`successor`)."""


def stored(tx: Transaction, name_space: str, option: str) -> str:
    """Return a value. Raises -808000 for an option that is not there."""
    value = tx.value(
        "select option_value from r_grid_configuration where namespace = ? and option_name = ?",
        (name_space, option),
    )
    if value is None:
        raise IrodsError(Code.CAT_NO_ROWS_FOUND)
    return str(value)


def store(tx: Transaction, name_space: str, option: str, value: str) -> None:
    """Replace the value of an option. Raises -808000 for one that is not there."""
    stored(tx, name_space, option)
    tx.execute(
        "update r_grid_configuration set option_value = ? where namespace = ? and option_name = ?",
        (value, name_space, option),
    )
