#!/usr/bin/env python3
"""Expected results of the examples, from equations written down a second time.

Each example gets `expected.csv`: scenario, time [s], column, value in the unit of the result file, and
the allowed deviation. Values come from closed forms where there are any and else from SciPy's DOP853 or
Radau at 1e-12; no output of twinc is used. Run it after changing an example:

    pip install numpy scipy && python3 twinml-examples/reference.py
"""
import csv
import pathlib

import numpy as np
from scipy.integrate import solve_ivp
from scipy.optimize import brentq

HERE = pathlib.Path(__file__).parent


def table(name):
    with open(HERE / name, newline="") as f:
        rows = list(csv.DictReader(f))
    return {k: np.array([float(r[k]) for r in rows]) for k in rows[0]}


def write(example, rows):
    with open(HERE / example / "expected.csv", "w", newline="") as f:
        f.write("scenario,time,column,value,tolerance\n")
        for scenario, time, column, value, tolerance in rows:
            f.write(f"{scenario},{time:g},{column},{value:.10g},{tolerance:.2g}\n")


def pieces(f, x, edges, method="DOP853"):
    """Integrates over the pieces between edges; {edge: state}."""
    at = {edges[0]: np.array(x, float)}
    for a, b in zip(edges, edges[1:]):
        s = solve_ivp(f, (a, b), at[a], method, rtol=1e-12, atol=1e-12)
        assert s.success, s.message
        at[b] = s.y[:, -1]
    return at


def tank_farm():
    n, i = 6, np.arange(6)
    hset = 3 + 0.25 * i

    def flows(h, u, speed):
        def inlet(p):
            dp = p - 870 * 9.81 * h
            return 1.2e-4 * u * dp / (dp**2 + 1e4) ** 0.25
        p = brentq(lambda p: p - speed**2 * 2.5e5 + 4.5e7 * (q := inlet(p).sum()) * abs(q), -1e6, 1e6,
                   xtol=1e-9, rtol=1e-15)
        return p, inlet(p), 0.004 * np.sqrt(np.maximum(h, 0))

    def f(speed):
        def g(t, x):
            h, u, hb = x[:n], x[n:2 * n], x[-1]
            _, q_in, q_out = flows(h, u, speed)
            over = 0.06 * (hb - 1.2) ** 1.5 if hb > 1.2 else 0.0
            pumped = 110 / 3600 * np.clip(hb / 0.1, 0, 1)
            return np.concatenate([(q_in - q_out) / 12, (np.clip(2 * (hset - h), 0, 1) - u) / 20,
                                   [(q_out.sum() - over - pumped) / 30]])
        return g

    at = pieces(f(1.0), np.concatenate([1 + 0.3 * i, np.full(n, 0.5), [0.8]]), [0, 1800, 3600, 7200], "Radau")
    at |= pieces(f(0.9), at[7200], [7200, 8000, 9000], "Radau")
    at |= pieces(f(1.0), at[9000], [9000, 14400], "Radau")
    rows = []
    for t in (1800, 3600, 8000, 14400):
        x = at[t]
        for k in (0, 5):
            rows.append(("cold_start", t, f"tanks[{k}].h", x[k], 2e-5))
        rows.append(("cold_start", t, "basin.h", x[-1], 2e-5))
        p, _, _ = flows(x[:n], x[n:2 * n], 0.9 if t == 8000 else 1.0)
        rows.append(("cold_start", t, "pump.p", p / 1e5, 2e-5))
    over = 0.06 * max(at[14400][-1] - 1.2, 0) ** 1.5 * 3600
    rows.append(("cold_start", 14400, "basin.overflow", over, 2e-3))
    write("tank_farm", rows)


def room_weather():
    w = table("room_weather/weather.csv")

    def f(t, x):
        T, Tw, _ = x
        out, sun = np.interp(t, w["time"], w["T_out"]) + 273.15, np.interp(t, w["time"], w["sun"])
        P = np.clip(800 * (293.15 - T), 0, 1500)
        return [(25 * (out - T) + 220 * (Tw - T) + P + 0.6 * 3.5 * sun) / 0.8e6,
                (220 * (T - Tw) + 18 * (out - Tw)) / 9e6, P]

    edges = [float(t) for t in w["time"] if t <= 259200]
    at = pieces(f, [292.15, 291.15, 0], edges)
    rows = []
    for t in (36000.0, 129600.0, 259200.0):
        T, Tw, used = at[t]
        rows += [("three_days", t, "room.T", T - 273.15, 2e-4), ("three_days", t, "room.Tw", Tw - 273.15, 2e-4),
                 ("three_days", t, "used", used / 3.6e6, 2e-4)]
    write("room_weather", rows)


def battery_cell():
    prof, ocv = table("battery_cell/current.csv"), table("battery_cell/ocv.csv")

    def at(t):
        soc, v1, v2, now = 0.95, 0.0, 0.0, 0.0
        for t0, t1, i in zip(prof["time"], np.append(prof["time"][1:], np.inf), prof["i"]):
            d = min(t, t1) - t0
            if d <= 0:
                break
            soc -= i * d / 9000
            v1 = 0.012 * i + (v1 - 0.012 * i) * np.exp(-d / (0.012 * 1800))
            v2 = 0.018 * i + (v2 - 0.018 * i) * np.exp(-d / (0.018 * 28000))
            now = i
        return soc, v1, v2, now

    rows = []
    # The voltage where the charge stands on a point of the table, so that no interpolation is judged.
    for t in (480.0, 840.0):
        soc, v1, v2, i = at(t)
        k = int(np.argmin(abs(ocv["soc"] - 100 * soc)))
        assert abs(ocv["soc"][k] - 100 * soc) < 1e-9
        rows.append(("pulses", t, "v", ocv["ocv"][k] - 0.022 * i - v1 - v2, 1e-6))
    for t in (1000.0, 2000.0, 4000.0, 7200.0):
        soc, v1, v2, i = at(t)
        rows.append(("pulses", t, "soc", 100 * soc, 1e-6))
        rows.append(("pulses", t, "heat", 0.022 * i**2 + v1**2 / 0.012 + v2**2 / 0.018, 1e-6))
    write("battery_cell", rows)


def stirred_reactor():
    def f(Tc):
        def g(t, x):
            ca, T = x
            r = 7.2e10 / 60 * np.exp(-8750 / T) * ca
            return [(1000 - ca) / 60 - r,
                    (350 - T) / 60 + 5e4 * r / (1000 * 239) + 833.3333333333334 * (Tc - T) / (1000 * 239 * 0.1)]
        return g

    start = [500, 350]
    rows = []
    at = pieces(f(300), start, [0, 60, 120, 300, 600], "Radau")
    for t in (60, 120, 300, 600):
        rows += [("steady", t, "ca", at[t][0] / 1000, 2e-6), ("steady", t, "T", at[t][1], 2e-3)]
    hot = pieces(f(305), at[60], [60, 120, 300, 600], "Radau")
    for t in (120, 300, 600):
        rows += [("runaway", t, "ca", hot[t][0] / 1000, 1e-4), ("runaway", t, "T", hot[t][1], 5e-2)]
    write("stirred_reactor", rows)


def dc_motor():
    def f(load):
        def g(t, x):
            i, w = x
            return [(24 - 0.5 * i - 0.08 * w) / 1.5e-3, (0.08 * i - 1e-4 * w - 2e-6 * w * abs(w) - load) / 3.2e-4]
        return g

    a = pieces(f(0), [0, 0], [0, 0.005, 0.02, 0.5])
    b = pieces(f(0.4), a[0.5], [0.5, 0.51, 1.0])
    rows = []
    for t, x in [(0.005, a[0.005]), (0.02, a[0.02]), (0.51, b[0.51]), (1.0, b[1.0])]:
        rows += [("start", t, "motor.i", x[0], 1e-5), ("start", t, "motor.speed", x[1] * 30 / np.pi, 1e-3)]
    write("dc_motor", rows)


def orbit():
    mu, rp, e = 3.986004418e14, 7e6, 0.6
    a = rp / (1 - e)
    rows = []
    for t in (6000, 11520, 23040, 34560, 46020):
        M = np.sqrt(mu / a**3) * t
        E = brentq(lambda E: E - e * np.sin(E) - M, M - 1, M + 1, xtol=1e-14, rtol=1e-15)
        rows += [("two_orbits", t, "r[0]", a * (np.cos(E) - e) / 1e3, 1e-3),
                 ("two_orbits", t, "r[1]", a * np.sqrt(1 - e**2) * np.sin(E) / 1e3, 1e-3)]
    rows.append(("two_orbits", 46020, "energy", -mu / (2 * a), 0.1))
    write("orbit", rows)


def heat_rod():
    n, k, rho, c = 100, 237.0, 2700.0, 897.0
    dx = 1 / n
    rate = 4 * k / (rho * c) / dx**2 * np.sin(np.pi * dx / 2) ** 2
    rows = []
    for t in (60, 300, 1200):
        for col, x in [("T_mid", 0.495), ("cells[0].T", 0.005), ("cells[24].T", 0.245)]:
            rows.append(("cooling", t, col, 100 * np.sin(np.pi * x) * np.exp(-rate * t), 2e-4))
    write("heat_rod", rows)


def stiff_chemistry():
    def f(t, x):
        a, b, c = x
        return [-0.04 * a + 1e4 * b * c, 0.04 * a - 1e4 * b * c - 3e7 * b * b, 3e7 * b * b]

    rows = []
    for t in (4e8, 4e9, 4e10):
        s = solve_ivp(f, (0, t), [1, 0, 0], "Radau", rtol=1e-11, atol=1e-20)
        assert s.success
        a, b, c = s.y[:, -1]
        rows += [("long", t, "A", a, 2e-5 * a), ("long", t, "B", b, 2e-5 * b), ("long", t, "C", c, 1e-7)]
    write("stiff_chemistry", rows)


for make in (tank_farm, room_weather, battery_cell, stirred_reactor, dc_motor, orbit, heat_rod, stiff_chemistry):
    make()
    print(make.__name__)
