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


def thermostat():
    C, UA, env = 420e3, 8.0, 293.15

    def run(scenario, end, draw, welded, reset):
        """Phases in closed form: T tends to env + (power - draw)/UA with the time constant C/UA."""
        t, T, used, mode, since, starts, out = 0.0, 293.15, 0.0, "ready", 0.0, 0, {}
        edges = sorted({end, *draw, *welded, reset, *np.arange(0, end, 1800.0)})
        while t < end:
            if mode == "ready" and T < 335.15:
                mode, starts = "heating", starts + 1
            stuck = welded[0] <= t < welded[1]
            power = 3e3 if mode == "heating" or stuck else 0.0
            goal = env + (power - (2.5e3 if draw[0] <= t < draw[1] else 0.0)) / UA
            at = lambda dt: goal + (T - goal) * np.exp(-UA / C * dt)
            stop = min([e for e in edges if e > t] + ([since + 1800.0] if mode == "resting" else []))
            level = {"heating": 338.15, "ready": 335.15}.get(mode, 1e9)
            level = min(level, 348.15) if mode != "tripped" else 1e9
            if mode == "resting":
                level = 348.15
            what = "time"
            for limit in {level, 348.15 if mode != "tripped" else 1e9}:
                if (T - limit) * (at(stop - t) - limit) < 0:
                    stop, what = t + brentq(lambda dt: at(dt) - limit, 0, stop - t, xtol=1e-12), limit
            used += power * (stop - t)
            T, t = (what if what != "time" else at(stop - t)), stop
            if what == 348.15:
                mode = "tripped"
            elif what == 338.15:
                mode, since = "resting", t
            elif what == 335.15:
                mode, starts = "heating", starts + 1
            elif mode == "resting" and t >= since + 1800.0:
                mode = "ready"
            if mode == "tripped" and t == reset:
                mode, since = "resting", t
            out[t] = (T - 273.15, used / 3.6e6, starts, mode == "tripped")
        return out

    rows = []
    bath = run("bath", 43200.0, (21600.0, 25200.0), (1e9, 2e9), 1e9)
    for t in (3600.0, 7200.0, 23400.0, 25200.0, 43200.0):
        rows += [("bath", t, "heater.T", bath[t][0], 1e-5), ("bath", t, "heater.used", bath[t][1], 1e-6),
                 ("bath", t, "ctl.starts", bath[t][2], 0)]
    weld = run("welded", 43200.0, (1e9, 2e9), (14400.0, 18000.0), 39600.0)
    for t in (14400.0, 18000.0, 21600.0, 36000.0, 43200.0):
        rows += [("welded", t, "heater.T", weld[t][0], 1e-5)]
    write("thermostat", rows)


def buck_converter():
    Vin, L, C, T, duty = 12.0, 22e-6, 47e-6, 10e-6, 0.4

    def phase(x, R, u, dt):
        """(i, v) after dt with L i' = u - v, C v' = i - v/R, in closed form by the eigenvalues."""
        A = np.array([[0, -1 / L], [1 / C, -1 / (R * C)]])
        rest = np.array([u / R, u])
        w, P = np.linalg.eig(A)
        return (P @ (np.exp(w * dt) * np.linalg.solve(P, (x - rest).astype(complex)))).real + rest

    x, R, rows = np.zeros(2), 2.0, []
    for k in range(1200):
        if k == 300:
            R = 100.0
        x = phase(x, R, Vin, duty * T)
        if k in (49, 249, 599, 1149):
            rows += [("light_load", (k + duty) * T, "i", x[0], 2e-7), ("light_load", (k + duty) * T, "v", x[1], 2e-7)]
        y, rest = phase(x, R, 0.0, (1 - duty) * T), (1 - duty) * T
        if y[0] < 0:
            run = brentq(lambda dt: phase(x, R, 0.0, dt)[0], 0, rest, xtol=1e-20)
            v = phase(x, R, 0.0, run)[1] * np.exp(-(rest - run) / (R * C))
            y = np.array([0.0, v])
        x = y
    write("buck_converter", rows)


def bouncing_ball():
    g, e, rest = 9.81, 0.8, 5e-3
    rows = []
    for t in (0.4, 0.5, 1.0, 2.0, 3.0, 3.5, 5.0):
        # Flights are parabolas; the n-th begins with e^n of the first impact's speed.
        left, v, n, h = t - np.sqrt(2 / g), np.sqrt(2 * g), 0, 1 - 0.5 * g * t * t
        if left > 0:
            h = 0.0
            while e * v >= rest:
                v, n = e * v, n + 1
                if left < 2 * v / g:
                    h = v * left - 0.5 * g * left * left
                    break
                left -= 2 * v / g
        rows += [("drop", t, "h", h, 1e-8), ("drop", t, "bounces", n, 0)]
    write("bouncing_ball", rows)


def stick_slip():
    m, k, V, Fs, Fk = 2.0, 80.0, 0.02, 6.0, 4.0
    w = np.sqrt(k / m)
    times, rows = (2.0, 5.0, 10.0, 15.0, 20.0, 29.0), []
    t, x, slips = 0.0, 0.0, 0
    todo = list(times)
    while todo:
        # Sticking until k(Vt - x) = Fs; then m x'' = k(Vt - x) - Fk from rest, in closed form.
        start = (Fs / k + x) / V
        while todo and todo[0] <= start:
            rows += [("pull", todo[0], "x", 1e3 * x, 2e-5), ("pull", todo[0], "slips", slips, 0)]
            todo.pop(0)
        slips += 1
        slide = lambda s: (V * (start + s) - Fk / k - ((V * start - Fk / k) - x) * np.cos(w * s) - V / w * np.sin(w * s))
        speed = lambda s: V + ((V * start - Fk / k) - x) * w * np.sin(w * s) - V * np.cos(w * s)
        length = brentq(speed, np.pi / w, 1.9999 * np.pi / w, xtol=1e-15)
        while todo and todo[0] <= start + length:
            rows += [("pull", todo[0], "x", 1e3 * slide(todo[0] - start), 2e-5), ("pull", todo[0], "slips", slips, 0)]
            todo.pop(0)
        t, x = start + length, slide(length)
    write("stick_slip", rows)


def sampled_controller():
    T, K, Kp, Kd, Ts, lag = 0.2, 1.0, 8.0, 0.9, 0.01, 0.005

    def go(x, u, dt):
        y, v = x
        e = np.exp(-dt / T)
        return (y + K * u * dt + T * (v - K * u) * (1 - e), K * u + (v - K * u) * e)

    x, u, rows = (0.0, 0.0), 0.0, []
    for k in range(400):
        t = round(k * Ts, 9)
        if k in (15, 30, 60, 100, 200, 390):
            rows += [("steady", t, "axis.y", x[0], 1e-8), ("steady", t, "ctl.command", u, 1e-7)]
        wish = np.clip(Kp * ((1.0 if t >= 0.1 else 0.0) - x[0]) - Kd * x[1], -10, 10)
        x = go(x, u, lag)
        u = wish
        x = go(x, u, Ts - lag)
    # Of the jitter what the draws cannot change: that it settles, and how often the controller ran.
    rows += [("jitter", 3.9, "axis.y", 1.0, 1e-4), ("jitter", 3.9, "ctl.ticks", 390, 0)]
    write("sampled_controller", rows)


def optical_trap():
    kT, gamma = 1.380649e-23 * 300, 6 * np.pi * 0.001 * 1e-6
    rows = []
    for i, k in enumerate((1e-6, 1e-6, 0.2e-6)):
        tau, end, h = gamma / k, 100, 0.2e-3
        # The stationary variance of Euler-Maruyama is kT/k over 1 - h/(2 tau); the mean of x^2 over a time T deviates
        # from its expectation by sqrt(2 tau/T) of it (one standard deviation), and starts at 0.
        mean = (1 - tau / (2 * end)) / (1 - h / (2 * tau))
        rows.append(("watch", end, f"share[{i}]", mean, 4 * np.sqrt(2 * tau / end)))
        rows.append(("watch", end, f"x[{i}]", 0, 4e9 * np.sqrt(kT / k)))
    write("optical_trap", rows)


def theophylline():
    """Bateman's function for each dose, added up (doses at an instant count behind it)."""
    ka, CL, ke, dose, gap, rows = 1.571, 0.0402, 0.0878, 4.0, 8.0, []
    for t in (0.5, 2, 7.5, 9, 24, 50, 72, 95.5):
        since = [t - k * gap for k in range(13) if k * gap < t]
        c = sum(dose * ka * ke / (CL * (ka - ke)) * (np.exp(-ke * s) - np.exp(-ka * s)) for s in since)
        rows.append(("three_a_day", t * 3600, "c", c, 1e-7))
    write("theophylline", rows)


for make in (tank_farm, room_weather, battery_cell, stirred_reactor, dc_motor, orbit, heat_rod, stiff_chemistry, thermostat,
             buck_converter, bouncing_ball, stick_slip, sampled_controller, optical_trap,
             theophylline):
    make()
    print(make.__name__)
