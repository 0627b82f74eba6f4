"""Tokenizers made of vocabularies as GGUF files hold them: byte-level BPE with merges, SentencePiece's with scores.

SentencePiece has no merges: of all neighbours that together are a token it joins those of the highest score, the
leftmost first. A list of merges in the order of scores does the same where no two such tokens share a score, with an
order among the ways to make one token that lets the leftmost win. What can't be made exactly is refused: Unigram's
scores, tokens that a user defined, characters that are no token, a vocabulary without the 256 bytes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

NORMAL, UNKNOWN, SPECIAL, USER_DEFINED, UNUSED, BYTE = range(1, 7)  # kinds of tokens
SPACE = "▁"  # SentencePiece's letter for it


@dataclass(frozen=True)
class Splitting:
    """How text is split before its bytes are merged, as a tokenizer's own file says it too.

    `steps` come before bytes are written as letters, or `pattern` instead of GPT-2's. `whole_words`: a word that is a
    token isn't merged from its pairs.
    """

    steps: tuple[pre_tokenizers.PreTokenizer, ...] = ()
    pattern: str = ""
    normalizer: normalizers.Normalizer | None = None
    whole_words: bool = False

    def pre_tokenizer(self) -> pre_tokenizers.PreTokenizer:
        """Return all steps in their order."""
        own = [pre_tokenizers.Split(Regex(self.pattern), "isolated")] if self.pattern else []
        byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=not self.pattern)
        return pre_tokenizers.Sequence([*self.steps, *own, byte_level])


# English endings, words with what stands before them, numbers of so many digits, signs, ends of lines, spaces
WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPLITS = {  # by the name in `tokenizer.ggml.pre`
    "gpt-2": Splitting(),
    "smollm": Splitting((pre_tokenizers.Digits(individual_digits=True),)),
    "llama-bpe": Splitting(pattern=WORDS % "{1,3}", whole_words=True),
    "qwen2": Splitting(pattern=WORDS % "", normalizer=normalizers.NFC()),
}


def byte_level(tokens: Sequence[str], kinds: Sequence[int], merges: Iterable[str], split: Splitting) -> Tokenizer:
    """Return the tokenizer that merges bytes written as letters. Raises ValueError where a token is there twice."""
    pairs = [(left, right) for left, _, right in (merge.partition(" ") for merge in merges)]
    tokenizer = Tokenizer(models.BPE(vocab=_places(tokens), merges=pairs, ignore_merges=split.whole_words))
    _add_special(tokenizer, tokens, kinds, (SPECIAL,))
    tokenizer.pre_tokenizer = split.pre_tokenizer()
    if split.normalizer is not None:
        tokenizer.normalizer = split.normalizer
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def sentencepiece(
    tokens: Sequence[str], kinds: Sequence[int], scores: Sequence[float], space_before: bool
) -> Tokenizer:
    """Return the tokenizer that joins characters by score; with `space_before`, text gets a space before its first.

    Raises ValueError for a vocabulary that it can't make exactly.
    """
    places = _places(tokens)
    if not len(tokens) == len(kinds) == len(scores):
        raise ValueError(f"{len(tokens)} tokens, {len(kinds)} kinds, {len(scores)} scores; accepted: as many of each")
    score_of = {token: score for token, kind, score in zip(tokens, kinds, scores, strict=True) if kind == NORMAL}
    ways = {token: _ways(token, score_of) for token in score_of}
    _refuse_inexact(tokens, kinds, score_of, ways)
    by_score = sorted((token for token in ways if ways[token]), key=lambda token: -score_of[token])
    merges = [way for token in by_score for way in ways[token]]
    unknown = next((token for token, kind in zip(tokens, kinds, strict=True) if kind == UNKNOWN), None)
    tokenizer = Tokenizer(models.BPE(places, merges, unk_token=unknown, fuse_unk=True, byte_fallback=True))
    _add_special(tokenizer, tokens, kinds, (SPECIAL, UNKNOWN))
    before = [normalizers.Prepend(SPACE)] if space_before else []
    tokenizer.normalizer = normalizers.Sequence([*before, normalizers.Replace(" ", SPACE)])
    without = [decoders.Strip(" ", 1, 0)] if space_before else []
    steps = [decoders.Replace(SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *without]
    tokenizer.decoder = decoders.Sequence(steps)
    return tokenizer


def _places(tokens: Sequence[str]) -> dict[str, int]:
    places = {token: place for place, token in enumerate(tokens)}
    if len(places) < len(tokens):
        raise ValueError(f"{len(tokens) - len(places):,} tokens are there twice")
    return places


def _add_special(tokenizer: Tokenizer, tokens: Sequence[str], kinds: Sequence[int], special: tuple[int, ...]) -> None:
    named = [token for token, kind in zip(tokens, kinds, strict=False) if kind in special]
    tokenizer.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in named])


def _ways(token: str, known: Iterable[str]) -> list[tuple[str, str]]:
    """Return the pairs of `known` tokens that make `token`, in an order that joins the leftmost of three neighbours.

    Ways (x, y) and (y, z) meet in x y z; the left one is to win. Where a word is repeated, (y, x) and (x, y) both meet:
    then the longer left part is first, since a run that was joined from the left has its shorter parts last.
    """
    places = sorted(range(1, len(token)), key=lambda place: (-max(place, len(token) - place), -place))
    for first in range(0, len(places) - 1, 2):
        long, short = places[first], places[first + 1]
        if token.startswith(token[short:]) and not token.startswith(token[long:]):
            places[first : first + 2] = short, long
    return [(token[:at], token[at:]) for at in places if token[:at] in known and token[at:] in known]


def _refuse_inexact(
    tokens: Sequence[str],
    kinds: Sequence[int],
    score_of: dict[str, float],
    ways: dict[str, list[tuple[str, str]]],
) -> None:
    """Raise ValueError where joining by merges wouldn't be joining by scores."""
    joined = [token for token in ways if ways[token]]
    of_kind = {kind: [token for token, each in zip(tokens, kinds, strict=True) if each == kind] for kind in {*kinds}}
    defined = of_kind.get(USER_DEFINED, [])
    unused = [token for token in of_kind.get(UNUSED, []) if len(token) == 1 or _ways(token, score_of)]
    missing = next((letter for token in score_of for letter in token if letter not in score_of), None)
    n_bytes = len({f"<0x{byte:02X}>" for byte in range(256)} & {*of_kind.get(BYTE, [])})
    if any(not float(score_of[token]).is_integer() for token in joined):
        raise ValueError("scores that are no ranks, as Unigram's are; accepted: SentencePiece's BPE")
    if len({score_of[token] for token in joined}) < len(joined):
        raise ValueError("scores that tokens share; accepted: a score of its own for each token that is joined")
    if defined or unused:
        kind, such = ("defined by a user", defined) if defined else ("unused, but joined", unused)
        raise ValueError(f"tokens {kind}: {len(such):,}, such as {such[0]!r:.40}; accepted: none")
    if missing is not None:
        raise ValueError(f"character {missing!r} of a token is none itself; accepted: every character a token")
    if n_bytes < 256:
        raise ValueError(f"{n_bytes} bytes among the tokens; accepted: all 256")
