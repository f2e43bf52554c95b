#!/usr/bin/env python3
"""What the independent monitor rtamt (https://pypi.org/project/rtamt) says of random formulas over random samples.

    python3 -m venv venv && venv/bin/pip install rtamt==0.4.10
    venv/bin/python rtamt_reference.py > rtamt.txt

Each line: the number of samples, the formula in prefix form, the robustness at the first sample. The samples are those
of the generator below, which the Rust test repeats. Operands are `a` and `b`, which stand for `a >= 0` and `b >= 0`;
windows are in samples. Every window of every formula lies inside its trace.
"""

import sys

import rtamt

CASES = 4000
MASK = (1 << 64) - 1


class Random:
    """xorshift64*, as in the Rust test."""

    def __init__(self, seed):
        self.state = seed

    def next(self):
        x = self.state
        x ^= (x << 13) & MASK
        x ^= x >> 7
        x ^= (x << 17) & MASK
        self.state = x
        return (x * 0x2545F4914F6CDD1D) & MASK

    def below(self, n):
        return (self.next() >> 11) % n


def samples(case, n):
    """Two signals of n multiples of 1/64 in [-1, 1)."""
    r = Random(0x9E3779B97F4A7C15 ^ (case + 1))
    for _ in range(8):
        r.next()
    rows = [(r.below(128) / 64 - 1, r.below(128) / 64 - 1) for _ in range(n)]
    return [a for a, _ in rows], [b for _, b in rows]


def formula(r, depth):
    """Prefix form, rtamt's text, samples it looks behind and ahead."""
    if depth == 0:
        name = "ab"[r.below(2)]
        return name, f"({name} >= 0)", 0, 0
    kind = r.below(10)
    if kind == 0:
        f, t, behind, ahead = formula(r, depth - 1)
        return f"(not {f})", f"(not {t})", behind, ahead
    if kind in (1, 2, 3):
        word = ("and", "or", "implies")[kind - 1]
        f, t, b1, a1 = formula(r, depth - 1)
        g, u, b2, a2 = formula(r, depth - 1)
        text = "->" if word == "implies" else word
        return f"({word} {f} {g})", f"({t} {text} {u})", max(b1, b2), max(a1, a2)
    lo = r.below(4)
    hi = lo + r.below(5)
    if kind in (4, 5, 6, 7):
        word = ("always", "eventually", "historically", "once")[kind - 4]
        f, t, behind, ahead = formula(r, depth - 1)
        past = kind >= 6
        return (
            f"({word} {lo} {hi} {f})",
            f"({word}[{lo}:{hi}] {t})",
            behind + (hi if past else 0),
            ahead + (0 if past else hi),
        )
    word = ("until", "since")[kind - 8]
    f, t, b1, a1 = formula(r, depth - 1)
    g, u, b2, a2 = formula(r, depth - 1)
    past = kind == 9
    return (
        f"({word} {lo} {hi} {f} {g})",
        f"({t} {word}[{lo}:{hi}] {u})",
        max(b1, b2) + (hi if past else 0),
        max(a1, a2) + (0 if past else hi),
    )


def main():
    r = Random(0x5EED0F0D12345678)
    for case in range(CASES):
        f, text, behind, ahead = formula(r, 1 + case % 4)
        if behind:
            # The first instant at which all that lies behind is there.
            f = f"(eventually {behind} {behind} {f})"
            text = f"(eventually[{behind}:{behind}] {text})"
        # rtamt wants two samples at least.
        n = max(behind + ahead + 1 + r.below(6), 2)
        a, b = samples(case, n)
        spec = rtamt.StlDiscreteTimeOfflineSpecification()
        spec.declare_var("a", "float")
        spec.declare_var("b", "float")
        spec.spec = text
        spec.parse()
        said = spec.evaluate({"time": list(range(n)), "a": a, "b": b})
        print(n, f, repr(float(said[0][1])), sep="\t")
    print(f"rtamt, {CASES} formulas", file=sys.stderr)


if __name__ == "__main__":
    main()
