#!/usr/bin/env python3
"""Figures of the reference model of a production line, from a second simulation of it.

It shares nothing with the first but the random numbers: the same streams (Philox4x32-10, keyed by the seed, counted by
draw, run and a hash of who draws) and the same inversions, so that both must agree in every instant.

    python3 tests/production_line/reference.py
"""
import math
from statistics import NormalDist

H = 3600.0
M32 = 0xFFFFFFFF


def philox(key, counter):
    k, c = list(key), list(counter)
    for r in range(10):
        if r:
            k = [(k[0] + 0x9E3779B9) & M32, (k[1] + 0xBB67AE85) & M32]
        a, b = c[0] * 0xD2511F53, c[2] * 0xCD9E8D57
        c = [(b >> 32) ^ c[1] ^ k[0], b & M32, (a >> 32) ^ c[3] ^ k[1], a & M32]
    return c


class Stream:
    """The uniform numbers of one handler: number `nth` of the twin at `path`."""

    def __init__(self, seed, path, nth):
        h = 0xCBF29CE484222325
        for byte in f"{path}\0{nth}".encode():
            h = ((h ^ byte) * 0x100000001B3) % 2**64
        self.key, self.h, self.n = (seed & M32, seed >> 32), h, 0

    def u(self):
        out = philox(self.key, (self.n, 0, self.h & M32, self.h >> 32))
        self.n += 1
        return (((out[1] << 32 | out[0]) >> 12) + 0.5) / 2**52

    def exponential(self, mean):
        return -mean * math.log1p(-self.u())

    def lognormal(self, mean, sd):
        s2 = math.log1p((sd / mean) ** 2)
        return math.exp(math.log(mean) - s2 / 2 + math.sqrt(s2) * NormalDist().inv_cdf(self.u()))

    def triangular(self, lo, mode, hi):
        p = self.u()
        if p < (mode - lo) / (hi - lo):
            return lo + math.sqrt(p * (hi - lo) * (mode - lo))
        return hi - math.sqrt((1 - p) * (hi - lo) * (hi - mode))


# The place of each drawing handler among those of its twin, in the order of the text.
GAP, CYCLE, SCRAP, FAILURE, REPAIR = 0, 2, 4, 6, 0


def simulate(seed, mtbf, end):
    """A table of what happens next, advanced from event to event."""
    gap, mechanic = Stream(seed, "src", GAP), Stream(seed, "mechanic", REPAIR)
    cycle, scrap, fail = ([Stream(seed, f"st[{i}]", n) for i in range(3)] for n in (CYCLE, SCRAP, FAILURE))
    mean, share, capacity = [38, 42, 35], [0.01, 0.02, 0], [1000, 5, 5]
    state, done, buffers = ["idle"] * 3, [0.0] * 3, [[], [], []]
    failure, born = [f.exponential(mtbf) for f in fail], gap.exponential(50)
    calls, repair = [], None
    sunk, lead, busy, blocked, working, t = 0, 0.0, 0.0, 0.0, 0.0, 0.0
    while True:
        at = [end, born, *failure] + [d for d, s in zip(done, state) if s == "busy"] + ([repair[0]] if repair else [])
        now = min(at)
        busy += (now - t) * state.count("busy") / 3
        blocked += (now - t) * (state[0] == "blocked")
        working += (now - t) * (repair is not None)
        t, near = now, 5e-10
        if t >= end:
            break
        if abs(t - born) < near:
            buffers[0].append(t)
            born = t + gap.exponential(50)
        for i in range(3):
            if state[i] == "busy" and abs(done[i] - t) < near:
                state[i] = "blocked"
            if abs(failure[i] - t) < near:
                failure[i] = t + fail[i].exponential(mtbf)
                if state[i] == "busy":
                    state[i] = "down"
                    calls.append(i)
        if repair and abs(repair[0] - t) < near:
            state[repair[1]], repair = "idle", None
        if not repair and calls:
            repair = (t + mechanic.lognormal(480, 240), calls.pop(0))
        moved = True
        while moved:
            moved = False
            for i in (2, 1, 0):
                if state[i] == "blocked" and (i == 2 or len(buffers[i + 1]) < capacity[i + 1]):
                    part, state[i], moved = buffers[i].pop(0), "idle", True
                    if scrap[i].u() >= share[i]:
                        if i < 2:
                            buffers[i + 1].append(part)
                        else:
                            sunk, lead = sunk + 1, lead + t - part
                if state[i] == "idle" and buffers[i]:
                    state[i], moved = "busy", True
                    done[i] = t + cycle[i].lognormal(mean[i], 0.1 * mean[i])
    return {
        "sink.n": sunk, "st.level": [len(b) for b in buffers], "rate": sunk / end * H, "lead": lead / sunk / 60,
        "utilisation": 100 * busy / end, "blocked": 100 * blocked / end, "mechanic": 100 * working / end,
    }


for name, mtbf in (("three_shifts", 2 * H), ("heavy_wear", H / 2)):
    print(name, simulate(7, mtbf, 24 * H))
