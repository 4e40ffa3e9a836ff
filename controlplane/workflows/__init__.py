"""Long work that waits, and work that is spread over machines.

`port` is all that workflow code knows; `engine` runs it on DBOS, with what `database` and `lease` need to
make that safe. `reconcile` is the one workflow there is: a facility brought to what the inventory wants.
"""
