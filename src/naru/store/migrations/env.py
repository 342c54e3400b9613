"""Alembic runs this in the child process that `naru.store.migrate` starts; the connection is handed over."""

from importlib import import_module
from typing import Any

from alembic import context

connection: Any = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=import_module("naru.store.tables").metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
