"""Pictures of people: their initials, as the API gives them for lack of better."""

import base64
import hashlib
from functools import lru_cache

_SIZE = 64


@lru_cache(maxsize=4096)
def initials(name: str) -> str:
    """Return a picture with a name's initials as a `data:` address."""
    words = name.split() or ["?"]
    letters = (words[0][0] + words[-1][0] if len(words) > 1 else words[0][:2]).upper()
    colour = hashlib.sha256(name.encode()).hexdigest()[:6]
    text = letters.replace("&", "&amp;").replace("<", "&lt;")
    picture = (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_SIZE}px" height="{_SIZE}px">'
        f'<rect fill="#{colour}" width="{_SIZE}" height="{_SIZE}"/>'
        f'<text x="50%" y="50%" text-anchor="middle" dy=".35em" fill="#fff">{text}</text></svg>'
    )
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.encode()).decode()}"
