#!/usr/bin/env python3
"""The production line (08) as an event-driven simulation of its own: means of its KPIs over many seeds, for `tests/models.rs`.

Python's own random numbers, so only distributions can agree: `python3 tests/models/line.py 600 7200` (runs, MTBF in s)."""
import heapq
import math
import random
import statistics
import sys


def lognormal(r, mean, sd):
    s2 = math.log(1 + (sd / mean) ** 2)
    return r.lognormvariate(math.log(mean) - s2 / 2, math.sqrt(s2))


def run(seed, mtbf, end=86400.0):
    r, queue, number, now = random.Random(seed), [], 0, 0.0
    cycle, scrap, capacity = [38.0, 42.0, 35.0], [0.01, 0.02, 0.0], [1000, 5, 5]
    buffers, state, epoch = [[], [], []], ["idle"] * 3, [0] * 3
    parts, lead, repairing, calls = 0, 0.0, False, []
    busy = blocked = working = 0.0
    most, least = 0, math.inf

    def at(t, f, *args):
        nonlocal number
        number += 1
        heapq.heappush(queue, (t, number, f, args))

    def advance():
        """Idle stations start and blocked ones hand on, as long as any can."""
        nonlocal parts, lead
        moved = True
        while moved:
            moved = False
            for k in range(3):
                if state[k] == "idle" and buffers[k]:
                    state[k], epoch[k], moved = "busy", epoch[k] + 1, True
                    at(now + lognormal(r, cycle[k], 0.1 * cycle[k]), done, k, epoch[k])
                elif state[k] == "blocked" and not (k < 2 and len(buffers[k + 1]) >= capacity[k + 1]):
                    born, state[k], moved = buffers[k].pop(0), "idle", True
                    if r.random() >= scrap[k]:
                        if k < 2:
                            buffers[k + 1].append(born)
                        else:
                            parts, lead = parts + 1, lead + now - born

    def arrive():
        buffers[0].append(now)
        advance()
        at(now + r.expovariate(1 / 50), arrive)

    def done(k, e):
        if state[k] == "busy" and epoch[k] == e:
            state[k] = "blocked"
            advance()

    def fail(k):
        if state[k] == "busy":
            state[k] = "down"
            calls.append(k)
            serve()
        at(now + r.expovariate(1 / mtbf), fail, k)

    def serve():
        nonlocal repairing
        if not repairing and calls:
            repairing = True
            at(now + lognormal(r, 480, 240), repaired, calls.pop(0))

    def repaired(k):
        nonlocal repairing
        repairing, state[k] = False, "idle"
        advance()
        serve()

    at(r.expovariate(1 / 50), arrive)
    for k in range(3):
        at(r.expovariate(1 / mtbf), fail, k)
    while queue[0][0] <= end:
        t, _, f, args = heapq.heappop(queue)
        if t > 28800:
            least = min(least, parts / t * 3600)
        busy += (t - now) * sum(s == "busy" for s in state) / 3
        blocked += (t - now) * (state[0] == "blocked")
        working += (t - now) * repairing
        now = t
        f(*args)
        most = max(most, sum(map(len, buffers)))
    return dict(rate=parts / end * 3600, lead=lead / parts / 60, utilisation=busy / end * 100, blocked=blocked / end * 100,
                mechanic=working / end * 100, throughput=least >= 55, short_wip=most <= 60)


if __name__ == "__main__":
    runs = [run(seed, float(sys.argv[2])) for seed in range(int(sys.argv[1]))]
    for key in runs[0]:
        values = [float(x[key]) for x in runs]
        sd = statistics.stdev(values)
        print(f"{key:12} {statistics.mean(values):9.4f} +- {sd / len(runs) ** 0.5:.4f}   sd of one run {sd:.3f}")
