"""`python -m controlplane` is `bic`."""

from controlplane.cli.main import main

main()
