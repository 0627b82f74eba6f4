"""Claims of prose: a sentence of a page that the tables must bear out, or the page isn't made."""


def claim(holds: bool, sentence: str) -> None:
    """Raise ValueError with the sentence where what it says doesn't hold."""
    if not holds:
        raise ValueError(sentence)
