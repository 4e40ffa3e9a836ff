"""Plain YAML read by a compiled parser, about twenty times as fast as the one that knows places.

The two parsers read some texts differently: tags, aliases, several documents, numbers such as 017 or 1_000.
So the fast one only gets text that is made of the few parts below, which both read alike (tests hold them to
it). All other text is left to the parser in `source`, and so is every mistake.
"""

import re

import ryaml

from controlplane.model.source import Data

# Neither line ends other than \n nor anything that means something in the middle of plain text.
_CHARACTER = r"""[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff:\#,\[\]{}"\\]"""
# Groups are atomic: possessive quantifiers of groups fail before Python 3.11.5 (python/cpython#106052).
_PLAIN = re.compile(
    rf"""(?>(?:
      (?:[^\W\d_]|/) {_CHARACTER}*+                            # text from a letter on, and paths
    | :(?=[ \n]) | -(?=[ \n]) | [ \n,{{}}\[\]]                 # structure
    | (?: 0 | [1-9][0-9]{{0,14}}                               # whole numbers
        | [0-9]{{1,3}} (?:\.[0-9]{{1,3}}){{3}} (?:/[0-9]{{1,2}})?          # addresses and networks
        | [0-9]{{1,12}} (?:\.[0-9]{{1,3}})? [ ] [A-Za-z]++     # sizes
        | (?<=:[ ]) [0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}           # dates as values, not as keys
      ) (?=[\n,}}\]])
    | "(?>(?: {_CHARACTER} | [:\#,\[\]{{}}] )*)" (?=[\n,:}}\]])   # text in quotes, without escapes
    | (?<!\S)\#[^\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff\n]*+  # comments
    )*)""",
    re.VERBOSE,
)


def is_plain(text: str) -> bool:
    """Whether a text has only parts that all parsers of YAML read alike."""
    return _PLAIN.fullmatch(text) is not None


def read_plain(text: str) -> Data | None:
    """The data of a plain text; None for any other, and for one that holds nothing or is wrong."""
    if not is_plain(text):
        return None
    try:
        data: Data = ryaml.loads(text)  # type: ignore[attr-defined]
    except ValueError:  # Not YAML, or a mapping as a key.
        return None
    return data
