"""A browser without scripts: it follows links and redirects, keeps cookies, and fills in forms."""

import html
from dataclasses import dataclass, field
from html.parser import HTMLParser

import httpx


@dataclass
class Page:
    """A page as somebody sees it."""

    url: httpx.URL
    status: int
    text: str
    fields: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    action: str = ""
    has_form: bool = False
    words: str = ""


class _Reader(HTMLParser):
    def __init__(self, page: Page) -> None:
        super().__init__()
        self.page = page
        self._link = ""
        self._label = ""
        self._hidden = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form":
            self.page.has_form, self.page.action = True, given.get("action", "")
        elif tag in ("input", "textarea") and "name" in given and given.get("type") != "checkbox":
            self.page.fields[given["name"]] = given.get("value", "")
        elif tag == "a":
            self._link = given.get("href", "")
        elif tag == "label":
            self._label = given.get("for", "")
        elif tag in ("style", "script"):
            self._hidden = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._link = ""
        elif tag == "label":
            self._label = ""
        elif tag in ("style", "script"):
            self._hidden = False

    def handle_data(self, data: str) -> None:
        if self._hidden or not data.strip():
            return
        self.page.words += f"{data.strip()}\n"
        if self._link:
            self.page.links[data.strip()] = self._link
        if self._label:
            self.page.labels[self._label] = data.strip()


_TLS = httpx.create_ssl_context()


class Browser:
    """Somebody's browser. It leaves `outside` addresses alone: where it was sent is `location`."""

    def __init__(self, outside: str = "https://portal.example/") -> None:
        self.client = httpx.Client(timeout=60, verify=_TLS)
        self.outside = outside
        self.page = Page(httpx.URL(""), 0, "")
        self.location = ""

    def open(self, url: str) -> Page:
        """Go to an address and wherever it leads."""
        return self._follow(self.client.get(url))

    def submit(self, **values: str) -> Page:
        """Fill in the form of the page and send it."""
        assert self.page.has_form, self.page.words
        data = {**self.page.fields, **values}
        return self._follow(self.client.post(self.page.url.join(self.page.action), data=data))

    def click(self, text: str) -> Page:
        """Follow a link by its text."""
        return self.open(str(self.page.url.join(html.unescape(self.page.links[text]))))

    def _follow(self, answer: httpx.Response) -> Page:
        self.location = ""
        for _ in range(20):
            if not answer.is_redirect:
                self.page = Page(answer.url, answer.status_code, answer.text)
                _Reader(self.page).feed(answer.text)
                return self.page
            target = str(answer.url.join(answer.headers["location"]))
            if target.startswith(self.outside):
                self.location = target
                return self.page
            answer = self.client.get(target)
        raise AssertionError(f"redirected in circles: {answer.url}")

    def log_in(self, username: str, password: str) -> Page:
        """Answer the pages of a login by name and password."""
        self.submit(uid_field=username)
        return self.submit(password=password)

    def close(self) -> None:
        """End its connections."""
        self.client.close()
