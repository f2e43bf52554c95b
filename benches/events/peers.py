#!/usr/bin/env python3
"""The models of benches/events.rs as people write them with SimPy (events in discrete time) and SciPy (state events).

    python peers.py CASE REPEATS

prints the least CPU time of a run in seconds, the number of events, and a value to compare. SciPy 1.17, SimPy 4.1.
A state event of `solve_ivp` is terminal: the solve is begun again behind it, as its documentation says.
"""

import sys
import time


def ticks():
    import simpy

    n = 0

    def every(env):
        nonlocal n
        while True:
            n += 1
            yield env.timeout(1e-6)

    env = simpy.Environment()
    env.process(every(env))
    env.run(until=0.9999995)
    return n, n


def machines(count):
    import simpy

    class Cell:
        def __init__(self, env):
            self.n = 0
            self.state = "a"
            env.process(self.run(env))

        def run(self, env):
            while True:
                yield env.timeout(0.01)
                if self.state == "a":
                    self.state = "b"
                    self.n += 1
                else:
                    self.state = "a"

    env = simpy.Environment()
    cells = [Cell(env) for _ in range(count)]
    # Sums of 0.01 lie beside the exact instants: half a period more gives as many transitions.
    env.run(until=1000 / count + 0.005)
    return 100_000, sum(c.n for c in cells)


def queue():
    import random

    import simpy

    random.seed(1)
    served = 0

    def customer(env, server):
        nonlocal served
        with server.request() as turn:
            yield turn
            yield env.timeout(random.expovariate(1.0))
        served += 1

    def source(env, server):
        while True:
            yield env.timeout(random.expovariate(0.8))
            env.process(customer(env, server))

    env = simpy.Environment()
    env.process(source(env, simpy.Resource(env, capacity=1)))
    env.run(until=50_000)
    return served, served


def segments(f, event, jump, t, y, end, most):
    from scipy.integrate import solve_ivp

    event.terminal = True
    n = 0
    while t < end and n < most:
        s = solve_ivp(f, (t, end), y, method="DOP853", events=event, rtol=1e-8, atol=1e-10)
        t, y = s.t[-1], s.y[:, -1]
        if s.status == 1:
            n += 1
            y = jump(n, t, y)
    return n, t, y


def ball():
    def height(t, y):
        return y[0]

    height.direction = -1
    last = 0.0

    def bounce(n, t, y):
        nonlocal last
        last = t
        return [0.0, -0.8 * y[1]]

    n, _, _ = segments(lambda t, y: [y[1], -9.81], height, bounce, 0.0, [1.0, 0.0], 4.0, 20)
    return n, last


def thermostat():
    from scipy.integrate import solve_ivp

    on, t, y, n, last, end = True, 0.0, [290.0], 0, 0.0, 36000.0
    while t < end:
        level = 294.0 if on else 292.0

        def edge(t, y):
            return y[0] - level

        edge.terminal, edge.direction = True, 1 if on else -1
        heat = 0.05 if on else 0.0
        s = solve_ivp(
            lambda t, y: [heat - (y[0] - 278.0) / 600.0], (t, end), y, method="DOP853", events=edge, rtol=1e-8, atol=1e-10
        )
        t, y = s.t[-1], [level]
        if s.status == 1:
            n, on, last = n + 1, not on, t
    return n, last


CASES = {
    "ticks": ticks,
    "machine": lambda: machines(1),
    "machines": lambda: machines(10_000),
    "queue": queue,
    "ball": ball,
    "thermostat": thermostat,
}

if __name__ == "__main__":
    best = float("inf")
    for _ in range(int(sys.argv[2])):
        begin = time.process_time()
        events, value = CASES[sys.argv[1]]()
        best = min(best, time.process_time() - begin)
    print(best, events, repr(float(value)))
