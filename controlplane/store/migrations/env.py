"""How Alembic runs the migrations: on the connection that `store.database` gives it."""

from alembic import context

from controlplane.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"], target_metadata=Base.metadata, render_as_batch=True
)
context.run_migrations()
