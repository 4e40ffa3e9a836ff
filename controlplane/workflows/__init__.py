"""Long work that waits, and work that is spread over machines.

`port` is all that workflow code knows; `dbos_engine` runs it on DBOS, with what `database` and `lease` need
to make that safe. The one workflow there is: `reconcile`, which `dispatch` queues once for each facility.
"""
