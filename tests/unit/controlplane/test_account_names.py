"""Account names: legal everywhere, given once, nobody's twice."""

import random
import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.membership.names import LONGEST, RESERVED, Newcomer, account_name, assign_names, split_name

LEGAL = re.compile(r"[a-z][a-z0-9-]{0,31}")
"""What iRODS, `useradd` of Debian and OMERO all take."""

names = st.text(max_size=40)
newcomers = st.lists(
    st.builds(
        Newcomer,
        joined=st.sampled_from("abc"),
        key=st.uuids().map(str),
        name=names,
        given=names,
        surname=names,
    ),
    max_size=12,
    unique_by=lambda one: one.key,
)
accounts = st.frozensets(st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8), max_size=20)


@pytest.mark.parametrize(
    ("given_name", "surname", "expected"),
    [
        ("Tadhg", "O'Brien", "tobrien"),
        ("Tadhg", "O\u2019Brien", "tobrien"),
        ("Zoé", "Müller", "zmuller"),
        ("Zoe\u0301", "Mu\u0308ller", "zmuller"),
        ("Łukasz", "Wałęsa", "lwalesa"),
        ("Søren", "Ærø", "saero"),
        ("Jean-Luc", "Le Goff-Martin", "jlegoffmartin"),
        ("Наталья", "Иванова", "nivanova"),
        ("小龙", "李", "xli"),
        ("", "Plato", "plato"),
        ("Björk", "", "bjork"),
        ("1st", "2nd", "nd"),
        ("", "", "person"),
        ("!", "…", "person"),
        ("R", "Oot", "root2"),
        ("Wilhelmina", "x" * 60, "w" + "x" * 31),
    ],
)
def test_names_are_made_from_initial_and_surname(given_name: str, surname: str, expected: str) -> None:
    assert account_name(given_name, surname, RESERVED) == expected


def test_full_names_are_split_at_the_last_word_or_a_comma() -> None:
    assert split_name("Tadhg O'Brien") == ("Tadhg", "O'Brien")
    assert split_name("O'Brien, Tadhg Mór") == ("Tadhg Mór", "O'Brien")
    assert split_name(" Plato ") == ("", "Plato")


def test_two_people_of_one_name_get_two_names_and_who_joined_first_chooses() -> None:
    first = Newcomer("2026-01-01", "b", "Tadhg O'Brien")
    second = Newcomer("2026-01-02", "a", "Tadhg O'Brien")
    assert assign_names([second, first], ()) == {"b": "tobrien", "a": "tobrien2"}


def test_a_name_that_a_person_who_left_had_is_not_given_again() -> None:
    assert assign_names([Newcomer("", "a", "Tadhg O'Brien")], {"tobrien", "TOBRIEN2"}) == {"a": "tobrien3"}


def test_a_user_name_is_taken_for_all_but_its_owner() -> None:
    owner = Newcomer("2026-01-02", "a", "Tess O'Brien", username="tobrien")
    other = Newcomer("2026-01-01", "b", "Tadhg O'Brien", username="tadhg@far.example")
    assert assign_names([owner, other], ()) == {"a": "tobrien", "b": "tobrien2"}
    # What somebody else has already is nobody's, whatever the owner is called.
    assert assign_names([owner], {"tobrien"}) == {"a": "tobrien2"}


@given(newcomers, accounts)
def test_names_are_legal_free_and_different(people: list[Newcomer], taken: frozenset[str]) -> None:
    assigned = assign_names(people, taken)
    assert assigned.keys() == {one.key for one in people}
    assert all(LEGAL.fullmatch(name) for name in assigned.values())
    assert len(set(assigned.values())) == len(people)
    assert not set(assigned.values()) & (taken | RESERVED)


@given(newcomers, accounts, st.randoms(use_true_random=False))
def test_the_order_in_which_people_come_changes_nothing(
    people: list[Newcomer], taken: frozenset[str], chance: random.Random
) -> None:
    shuffled = list(people)
    chance.shuffle(shuffled)
    assert assign_names(shuffled, taken) == assign_names(people, taken)


@given(newcomers, newcomers)
def test_names_that_are_stored_stay_when_others_come(first: list[Newcomer], later: list[Newcomer]) -> None:
    stored = assign_names(first, ())
    further = assign_names([one for one in later if one.key not in stored], stored.values())
    assert not set(stored.values()) & set(further.values())


def test_a_number_makes_no_name_too_long() -> None:
    long = "x" * 60
    taken = {account_name("w", long, ())}
    name = account_name("w", long, taken)
    assert len(name) == LONGEST
    assert name.endswith("2")
