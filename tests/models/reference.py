#!/usr/bin/env python3
"""The reference models' equations written down a second time, for the figures of `tests/models.rs`.

SciPy's DOP853 or Radau at 1e-11 with events located by its own root finder; no output of twinc is used:

    pip install numpy scipy && python3 tests/models/reference.py ../shared/models
"""
import csv
import heapq
import math
import pathlib
import random
import statistics
import sys

import numpy as np
from scipy.integrate import solve_ivp

MODELS = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "../shared/models")
TIGHT = dict(rtol=1e-11, atol=1e-12)


def event(f, direction=1):
    f.terminal, f.direction = True, direction
    return f


def show(name, **figures):
    print(name)
    for key, value in figures.items():
        print(f"    {key:24} {value:.9g}")


def heating_skid():
    def run(end, m, load, stuck_at):
        c, UA, tau, P, amb = 4186, 15, 20, 12e3, 293.15
        t, x, mode, since = 0.0, np.array([293.15, 293.15, 0.0, 0.0]), "off", 0.0
        starts, trip, late, rows = 0, None, [], []
        edges = sorted({0.0, end, *[e for e in (3600.0, 7200.0, 14400.0) if e < end]})
        while t < end:
            heat = P if mode == "heating" or (stuck_at is not None and t >= stuck_at) else 0.0
            q = load if 7200 <= t < 14400 else 0.0

            def f(t, x):
                return [(heat - UA * (x[0] - amb) - q) / (m * c), (x[0] - x[1]) / tau, heat, 0.0]
            stop = min(e for e in edges if e > t)
            if mode == "off":
                stop = min(stop, since + 60)
            watch = [] if mode == "tripped" else [event(lambda t, x: x[1] - 348.15)]
            if mode == "ready":
                watch.append(event(lambda t, x: x[1] - 331.15, -1))
            if mode == "heating":
                watch.append(event(lambda t, x: x[1] - 335.15))
            s = solve_ivp(f, (t, stop), x, "DOP853", events=watch, dense_output=True, **TIGHT)
            a = max(t, 3600.0)
            if s.t[-1] > a:
                late += [*s.sol(np.linspace(a, s.t[-1], 200))[0]]
            t, x = s.t[-1], s.y[:, -1]
            if s.status == 1 and len(s.t_events[0]):
                mode, trip = "tripped", t
            elif s.status == 1:
                mode, starts = ("heating", starts + 1) if mode == "ready" else ("off", starts)
                since = t
            elif mode == "off" and t >= since + 60:
                mode = "ready"
            if mode == "ready" and x[1] < 331.15:
                mode, starts = "heating", starts + 1
        return x, starts, trip, late

    x, starts, _, late = run(6 * 3600.0, 190, 5e3, None)
    show("01 day", T_min=min(late) - 273.15, T_max=max(late) - 273.15, starts=starts, kWh=x[2] / 3.6e6,
         T_end=x[0] - 273.15)
    x, starts, trip, late = run(3 * 3600.0, 200, 0, 3600.0)
    show("01 stuck_relay", T_end=x[0] - 273.15, T_at_1h=late[0] - 273.15, rise=x[0] - late[0], trip=trip,
         starts=starts, kWh=x[2] / 3.6e6)


def cstr():
    V, q0, cf, Tf, rc = 0.1, 0.1 / 60, 1000.0, 350.0, 239e3
    dH, ER, k0, UA0 = -5e4, 8750.0, 7.2e10 / 60, 5e4 / 60
    qq0, Tq, Tc = 0.3 / 60, 288.15, 300.0

    def rhs(cooling, quench):
        def f(t, x):
            c, T, _ = x
            r = k0 * np.exp(-ER / T) * c
            qq, feed = (qq0, 0.0) if quench else (0.0, q0)
            return [(feed * (cf - c) - qq * c - V * r) / V,
                    (feed * rc * (Tf - T) + qq * rc * (Tq - T) - V * r * dH + cooling * UA0 * (Tc - T)) / (V * rc),
                    V * r]
        return f

    tight = dict(rtol=1e-11, atol=1e-10)

    def run(cooling, armed):
        x = solve_ivp(rhs(1.0, False), (0, 600), [880.0, 324.5, 0.0], "Radau", **tight).y[:, -1]
        f = rhs(cooling, False)
        trip = event(lambda t, x: min(f(t, x)[1] - 5 / 60, x[1] - 330) if armed else -1.0)
        s = solve_ivp(f, (600, 2400), x, "Radau", events=[trip], dense_output=True, max_step=1.0, **tight)
        hottest, tripped, end = s.y[1].max(), s.t[-1], s.t[-1]
        x = s.y[:, -1]
        if armed:
            s = solve_ivp(rhs(cooling, True), (tripped, 2400), x, "Radau", dense_output=True, max_step=1.0, **tight)
            hottest = max(hottest, s.y[1].max())
            end = next(t for t in np.arange(605, 2401, 5.0) if t > tripped and s.sol(t)[1] < 310)
            x = s.sol(end)
        return dict(hottest=hottest, trip=tripped, end=end, c=x[0], T=x[1], made=x[2])

    show("07 coolant_loss", **run(0.0, True))
    show("07 coolant_loss/weak_cooling", **run(0.6, True))
    show("07 unprotected", **run(0.0, False))


def stick_slip():
    m, k, d, N, ms, mk = 1.0, 100.0, 0.5, 9.81, 0.6, 0.4
    t, x, mode, vb = 0.0, np.array([0.0, 0.1]), "stick", 0.1
    changes, breaks, xs = [], [], []
    at6 = None
    while t < 10:
        if mode == "stick":
            x[1] = vb
            f = lambda t, x: [x[1], 0.0]
            watch = [event(lambda t, x: k * x[0] + d * x[1] - ms * N), event(lambda t, x: -k * x[0] - d * x[1] - ms * N)]
        else:
            F = mk * N if mode == "back" else -mk * N
            f = lambda t, x: [x[1], (F - k * x[0] - d * x[1]) / m]
            watch = [event(lambda t, x: x[1] - vb, 1 if mode == "back" else -1)]
        stop = 8.0 if t < 8 else 10.0
        s = solve_ivp(f, (t, stop), x, "DOP853", events=watch, dense_output=True, **TIGHT)
        xs.append((t, s.t[-1], s.sol))
        t, x = s.t[-1], s.y[:, -1].copy()
        if s.status == 0 and t == 8.0:
            vb = 0.3
            if mode == "stick":
                mode = "back" if x[1] - vb < 0 else "fwd"
                changes.append(t)
        elif s.status == 1:
            changes.append(t)
            if mode == "stick":
                mode = "back" if len(s.t_events[0]) else "fwd"
                breaks.append(t)
            else:
                sticks = abs(k * x[0] + d * x[1]) <= ms * N
                mode = "stick" if sticks else ("fwd" if mode == "back" else "back")
    early = np.concatenate([s(np.linspace(a, b, 5001))[0] for a, b, s in xs if b <= 8])
    late = np.concatenate([s(np.linspace(a, b, 5001))[0] for a, b, s in xs if a >= 8])
    before = [c for c in changes if c < 8]
    show("11 belt", first=changes[0], second=changes[1], cycle=breaks[2] - breaks[1], x_min=early.min(),
         x_max=early.max(), x_max_late=late.max(), x_min_late=late.min(), changes_before_8=len(before),
         changes=len(changes), x_end=x[0], v_end=x[1], x7=[s for a, b, s in xs if a <= 7 < b][0](7)[0])
    for c in changes:
        print(f"        {c:.9f}")

    vs, vst = 1e-3, 5e-3

    def smooth(t, x):
        vr = x[1] - 0.1
        F = -N * np.tanh(vr / vs) * (mk + (ms - mk) * np.exp(-((vr / vst) ** 2)))
        return [x[1], (F - k * x[0] - d * x[1]) / m]
    s = solve_ivp(smooth, (0, 10), [0.0, 0.1], "Radau", rtol=1e-9, atol=1e-11, dense_output=True)
    show("11 smooth_belt", x_max=s.y[0].max(), x_min=s.y[0].min(), x1=s.sol(1.0)[0], x10=s.y[0][-1])


def pendulum():
    g, L = 9.81, 1.0

    def f(t, y):
        return [y[1], -g / L * np.sin(y[0])]
    th = np.radians(30)
    back = solve_ivp(f, (0, 3), [th, 0.0], "DOP853", events=[event(lambda t, y: y[1] if t > 1.5 else 1.0, -1)], **TIGHT)
    s = solve_ivp(f, (0, 20), [th, 0.0], "DOP853", **TIGHT)
    show("04 swing", period=back.t[-1], theta20=np.degrees(s.y[0, -1]),
         rod0=0.5 * g * np.cos(th), E=0.5 * g * (1 - np.cos(th)))
    s = solve_ivp(f, (0, 5), [0.0, 8.0], "DOP853", dense_output=True, **TIGHT)
    y = s.sol(np.linspace(0, 5, 500001))
    rod = 0.5 * (L * y[1] ** 2 + g * np.cos(y[0]))
    show("04 looping", rod_min=rod.min(), rod_max=rod.max(), x5=np.sin(s.y[0, -1]), y5=-np.cos(s.y[0, -1]))

    l, m = 0.5, 0.5

    def double(t, y):
        a, b, w, v = y
        M = np.array([[2 * m * l * l, m * l * l * np.cos(a - b)], [m * l * l * np.cos(a - b), m * l * l]])
        r = np.array([-m * l * l * v * v * np.sin(a - b) - 2 * m * g * l * np.sin(a),
                      m * l * l * w * w * np.sin(a - b) - m * g * l * np.sin(b)])
        return [w, v, *np.linalg.solve(M, r)]
    s = solve_ivp(double, (0, 2), [np.radians(60), np.pi / 2, 0, 0], "DOP853", dense_output=True, **TIGHT)
    for t in (1.0, 2.0):
        a, b = s.sol(t)[:2]
        show(f"04 chaos at {t}", x=l * np.sin(a), y=-l * np.cos(a), x2=l * (np.sin(a) + np.sin(b)),
             y2=-l * (np.cos(a) + np.cos(b)))


def building():
    with open(MODELS / "weather.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    tw = np.array([float(r["time"]) for r in rows])
    To, sun = np.array([float(r["T_out"]) + 273.15 for r in rows]), np.array([float(r["sun"]) for r in rows])
    Ca, Cw, UA, Ui, V, win, ach = 1.5e6, 25e6, 120.0, 900.0, 600.0, 18.0, 0.4 / 3600
    x = np.array([291.15, 290.15, 420e-6, 0.0, 0.0, 0.0])
    edges = sorted({*[d * 86400 + h * 3600 for d in range(7) for h in range(24)], 7 * 86400})
    worst, co2, cold = {}, 0.0, 0.0
    for a, b in zip(edges, edges[1:]):
        hour, day = (a % 86400) // 3600, a // 86400
        working = day < 5 and 8 <= hour < 18
        price = (0.38 if 7 <= hour < 21 else 0.24) / 3.6e6
        Tset = 294.15 if 6 <= hour < 18 else 289.15
        n, vent = (20, 800 / 3600) if working else (0, 0.0)

        def f(t, x):
            T, Tw, c = x[:3]
            out, s = np.interp(t, tw, To), np.interp(t, tw, sun)
            q = np.clip(4e3 * (Tset - T), 0, 12e3)
            cop = np.clip(0.45 * 318 / max(318 - out, 5), 1, 6)
            flow = vent + ach * V
            return [(UA * (out - T) + Ui * (Tw - T) + q + n * 90 + 0.5 * win * s + 1200 * flow * 0.4 * (out - T)) / Ca,
                    Ui * (T - Tw) / Cw, (n * 18e-3 / 3600 - flow * (c - 420e-6)) / V, price * q / cop, q / cop,
                    max(293.65 - T, 0) if working else 0.0]
        s = solve_ivp(f, (a, b), x, "Radau", rtol=1e-9, atol=[1e-9, 1e-9, 1e-13, 1e-9, 1e-3, 1e-6],
                      dense_output=True, max_step=120)
        grid = s.sol(np.linspace(a, b, 721))
        if working:
            lo, hi = grid[0].min(), grid[0].max()
            worst.setdefault(day, []).append((np.linspace(a, b, 721)[grid[0].argmin()], lo, hi))
        co2 = max(co2, grid[2].max())
        x = s.y[:, -1]
    show("14 winter_week", T_min=min(w[1] for d in worst.values() for w in d) - 273.15,
         T_max=max(w[2] for d in worst.values() for w in d) - 273.15, co2=co2 * 1e6, cost=x[3], used=x[4] / 3.6e6,
         cold_hours=x[5] / 3600, T_end=x[0] - 273.15)
    for day, w in worst.items():
        when, low, _ = min(w, key=lambda v: v[1])
        print(f"        day {day}: from {low - 273.15:.4f} (at {when:.0f} s) to {max(v[2] for v in w) - 273.15:.4f} degC")


def fleet(trucks, runs=2000):
    """Events alone: a truck is free, on a job or charging; who is nearest of those with charge for twice the trip gets the job."""
    speed, use, side, end = 30 / 3.6, 0.9 * 3.6e6 / 1000, 2000.0, 8 * 3600

    def run(rng):
        all_trucks = [{"at": (50.0 * i, 0.0), "cap": 20 * 3.6e6 * rng.gauss(1, 0.05), "free": True} for i in range(trucks)]
        for t in all_trucks:
            t["E"] = t["cap"]
        queue, count, waiting, done, driven = [(rng.expovariate(1 / 180), 0, None, None)], 0, [], 0, 0.0

        def push(t, what, job):
            nonlocal count
            count += 1
            heapq.heappush(queue, (t, count, what, job))

        def request(t, job):
            source, target, _ = job
            trip = math.dist(source, target)
            able = [x for x in all_trucks
                    if x["free"] and x["E"] >= 2 * use * (math.dist(x["at"], source) + trip)]
            if not able:
                if len(waiting) <= 20:
                    waiting.append((source, target, False))
                return
            best = min(able, key=lambda x: math.dist(x["at"], source))
            best["free"] = False
            way = max(math.dist(best["at"], source) - 1, 0) + max(trip - 1, 0)
            push(t + 120 + way / speed, best, (job, way))

        while queue:
            t, _, truck, job = heapq.heappop(queue)
            if t > end:
                break
            if truck is None:
                place = lambda: (rng.uniform(0, side), rng.uniform(0, side))
                request(t, (place(), place(), True))
                push(t + rng.expovariate(1 / 180), None, None)
            elif job is None:
                truck["E"], truck["free"] = 0.95 * truck["cap"], True
            else:
                (_, target, own), way = job
                truck["E"] -= use * way
                truck["at"] = target
                driven += way
                if truck["E"] > 0.3 * truck["cap"]:
                    truck["free"] = True
                else:
                    push(t + (0.95 * truck["cap"] - truck["E"]) / 50e3, truck, None)
                done += own
                if waiting:
                    request(t, waiting.pop(0))
        return done / 8, driven * use / 3.6e6 / max(done, 1)

    rng = random.Random(1)
    figures = list(zip(*(run(rng) for _ in range(runs))))
    for name, x in zip(["jobs_per_h", "energy_per_job"], figures):
        print(f"09 fleet of {trucks}: {name} {statistics.mean(x):.4f}, deviation {statistics.pstdev(x):.4f}")


if __name__ == "__main__":
    fleet(40)
    fleet(4)
    heating_skid()
    cstr()
    stick_slip()
    pendulum()
    building()
