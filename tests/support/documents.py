"""YAML and JSON that exhaust a careless reader, with the words that refuse them."""

from sluice.documents import YAML_LIMITS

REPEATED = "[" + ", ".join(["*a{0}"] * 9) + "]"
BOMB = "a0: &a0 [x, x]\n" + "".join(
    f"a{level}: &a{level} {REPEATED.format(level - 1)}\n" for level in range(1, 12)
)
MERGES = "a0: &a0 {x: 1, y: 2}\n" + "".join(
    f"a{level}: &a{level} {{<<: {REPEATED.format(level - 1)}}}\n" for level in range(1, 12)
)
CHAIN = "a0: &a0 [x]\n" + "".join(
    f"a{level}: &a{level} [*a{level - 1}]\n" for level in range(1, 3_000)
)
BLOCKS = "".join(f"{' ' * level}a:\n" for level in range(900))
SAYS_DEPTH = rf"nested \d+ deep; allowed: {YAML_LIMITS.depth}"
SAYS_VALUES = rf"values, with those that aliases repeat; allowed: {YAML_LIMITS.values:,}"

HOSTILE_YAML: dict[str, tuple[bytes, str]] = {
    "alias bomb": (BOMB.encode(), SAYS_VALUES),
    "bomb of merged mappings": (MERGES.encode(), SAYS_VALUES),
    "chain of aliases": (CHAIN.encode(), SAYS_DEPTH),
    "alias of itself": (b"a: &a [*a]\n", "an alias contains itself"),
    "alias in its own key": (b"a: &a {b: {c: *a}}\n", "an alias contains itself"),
    "brackets": (b"[" * 100_000, SAYS_DEPTH),
    "braces": (b"{a: " * 100_000, SAYS_DEPTH),
    "deep blocks": (BLOCKS.encode(), SAYS_DEPTH),
    "lists in lists": (b"- " * 5_000, SAYS_DEPTH),
    "many values": (b"a: [" + b"1," * 60_000 + b"]", "20,001 values"),
    "too long": (b"#" * (YAML_LIMITS.size + 1), "longer than the 524,288 bytes"),
    "long number": (b"a: " + b"1" * 5_000, "a number of 5,000 characters; allowed: 64"),
    "number in base 60": (b"a: 1" + b":10" * 9_000, "a number of 27,001 characters"),
    "key twice": (b"a: 1\na: 2\n", "key 'a' is given twice"),
    "key that is a list": (b"? [a]\n: 1\n", "a key must be a word"),
    "key that is a date": (b"2020-01-02: 1\n", "key '2020-01-02' is read as a date; write it in"),
    "impossible date": (b"a: 2020-02-31\n", "day .*(must be|is out)"),
    "two documents": (b"a: 1\n---\nb: 2\n", "not readable as YAML"),
    "not text": (b"a: \xff\n", "not readable as UTF-8 at byte 3"),
    "zero bytes": (b"\0" * 10, "not readable as YAML"),
    "object of Python": (b"a: !!python/object/apply:os.system [id]\n", "not readable as YAML"),
}
HOSTILE_JSON: dict[str, tuple[bytes, str]] = {
    "brackets": (b"[" * 100_000, "nested too deep"),
    "closed brackets": (b"[" * 100_000 + b"]" * 100_000, "nested too deep"),
    "deeper than allowed": (
        b"[" * 150 + b"]" * 150,
        "nested 101 deep; allowed: 100",
    ),
    "objects": (b'{"a":' * 100_000, "nested too deep"),
    "long number": (b"[" + b"1" * 10_000 + b"]", "not readable as JSON"),
    "number that no float holds": (b"[" + b"1" * 400 + b"]", "a number of 400 characters; allowed"),
    "cut off": (b'{"a": [1, 2', "not readable as JSON: .*line 1"),
    "empty": (b"", "not readable as JSON"),
    "not text": (b'{"a": "\xff"}', "not readable as UTF-8 at byte 7"),
}
