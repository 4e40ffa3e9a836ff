"""Claims as they are stored."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from controlplane.state import Key
from controlplane.systems.irods.claims import LENGTH, Claim, pack

NAMES = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.@-]{0,61}", fullmatch=True)
KEYS = st.builds(Key, st.sampled_from(["user", "group", "storage_resource"]), NAMES)


@given(st.sets(KEYS, max_size=300))
def test_claims_hold_what_they_were_made_for(keys: set[Key]) -> None:
    claims = list(pack("bic", "run", keys))
    assert sorted(key for claim in claims for key in claim.keys) == sorted(keys)
    for claim in claims:
        _, value, unit = claim.avu
        assert len(value) <= LENGTH
        assert Claim.parse(value, unit) == claim


def test_many_names_need_few_claims() -> None:
    claims = list(pack("bic", "run", [Key("user", f"somebody.number{number}") for number in range(10_000)]))
    assert len(claims) < 120


def test_a_run_has_ended_after_a_week_and_not_before() -> None:
    now = datetime(2026, 11, 20, tzinfo=UTC)

    def claim(age: timedelta) -> Claim:
        return Claim("bic", f"{(now - age).strftime('%Y%m%dT%H%M%S')}-abcd1234", "user", ("a",))

    assert not claim(timedelta(days=6)).outlived(now)
    assert claim(timedelta(days=8)).outlived(now)
    # Whoever wrote this, it was not one of our runs.
    assert not Claim("bic", "", "user", ("a",)).outlived(now)
