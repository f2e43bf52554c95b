#!/usr/bin/env python3
"""Expected results of the production line, from a second simulation of it.

It shares nothing with the first but the random numbers: the same streams (Philox4x32-10, keyed by the seed, counted by
draw, run and a hash of who draws) and the same inversions, so that both must agree in every instant. Where the model
is a set of handlers and machines that wait, this is a table of remaining times that is advanced from event to event.

    python3 twinml-examples/production_line/reference.py
"""
import math
import pathlib
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


# The place of each drawing handler among those of its twin.
SOURCE, SERVER, BREAKDOWNS, CREW = 2, 5, 5, 5


class Station:
    def __init__(self, places, time):
        self.places, self.time = places, time
        self.jobs, self.ready = [], []          # [remaining, born], born
        self.down, self.worked, self.stuck = False, 0.0, 0.0

    def full(self):
        return len(self.jobs) + len(self.ready) >= self.places

    def take(self, born):
        self.jobs.append([self.time(), born])


def simulate(seed, mtbf, marks):
    src = Stream(seed, "source", SOURCE)
    st = [Stream(seed, n, SERVER) for n in ("saw", "weld", "pack")]
    spread = 0.15 * math.sqrt(6)
    saw = Station(1, lambda: st[0].lognormal(60, 15))
    weld = Station(2, lambda: st[1].triangular(125 * (1 - spread), 125, 125 * (1 + spread)))
    pack = Station(1, lambda: 50.0)
    stations, rooms, racks = [saw, weld, pack], [30, 6, 4], [[], [], []]
    fault = [Stream(seed, f"faults[{i}]", BREAKDOWNS) for i in range(3)]
    life = [f.exponential(m) for f, m in zip(fault, mtbf)]
    failures, down_time = [0] * 3, [0.0] * 3
    crew, calls, job = Stream(seed, "crew", CREW), [], None
    repairs, waited = 0, 0.0
    t, shift, held = 0.0, False, False
    born_next = 6 * H + src.exponential(75)
    pieces, lead = 0, 0.0
    switches = []
    for day in range(7):
        if day < 5:
            switches += [(day * 24 + 6) * H, (day * 24 + 22) * H]
    out, marks = {}, list(marks)
    while marks:
        # The next thing that happens.
        at = [marks[0]]
        if switches:
            at.append(switches[0])
        if not held:
            at.append(born_next)
        for s, left in zip(stations, life):
            if shift and not s.down:
                at += [t + left] + [t + j[0] for j in s.jobs]
        if job and shift:
            at.append(t + job[0])
        now = min(at)
        dt = now - t
        for i, s in enumerate(stations):
            if shift and not s.down:
                life[i] -= dt
                s.worked += dt * len(s.jobs)
                for j in s.jobs:
                    j[0] -= dt
            s.stuck += dt * len(s.ready)
            down_time[i] += dt * s.down
        if job and shift:
            job[0] -= dt
        t = now
        near = 1e-6
        if switches and t >= switches[0] - near:
            switches.pop(0)
            shift = not shift
        if not held and t >= born_next - near:
            held = True
        for i, s in enumerate(stations):
            for j in [j for j in s.jobs if j[0] <= near]:
                s.jobs.remove(j)
                s.ready.append(j[1])
            if life[i] <= near and not s.down:
                s.down = True
                failures[i] += 1
                calls.append((i, t))
        if job and job[0] <= near:
            i = job[1]
            stations[i].down = False
            life[i] = fault[i].exponential(mtbf[i])
            repairs += 1
            job = None
        if not job and calls and shift:
            i, since = calls.pop(0)
            waited += t - since
            job = [crew.lognormal(720, 360), i]
        # Parts move, the last station first, until none can.
        moved = True
        while moved:
            moved = False
            if pack.ready:
                pieces += 1
                lead += t - pack.ready.pop(0)
                moved = True
            for i in (2, 1, 0):
                if racks[i] and not stations[i].full():
                    stations[i].take(racks[i].pop(0))
                    moved = True
                if i and stations[i - 1].ready and len(racks[i]) < rooms[i]:
                    racks[i].append(stations[i - 1].ready.pop(0))
                    moved = True
            if held and len(racks[0]) < rooms[0]:
                racks[0].append(t)
                held = False
                born_next = t + src.exponential(75)
                moved = True
        if t >= marks[0] - near:
            marks.pop(0)
            wip = sum(len(r) for r in racks) + sum(len(s.jobs) + len(s.ready) for s in stations)
            out[t] = {
                "wip": (wip, 0), "sink.pieces": (pieces, 0),
                "sink.lead_time": (lead / max(pieces, 1) / 60, 1e-6),
                "saw.utilisation": (100 * saw.worked / t, 1e-6),
                "saw.blocking": (100 * saw.stuck / t, 1e-6),
                "weld.utilisation": (100 * weld.worked / 2 / t, 1e-6),
                "pack.utilisation": (100 * pack.worked / t, 1e-6),
                "crew.waiting": (waited / max(repairs, 1) / 60, 1e-6),
            }
            for i in range(3):
                out[t][f"faults[{i}].failures"] = (failures[i], 0)
                out[t][f"faults[{i}].availability"] = (100 * (1 - down_time[i] / t), 1e-6)
    return out


with open(pathlib.Path(__file__).parent / "expected.csv", "w", newline="") as f:
    f.write("scenario,time,column,value,tolerance\n")
    for scenario, mtbf in (("week", (4 * H, 6 * H, 10 * H)), ("worn", (H, H, 10 * H))):
        for t, values in simulate(4, mtbf, [d * 24 * H for d in (1, 3, 7)]).items():
            for column, (value, tolerance) in values.items():
                f.write(f"{scenario},{t:g},{column},{value:.10g},{tolerance:.2g}\n")
