"""`bic rules`: the rule bases, which are policy as code for the rule engines of iRODS."""

from __future__ import annotations

import typer

from controlplane.cli import rules_jobs, rules_lint, rules_rollout, rules_test

app = typer.Typer(no_args_is_help=True)
app.add_typer(rules_lint.app)
app.add_typer(rules_rollout.app)
app.command("test")(rules_test.run)
app.command("jobs")(rules_jobs.run)


@app.callback()
def rules() -> None:
    """Check, test and roll out the rule bases."""
