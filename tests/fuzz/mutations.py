"""What may happen to a file: bits that flip, pieces that are lost, doubled or swapped, and words that mean harm."""

import json
import random
import struct
from collections.abc import Callable, Iterator
from typing import Any

Mutation = Callable[[bytes, random.Random], bytes]

TOKENS = [
    b"",
    b"\0",
    b"\xff\xfe",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"-1",
    b"9223372036854775808",
    b"1e400",
    b"NaN",
    b"-Infinity",
    b"9" * 5_000,
    b"null",
    b"true",
    b"[]",
    b"{}",
    b'""',
    b"[" * 2_000,
    b'{"a":' * 500,
    b'"',
    b"'",
    b",",
    b";",
    b"\t",
    b"\r",
    b"\n",
    b"=cmd|' /C calc'!A0",
    b"\x1b[2J",
    b"[bold red]",
    b"[/]",
    b"../../../../etc/passwd",
    b"/dev/zero",
    b"file:///dev/zero",
    b"http://127.0.0.1:1/x",
    b"reference://x::http://127.0.0.1:1/r.json",
    b"\\u0000",
    b"\\ud800",
    b"%s%n",
]

VALUES = [
    b"null",
    b"true",
    b"-1",
    b"0",
    b"1e-320",
    b"1e308",
    b"1e999",
    b"NaN",
    b"9223372036854775808",
    b"9" * 400,
    b"9" * 5_000,
    b'""',
    b'"x"',
    b'"\\ud800"',
    b'"a\\nb"',
    b"[]",
    b"{}",
    b"[[[]]]",
    b"[" * 40 + b"]" * 40,
    b"[" * 3_000 + b"]" * 3_000,
]
_MARK = "@@@"


def flip(data: bytes, rng: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 1, 8, 64])):
        # Headers are short, and hold what is believed.
        at = rng.randrange(min(len(changed), rng.choice([64, 1024, len(changed)])))
        changed[at] ^= 1 << rng.randrange(8)
    return bytes(changed)


def cut(data: bytes, rng: random.Random) -> bytes:
    return data[: rng.randrange(len(data))]


def remove(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    return data[:start] + data[start + rng.randrange(1, 2 + len(data) // 4) :]


def double(data: bytes, rng: random.Random) -> bytes:
    start = rng.randrange(len(data))
    piece = data[start : start + rng.randrange(1, 2_000)]
    return data[:start] + piece * rng.choice([2, 3, 50]) + data[start + len(piece) :]


def number(data: bytes, rng: random.Random) -> bytes:
    """Put one of the numbers at which things end where four bytes stand."""
    at = rng.randrange(min(len(data), rng.choice([64, 1024, len(data)])))
    value = rng.choice([0, 1, 0x7F, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
    layout = rng.choice(["<I", ">I", "<H", ">H", "B"])
    piece = struct.pack(layout, value & (1 << 8 * struct.calcsize(layout)) - 1)
    return data[:at] + piece + data[at + len(piece) :]


def token(data: bytes, rng: random.Random) -> bytes:
    """Put a word that means harm somewhere, or in the place of a word."""
    at = rng.randrange(len(data) + 1)
    if rng.random() < 0.5:
        return data[:at] + rng.choice(TOKENS) + data[at:]
    separators = b',;:"\n\t= '
    start = max(data.rfind(bytes([s]), 0, at) for s in separators) + 1
    ends = [end for end in (data.find(bytes([s]), at) for s in separators) if end >= 0]
    return data[:start] + rng.choice(TOKENS) + data[min(ends, default=len(data)) :]


def lines(data: bytes, rng: random.Random) -> bytes:
    """Double, drop or shuffle lines."""
    found = data.splitlines(keepends=True)
    if len(found) < 2:
        return data + data
    first, second = rng.sample(range(len(found)), 2)
    return rng.choice(
        [
            b"".join([*found[:first], *found[first + 1 :]]),
            b"".join([*found[: first + 1], *found[first:]]),
            b"".join([found[{first: second, second: first}.get(k, k)] for k in range(len(found))]),
        ]
    )


def types(data: bytes, rng: random.Random) -> bytes:
    """Put a value of another type, or of no measure, in the place of one in a line of JSON."""
    found = data.splitlines()
    at = rng.randrange(len(found)) if found else 0
    try:
        value = json.loads(found[at])
        places = list(_places(value))
        holder, key = rng.choice(places)
    except (ValueError, LookupError, RecursionError):
        try:  # one document over many lines
            value, at, found = json.loads(data), 0, [data]
            holder, key = rng.choice(list(_places(value)))
        except (ValueError, LookupError, RecursionError):
            return token(data, rng)
    holder[key] = _MARK
    found[at] = json.dumps(value).encode().replace(f'"{_MARK}"'.encode(), rng.choice(VALUES))
    return b"\n".join(found) + b"\n"


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield whatever holds a value, and under which key or number."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield value, key
        yield from _places(item)


BINARY: list[Mutation] = [flip, flip, cut, remove, double, number, number]
TEXT: list[Mutation] = [token, token, types, types, types, lines, flip, cut, remove, double]


def mutate(data: bytes, rng: random.Random, mutations: list[Mutation]) -> bytes:
    """Apply one mutation, or some."""
    for _ in range(rng.choice([1, 1, 2, 3])):
        data = (rng.choice(mutations)(data, rng) or b"\n").ljust(4, b"\n")  # something for the next one to spoil
    return data
