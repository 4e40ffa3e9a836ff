"""What each kind of stage asks, and what it makes of the answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ...store import Row
from ..outcomes import Answer, Denied, Outcome
from ..plan import Run
from . import accounts, authenticators, consent, identification, password, prompts, simple, user_write

Begin = Callable[[Run, Row], Outcome]
Take = Callable[[Run, Row, Answer], Outcome]


@dataclass(frozen=True)
class Stage:
    """How a kind of stage begins, and how it takes an answer (if it asks at all)."""

    begin: Begin
    take: Take | None = None


KINDS: Mapping[str, Stage] = {
    "authentik_stages_identification.identificationstage": Stage(identification.begin, identification.take),
    "authentik_stages_password.passwordstage": Stage(password.begin, password.take),
    "authentik_stages_authenticator_validate.authenticatorvalidatestage": Stage(
        authenticators.begin_validation, authenticators.take_validation
    ),
    "authentik_stages_authenticator_totp.authenticatortotpstage": Stage(
        authenticators.begin_totp, authenticators.take_totp
    ),
    "authentik_stages_authenticator_static.authenticatorstaticstage": Stage(
        authenticators.begin_static, authenticators.take_static
    ),
    "authentik_stages_prompt.promptstage": Stage(prompts.begin, prompts.take),
    "authentik_stages_user_write.userwritestage": Stage(user_write.begin),
    "authentik_stages_user_login.userloginstage": Stage(accounts.begin_login, accounts.take_login),
    "authentik_stages_user_logout.userlogoutstage": Stage(accounts.begin_logout),
    "authentik_stages_consent.consentstage": Stage(consent.begin, consent.take),
    "authentik_stages_deny.denystage": Stage(simple.begin_deny),
}


def of_kind(kind: str) -> Stage:
    """The stage of a kind; one that is not carried out here denies, and says so."""
    return KINDS.get(
        kind, Stage(lambda run, stage: Denied(f"Stages of kind {kind} are not carried out here."))
    )
