"""The messages that are packed by ourselves are those of the client library."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from irods.message import GeneralAdminRequest, MetadataRequest

from controlplane.systems.irods.calls import administration, change_of_avu

WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)


@given(st.lists(WORDS, max_size=10))
def test_an_administration_is_packed_as_the_library_packs_it(words: list[str]) -> None:
    assert administration(*words).pack() == GeneralAdminRequest(*words).pack()


@pytest.mark.parametrize("as_admin", [True, False])
@given(avu=st.tuples(WORDS.filter(len), WORDS.filter(len), WORDS))
def test_a_change_of_an_avu_is_packed_as_the_library_packs_it(
    avu: tuple[str, str, str], as_admin: bool
) -> None:
    keywords = {"irodsAdmin": ""} if as_admin else {}
    message = change_of_avu("set", "-C", "/zone/home/a & b", avu, as_admin=as_admin)
    assert message.pack() == MetadataRequest("set", "-C", "/zone/home/a & b", *avu, **keywords).pack()
