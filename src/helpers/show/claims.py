"""Claims: what prose says in words, held against the numbers beside it."""


def claim(holds: bool, sentence: str) -> None:
    """Refuse a page whose words its numbers don't bear out: ValueError with the `sentence` where it doesn't hold."""
    if not holds:
        raise ValueError(f"the page says, but the numbers don't: {sentence}")
