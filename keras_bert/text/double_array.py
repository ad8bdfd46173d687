"""The double-array trie in which tf.text's FastBertNormalizer keeps its table.

The format is that of darts-clone (Susumu Yata, BSD): one uint32 per unit,

    bits 0-7    label: the byte that leads here
    bit  8      the key that ends here has a value; its unit lies at this state's base
    bit  9      the offset is stored divided by 256 (read here, never written)
    bits 10-30  offset: this unit's index XOR the base of the state it leads to
    bit  31     this unit is a value (bits 0-30)

A state with base B has its child for byte b in unit B ^ b. States that accept the same keys with
the same values are stored once, so the array is a minimal automaton rather than a tree: the
thousands of ill-formed UTF-8 sequences, all of one value, cost a few hundred units.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np

__all__ = ["build_double_array", "close_to_zero_bytes"]
__all__ += ["double_array_items", "double_array_value"]

_HAS_VALUE = 1 << 8
_IS_VALUE = 1 << 31
_LABEL_BITS = 0x800000FF
_MAX_OFFSET = 1 << 21

# A state: its value (or None) and its children, (byte, number of the child state), by byte.
_State = tuple[int | None, tuple[tuple[int, int], ...]]


def build_double_array(items: Mapping[bytes, int]) -> np.ndarray:
    """Builds the array for `items`: keys without a zero byte -> values below 2**31.

    The result depends on the items only, not on their order.
    """
    states, root = _minimal_states(items)
    bases, units = _place(states, root)
    for number, (value, children) in enumerate(states):
        if value is not None:
            units[bases[number]] = _IS_VALUE | value
        for label, child in children:
            _link(units, bases[number] ^ label, label, bases[child], states[child])
    _link(units, 0, 0, bases[root], states[root])
    return np.asarray(units, np.uint32)


def double_array_value(units: np.ndarray, key: bytes) -> int | None:
    """Looks `key` up; None when it is not in the array."""
    unit = int(units[0])
    position = _base(0, unit)
    for byte in key:
        position ^= byte
        if position >= len(units) or int(units[position]) & _LABEL_BITS != byte:
            return None
        unit = int(units[position])
        position = _base(position, unit)
    return int(units[position]) & ~_IS_VALUE if unit & _HAS_VALUE else None


def double_array_items(
    units: np.ndarray, ends: Callable[[bytes], bool] = lambda prefix: False
) -> Iterator[tuple[bytes, int]]:
    """All keys with their values, in no promised order; none longer than a prefix that `ends`."""
    labels = np.arange(1, 256)
    stack = [(b"", _base(0, int(units[0])))]
    while stack:
        prefix, base = stack.pop()
        positions = base ^ labels
        found = np.where(positions < len(units), units[np.minimum(positions, len(units) - 1)], 0)
        for byte in labels[(found & _LABEL_BITS) == labels].tolist():
            unit = int(units[base ^ byte])
            child = _base(base ^ byte, unit)
            if unit & _HAS_VALUE:
                yield prefix + bytes([byte]), int(units[child]) & ~_IS_VALUE
            if not ends(prefix + bytes([byte])):
                stack.append((prefix + bytes([byte]), child))


def close_to_zero_bytes(units: np.ndarray) -> np.ndarray:
    """Lets no zero byte of a text lead anywhere, for readers that look zero bytes up.

    A zero byte leads from a state to its base, and the first unit and free ones have the label
    zero: where they are bases, they get one that leads there from no state.
    """
    units = units.copy()
    positions = np.arange(len(units), dtype=np.uint32)
    inner = (units != 0) & (units & _IS_VALUE == 0)
    inner[0] = True
    bases = set((positions ^ (units >> 10) << ((units & 0x200) >> 6))[inner].tolist())
    for base in bases:
        if units[base] & _LABEL_BITS == 0:
            units[base] |= next(label for label in range(1, 256) if base ^ label not in bases)
    return units


def _base(position: int, unit: int) -> int:
    return position ^ ((unit >> 10) << ((unit & 0x200) >> 6))


def _link(units: list[int], position: int, label: int, base: int, state: _State) -> None:
    offset = position ^ base
    if offset >= _MAX_OFFSET:
        raise ValueError(f"The table is too large for a double array: offset {offset}.")
    units[position] = offset << 10 | (_HAS_VALUE if state[0] is not None else 0) | label


def _minimal_states(items: Mapping[bytes, int]) -> tuple[list[_State], int]:
    """The minimal automaton of `items`: its states, and the number of the first one.

    Keys are taken in sorted order, so when a key leaves a branch nothing is added to it any more
    and its states can be looked up among those that exist (Daciuk et al., 2000).
    """
    numbers: dict[_State, int] = {}
    # The states on the way to the latest key: [label that leads here, value, finished children].
    path: list[list] = [[0, None, []]]

    def finish(depth: int) -> int:
        number = -1
        while len(path) > depth:
            label, value, children = path.pop()
            number = numbers.setdefault((value, tuple(children)), len(numbers))
            if path:
                path[-1][2].append((label, number))
        return number

    previous = b""
    for key in sorted(items):
        shared = next(
            (i for i, (a, b) in enumerate(zip(previous, key, strict=False)) if a != b),
            min(len(previous), len(key)),
        )
        finish(shared + 1)
        path.extend([byte, None, []] for byte in key[shared:])
        path[-1][1] = items[key]
        previous = key
    root = finish(0)
    return list(numbers), root


def _place(states: list[_State], root: int) -> tuple[list[int], list[int]]:
    """Finds each state a base of its own such that no two states share a unit.

    States with many children go first, while there is room; those of a value only fill the holes.
    """
    labels = [
        (0,) * (value is not None) + tuple(label for label, _ in children)
        for value, children in states
    ]
    branching = [n for n in range(len(states)) if labels[n] != (0,)]
    branching.sort(key=lambda number: (number != root, -len(labels[number])))
    final = [n for n in range(len(states)) if labels[n] == (0,)]
    # A branching state's units lie within the 256 of one block, so this many always suffice.
    used = np.zeros(256 * (len(branching) + len(final) // 256 + 3), bool)
    used[0] = True  # the unit that leads to the root
    is_base = np.zeros_like(used)
    bases = np.zeros(len(states), np.int64)
    search_from: dict[tuple[int, ...], int] = {}
    for number in branching:
        wanted = labels[number]
        base, search_from[wanted] = _find_base(used, is_base, wanted, search_from.get(wanted, 0))
        bases[number] = base
        is_base[base] = True
        used[np.bitwise_xor(base, wanted)] = True
    holes = np.flatnonzero(~(used | is_base))[: len(final)]
    bases[final] = holes
    # Lookups may read anywhere in the 256 units of a base, so whole blocks are kept.
    last = max(np.flatnonzero(used | is_base)[-1], holes[-1] if len(holes) else 0)
    return bases.tolist(), [0] * ((int(last) // 256 + 1) * 256)


def _find_base(
    used: np.ndarray, is_base: np.ndarray, wanted: tuple[int, ...], start: int
) -> tuple[int, int]:
    """The first base from `start` on whose wanted units are free, and where to start next time.

    Units only ever fill up, so where a set of labels did not fit it never will.
    """
    while True:
        window = np.arange(start, min(start + 4096, len(used)))
        bases = window[~used[window]] ^ wanted[0]
        bases = bases[~is_base[bases]]
        for label in wanted[1:]:
            bases = bases[~used[bases ^ label]]
        if len(bases):
            return int(bases[0]), int(bases[0]) ^ wanted[0]
        start += len(window)
