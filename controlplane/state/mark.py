"""What shows that an object is the platform's, as the text that is compared: `<platform>/<facility>`."""


def format_mark(platform: str, facility: str = "") -> str:
    """The mark of what belongs to a facility, or to the platform or several facilities."""
    return f"{platform}/{facility}" if facility else platform


def parse_mark(text: str) -> tuple[str, str]:
    """The platform and the facility of a mark, each perhaps empty."""
    platform, _, facility = text.partition("/")
    return platform, facility
