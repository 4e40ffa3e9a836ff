"""The command `bic`. Commands import their work when they run, so that `bic --help` answers at once."""
