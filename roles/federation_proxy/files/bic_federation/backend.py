"""SATOSA's SAML side, which also looks at whom an institution's answer is addressed to.

pysaml2 7.5 finds a wrong Destination or time of issue and says so by the result of `verify`, which its
`Entity._parse_response` does not look at; the Recipient it checks only for callers that describe a
conversation. Without this, an answer that was stolen from another address would pass.
"""

from __future__ import annotations

from typing import Any

from satosa.backends import saml2

from .errors import RefusedError


class SAMLBackend(saml2.SAMLBackend):
    """Refuses answers that are addressed to somebody else, or were issued long ago."""

    def _translate_response(self, response: Any, state: Any) -> Any:
        # It decrypts the assertions.
        person = super()._translate_response(response, state)
        destination = response.response.destination
        if destination and destination not in response.return_addrs:
            raise RefusedError(state, "Your institution's answer is addressed to another service.")
        if not response.issue_instant_ok():
            raise RefusedError(state, "Your institution's answer is too old, or its clock is wrong.")
        recipients = [
            confirmation.subject_confirmation_data.recipient
            for assertion in response.assertions
            for confirmation in assertion.subject.subject_confirmation
            if confirmation.subject_confirmation_data is not None
        ]
        if not recipients or not set(recipients) <= set(response.return_addrs):
            raise RefusedError(state, "Your institution's answer is meant for another service.")
        return person
