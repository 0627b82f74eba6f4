"""Texts made fit for people: of outside in one line, without control characters, not endless; numbers with a minus."""

import contextlib
import unicodedata

MOST = 900  # characters of a message
END = 200  # of them at its end, where a message says what is accepted
MOST_OF_A_VALUE = 160
UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}  # control and format characters, lone surrogates, line separators


def visible(text: str) -> str:
    r"""Return a text with what a terminal would obey or couldn't show as escapes, such as `\x1b`."""
    if text.isascii() and text.isprintable():
        return text
    with contextlib.suppress(UnicodeError):  # a path under an ASCII locale: its bytes are UTF-8 all the same
        text = text.encode("utf-8", "surrogateescape").decode()
    return "".join(ascii(one)[1:-1] if unicodedata.category(one) in UNSEEN else one for one in text)


def cut(text: str, most: int = MOST, end: int = END) -> str:
    """Return a text of at most `most` characters: of a longer one its beginning and its last `end` characters."""
    left_out = " [...] "
    return text if len(text) <= most else text[: most - end - len(left_out)] + left_out + text[len(text) - end :]


def one_line(text: str) -> str:
    """Return a message as it is shown: in one line that is neither endless nor able to move a terminal's cursor."""
    return cut(visible(cut(text)))


def shown(value: object) -> str:
    """Return a value from a file as a message shows it: as Python writes it, cut where it is long."""
    if isinstance(value, str):
        value = value[:MOST]
    return cut(repr(value), MOST_OF_A_VALUE, 0)


def minus_signs(numbers: str) -> str:
    """Return a text of numbers with the minus sign of print for every hyphen: −0.32 [−0.40, −0.25]."""
    return numbers.replace("-", "−")
