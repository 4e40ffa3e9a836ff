"""What of expressions is carried out, and that nothing else is."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.standins.authentik.login.expressions import ExpressionError, Record, evaluate, returned_keys
from sandbox.standins.authentik.login.expressionscope import names, user_record

GROUPS = [
    {"pk": "1", "name": "nantes-cells.pi", "is_superuser": False, "attributes": {"level": "team"}},
    {"pk": "2", "name": "nantes", "is_superuser": False, "attributes": {"level": "facility"}},
]
USER = {
    "pk": 7,
    "uuid": "u-7",
    "username": "ana",
    "name": "Ana Example",
    "email": "ana@example.org",
    "is_active": True,
    "type": "internal",
    "path": "users",
    "attributes": {"bic_account": "ana1", "entitlements": ["a", "b"]},
}


def scope(messages: list[str] | None = None, **context: object) -> dict[str, object]:
    user = user_record(USER, uid="uid-7", groups=GROUPS[:1], all_groups=GROUPS)
    return names(
        user=user,
        context=context,
        client_ip="192.0.2.1",
        path="/",
        method="GET",
        messages=[] if messages is None else messages,
    )


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("return {}", {}),
        ("# nothing", None),
        ("return {'email': request.user.email, 'ok': True}", {"email": "ana@example.org", "ok": True}),
        ("return [group.name for group in request.user.groups.all()]", ["nantes-cells.pi"]),
        ("return [g.name for g in user.all_groups().all() if g.name.startswith('nantes')][-1]", "nantes"),
        ("return ak_is_group_member(request.user, name='nantes')", True),
        ("return ak_is_group_member(request.user, name='lyon')", False),
        ("a = user.attributes\nreturn a.get('bic_account') or a['x']", "ana1"),
        ("a = user.attributes\nif 'x' in a:\n    return 1\nelif len(a) == 2:\n    return 2\nreturn 3", 2),
        ("n = 0\nfor x in [1, 2, 3]:\n    n += x * 2\nreturn n", 12),
        ("return f'{user.username}@{\"x\".upper()}'", "ana@X"),
        ("a, b = 'x:y'.split(':')\nreturn {b: a, **{'z': 1}}", {"y": "x", "z": 1}),
        ("return sorted({x.strip() for x in ('b ', 'a')})[0:1]", ["a"]),
        ("return context['oauth_scopes'] == ['openid'] and not ak_is_sso_flow", True),
        ("return regex_match('nantes-cells', '^nantes-') if True else None", True),
        ("return user.group_attributes().get('level')", "team"),
        ("return 1 < 2 <= 2 != 3", True),
        ("return list_flatten([1, [2, [3]]])", [1, 2, 3]),
        ("return sorted(g.name for g in user.all_groups() if g.attributes.get('level'))[0]", "nantes"),
        (
            "def f(x):\n    return [x] if isinstance(x, str) else list(x or [])\nreturn f('a') + f(None)",
            ["a"],
        ),
        ("def f(x):\n    return next(iter(x), '')\ndef g(x):\n    return f(x)\nreturn g([]) + g(['b'])", "b"),
    ],
)
def test_what_is_carried_out(expression: str, value: object) -> None:
    assert evaluate(expression, scope(oauth_scopes=["openid"])) == value


def test_messages_are_kept() -> None:
    messages: list[str] = []
    assert evaluate("ak_message('no')\nreturn False", scope(messages)) is False
    assert messages == ["no"]


@pytest.mark.parametrize(
    "expression",
    [
        "import os",
        "from os import system",
        "return __import__('os')",
        "return open('/etc/passwd')",
        "return eval('1')",
        "return getattr(user, 'x')",
        "return user.__class__",
        "return ().__class__.__bases__",
        "return ''.format(1)",
        "return '{0.__class__}'.format(user)",
        "return '%s' % user",
        "return 'x' * 10 ** 9",
        "return [0] * 10",
        "return 2 ** 9999999",
        "return f'{1:>999999999}'",
        "return f'{user!r}'",
        "while True:\n    pass",
        "def f():\n    return f()\nreturn f()",
        "def f(x=1):\n    return x\nreturn f()",
        "def f(x):\n    return x\nreturn f()",
        "def _f():\n    return 1\nreturn 1",
        "async def f():\n    return 1",
        "return next(iter([]))",
        "return (lambda: 1)()",
        "try:\n    x = 1\nexcept Exception:\n    pass",
        "class A:\n    pass",
        "global x",
        "del user",
        "return [x for x in range(10)]",
        "for a in [1, 2, 3, 4, 5, 6, 7, 8, 9]:\n    for b in context['many']:\n        x = 1",
        "x = 'xx'\nfor a in context['many']:\n    x += x",
        "x = 2\nfor a in context['many']:\n    x = x * x",
        "x = [1]\nfor a in context['many']:\n    x.extend(x)",
        "return undefined",
        "return user.password",
        "return {}['missing']",
        "return 1 / 0",
        "return (",
        "_x = 1",
        "return type(user)",
        "user.name = 'x'",
        "return str(**{'object': 1})",
    ],
)
def test_what_is_refused(expression: str) -> None:
    with pytest.raises(ExpressionError):
        evaluate(expression, scope(many=list(range(9_999))))


@given(st.text(max_size=200))
def test_any_text_is_carried_out_or_refused(expression: str) -> None:
    with contextlib.suppress(ExpressionError):
        evaluate(expression, {"x": Record("thing", name="n")})


def test_keys_that_are_returned() -> None:
    assert returned_keys("if x:\n    return {'a': 1, b: 2}\nreturn {'c': 3}") == ["c", "a"]
    assert returned_keys("return (") == []
