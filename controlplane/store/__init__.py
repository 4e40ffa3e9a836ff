"""The control plane's database: the journal of runs, locks, and the results of comparisons.

It holds no desired and no observed state: losing it loses the history, and nothing else.
"""

from controlplane.store.database import Store, open_store
from controlplane.store.errors import StoreError

__all__ = ["Store", "StoreError", "open_store"]
