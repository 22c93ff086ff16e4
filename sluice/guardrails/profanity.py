"""Profanity in a text: a short list of words, also with digits and signs for letters."""

import re
from collections.abc import Iterator

VULGAR = (
    "arsehole arseholes asshole assholes bastard bastards bitch bitches bitching bollocks "
    "bullshit bullshitter cocksucker cocksuckers cunt cunts dickhead dickheads dipshit "
    "dumbass faggot faggots fuck fucked fucker fuckers fucking fucks jackass jerkoff "
    "motherfucker motherfuckers motherfucking nigger niggers pissed shit shits shitty "
    "shithead slut sluts twat twats wanker wankers whore whores"
)
"""Words of English; a team's own list goes beside them."""
STEMS = VULGAR.split()
STAND_INS = {
    "a": "a@4", "b": "b8", "e": "e3", "g": "g9", "i": "i1!|", "l": "l1|", "o": "o0", "s": "s5$",
    "t": "t7+", "u": "uv*", "c": "ck(", "k": "kc",
}  # fmt: skip
"""Signs that stand for a letter."""


def _spell(word: str) -> str:
    """Return a pattern of a word in which signs stand for letters, and letters are repeated."""
    signs = (STAND_INS.get(letter, letter) for letter in word)
    first, *rest = (f"[{re.escape(item)}]" for item in signs)
    return first + "".join(f"+{'[._*-]?'}{item}" for item in rest)


WORDS = re.compile(rf"(?<![\w@$])(?:{'|'.join(STEMS)})(?![\w@$])", re.IGNORECASE)
DISGUISED = re.compile(
    rf"(?<![\w@$])(?:{'|'.join(_spell(word) for word in STEMS)})(?![\w@$])", re.IGNORECASE
)


def find_profanity(text: str) -> Iterator[tuple[int, int]]:
    """Yield words of the list, also where digits and signs stand for some of their letters."""
    yield from (match.span() for match in WORDS.finditer(text))
    for match in DISGUISED.finditer(text):
        if not WORDS.fullmatch(match[0]) and _is_disguised(match[0]):
            yield match.span()


def _is_disguised(word: str) -> bool:
    """Return whether most of a word is letters: `SH17` is a part number."""
    signs = [sign for sign in word if sign not in "._*-"]
    return sum(sign.isalpha() for sign in signs) * 3 >= len(signs) * 2
