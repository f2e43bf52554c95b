#!/usr/bin/env python3
"""Computes the reference values of the accuracy problems: `python3 generate.py > references.json`.

Needs numpy and scipy. Each right-hand side is written down here once more, independently of the TwinML
files (but for stiff DETEST, whose equations were copied from one form to the other). Non-stiff problems: DOP853 at rtol 3e-14; stiff ones: Radau at rtol 1e-12 (its own error is then far
below the six digits that are asked). `published` marks values from the problem's own literature instead:
the Test Set for IVP Solvers (Mazzia and Magherini, release 2.4, Bari 2008) and Hairer and Wanner, Solving
ODEs II.
"""
import json, math, sys
import numpy as np
from scipy.integrate import solve_ivp

P = {}


def problem(name, T, y0, names, f, stiff=False, atol=None, method=None, source="", run_atol=None, rtol=None):
    P[name] = dict(T=T, y0=np.array(y0, float), names=names, f=f, stiff=stiff, atol=atol, method=method,
                   source=source, run_atol=run_atol, rtol=rtol)


# -- DETEST (Hull, Enright, Fellen, Sedgwick 1972): classes A to E, five each, 0..20 ---------------------
D = "Hull, Enright, Fellen and Sedgwick, SIAM J. Numer. Anal. 9 (1972) 603"
problem("detest_a1", 20, [1], ["y"], lambda t, y: -y, source=D)
problem("detest_a2", 20, [1], ["y"], lambda t, y: -y**3 / 2, source=D)
problem("detest_a3", 20, [1], ["y"], lambda t, y: y * math.cos(t), source=D)
problem("detest_a4", 20, [1], ["y"], lambda t, y: y / 4 * (1 - y / 20), source=D)
problem("detest_a5", 20, [4], ["y"], lambda t, y: (y - t) / (y + t), source=D)
problem("detest_b1", 20, [1, 3], ["a", "b"], lambda t, y: [2 * (y[0] - y[0] * y[1]), -(y[1] - y[0] * y[1])], source=D)
problem("detest_b2", 20, [2, 0, 1], ["a", "b", "c"], lambda t, y: [-y[0] + y[1], y[0] - 2 * y[1] + y[2], y[1] - y[2]], source=D)
problem("detest_b3", 20, [1, 0, 0], ["a", "b", "c"], lambda t, y: [-y[0], y[0] - y[1]**2, y[1]**2], source=D)


def b4(t, y):
    r = math.hypot(y[0], y[1])
    return [-y[1] - y[0] * y[2] / r, y[0] - y[1] * y[2] / r, y[0] / r]


problem("detest_b4", 20, [3, 0, 0], ["a", "b", "c"], b4, source=D)
problem("detest_b5", 20, [0, 1, 1], ["a", "b", "c"], lambda t, y: [y[1] * y[2], -y[0] * y[2], -0.51 * y[0] * y[1]], source=D)


def c1(t, y):
    d = np.empty(10)
    d[0] = -y[0]
    d[1:9] = y[0:8] - y[1:9]
    d[9] = y[8]
    return d


def c2(t, y):
    k = np.arange(1, 10)
    d = np.empty(10)
    d[0] = -y[0]
    d[1:9] = k[:8] * y[0:8] - k[1:] * y[1:9]
    d[9] = 9 * y[8]
    return d


def c3(n):
    def f(t, y):
        d = -2 * y
        d[1:] += y[:-1]
        d[:-1] += y[1:]
        return d
    return f


ys = lambda n: [f"y[{i}]" for i in range(n)]
problem("detest_c1", 20, [1] + [0] * 9, ys(10), c1, source=D)
problem("detest_c2", 20, [1] + [0] * 9, ys(10), c2, source=D)
problem("detest_c3", 20, [1] + [0] * 9, ys(10), c3(10), source=D)
problem("detest_c4", 20, [1] + [0] * 50, ys(51), c3(51), source=D)

K2, M0, MP = 2.95912208286, 1.00000597682, [0.000954786104043, 0.000285583733151, 0.0000437273164546, 0.0000517759138449, 0.00000277777777778]
C5Y = [[3.42947415189, 3.35386959711, 1.35494901715], [6.64145542550, 5.97156957878, 2.18231499728],
       [11.2630437207, 14.6952576794, 6.27960525067], [-30.1552268759, 1.65699966404, 1.43785752721],
       [-21.1238353380, 28.4465098142, 15.3882659679]]
C5V = [[-0.557160570446, 0.505696783289, 0.230578543901], [-0.415570776342, 0.365682722812, 0.169143213293],
       [-0.325325669158, 0.189706021964, 0.0877265322780], [-0.0240476254170, -0.287659532608, -0.117219543175],
       [-0.176860753121, -0.216393453025, -0.0148647893090]]


def c5(t, y):
    q = y[:15].reshape(5, 3)
    r = np.sqrt((q**2).sum(1))
    a = np.zeros((5, 3))
    for j in range(5):
        a[j] = -(M0 + MP[j]) * q[j] / r[j]**3
        for k in range(5):
            if k != j:
                dd = q[k] - q[j]
                a[j] += MP[k] * (dd / np.sqrt((dd**2).sum())**3 - q[k] / r[k]**3)
    return np.concatenate([y[15:], (K2 * a).ravel()])


problem("detest_c5", 20, np.concatenate([np.ravel(C5Y), np.ravel(C5V)]), [f"q[{j},{k}]" for j in range(5) for k in range(3)] + [f"v[{j},{k}]" for j in range(5) for k in range(3)], c5, source=D)


def kepler(t, y):
    r3 = (y[0]**2 + y[1]**2)**1.5
    return [y[2], y[3], -y[0] / r3, -y[1] / r3]


for k, e in enumerate([0.1, 0.3, 0.5, 0.7, 0.9]):
    problem(f"detest_d{k + 1}", 20, [1 - e, 0, 0, math.sqrt((1 + e) / (1 - e))], ["x", "y", "vx", "vy"], kepler, source=D)
problem("detest_e1", 20, [0.6713967071418030, 0.09540051444747446], ["a", "b"], lambda t, y: [y[1], -(y[1] / (t + 1) + (1 - 0.25 / (t + 1)**2) * y[0])], source=D)
problem("detest_e2", 20, [2, 0], ["a", "b"], lambda t, y: [y[1], (1 - y[0]**2) * y[1] - y[0]], source=D)
problem("detest_e3", 20, [0, 0], ["a", "b"], lambda t, y: [y[1], y[0]**3 / 6 - y[0] + 2 * math.sin(2.78535 * t)], source=D)
problem("detest_e4", 20, [30, 0], ["a", "b"], lambda t, y: [y[1], 0.032 - 0.4 * y[1]**2], source=D)
problem("detest_e5", 20, [0, 0], ["a", "b"], lambda t, y: [y[1], math.sqrt(1 + y[1]**2) / (25 - t)], source=D)

# -- Celestial mechanics ------------------------------------------------------------------------------------
PX = [3, 3, -1, -3, 2, -2, 2]
PY = [3, -3, 2, 0, 0, -4, 4]
PVX = [0, 0, 0, 0, 0, 1.75, -1.5]
PVY = [0, 0, 0, -1.25, 1, 0, 0]


def pleiades(t, s):
    x, y, vx, vy = s.reshape(4, 7)
    dx, dy = x[None, :] - x[:, None], y[None, :] - y[:, None]
    r3 = (dx**2 + dy**2)**1.5
    np.fill_diagonal(r3, 1)
    m = np.arange(1, 8)
    return np.concatenate([vx, vy, (m * dx / r3).sum(1), (m * dy / r3).sum(1)])


problem("pleiades", 3, PX + PY + PVX + PVY, [f"{v}[{i}]" for v in ("x", "y", "vx", "vy") for i in range(7)], pleiades,
        source="Hairer, Norsett and Wanner, Solving ODEs I, section II.10")
MU = 0.012277471


def arenstorf(t, s):
    x, y, vx, vy = s
    d1 = ((x + MU)**2 + y**2)**1.5
    d2 = ((x - 1 + MU)**2 + y**2)**1.5
    return [vx, vy, x + 2 * vy - (1 - MU) * (x + MU) / d1 - MU * (x - 1 + MU) / d2, y - 2 * vx - (1 - MU) * y / d1 - MU * y / d2]


problem("arenstorf", 17.0652165601579625588917206249, [0.994, 0, 0, -2.00158510637908252240537862224], ["x", "y", "vx", "vy"], arenstorf,
        source="Hairer, Norsett and Wanner, Solving ODEs I, section II.0: periodic")

# -- Stiff -------------------------------------------------------------------------------------------------------
B = "Test Set for IVP Solvers, release 2.4"


def rob(t, y):
    a, b, c = -0.04 * y[0], 1e4 * y[1] * y[2], 3e7 * y[1]**2
    return [a + b, -a - b - c, c]


problem("robertson", 4e10, [1, 0, 0], ["y1", "y2", "y3"], rob, True, 1e-20, run_atol=1e-16, source="Robertson 1966; Hairer and Wanner, Solving ODEs II, section IV.10")


def hires(t, y):
    q = 280 * y[5] * y[7]
    d6 = q - 1.81 * y[6]
    return [-1.71 * y[0] + 0.43 * y[1] + 8.32 * y[2] + 0.0007, 1.71 * y[0] - 8.75 * y[1], -10.03 * y[2] + 0.43 * y[3] + 0.035 * y[4],
            8.32 * y[1] + 1.71 * y[2] - 1.12 * y[3], -1.745 * y[4] + 0.43 * (y[5] + y[6]),
            -q + 0.69 * y[3] + 1.71 * y[4] - 0.43 * y[5] + 0.69 * y[6], d6, -d6]


problem("hires", 321.8122, [1, 0, 0, 0, 0, 0, 0, 0.0057], [f"y{i}" for i in range(1, 9)], hires, True, 1e-16, run_atol=1e-12, source=B)
k = [0.35, 26.6, 12300.0, 0.00086, 0.00082, 15000.0, 0.00013, 24000.0, 16500.0, 9000.0, 0.022, 12000.0, 1.88, 16300.0, 4.8e6, 0.00035, 0.0175, 1e8, 4.44e11, 1240.0, 2.1, 5.78, 0.0474, 1780.0, 3.12]
A = [0, 1, 4, 6, 6, 6, 8, 8, 10, 10, 12, 9, 13, 0, 2, 3, 3, 15, 15, 16, 18, 18, 0, 18, 19]
Bq = [-1, 3, 1, -1, -1, 5, -1, 5, 1, 0, -1, 1, -1, 5, -1, -1, -1, -1, -1, 5, -1, -1, 3, 0, -1]


def pollu(t, y):
    r = [k[i] * y[A[i]] * (y[Bq[i]] if Bq[i] >= 0 else 1) for i in range(25)]
    r = [None] + r
    return [-r[1] - r[10] - r[14] - r[23] - r[24] + r[2] + r[3] + r[9] + r[11] + r[12] + r[22] + r[25],
            -r[2] - r[3] - r[9] - r[12] + r[1] + r[21], -r[15] + r[1] + r[17] + r[19] + r[22],
            -r[2] - r[16] - r[17] - r[23] + r[15], -r[3] + 2 * r[4] + r[6] + r[7] + r[13] + r[20],
            -r[6] - r[8] - r[14] - r[20] + r[3] + 2 * r[18], -r[4] - r[5] - r[6] + r[13],
            r[4] + r[5] + r[6] + r[7], -r[7] - r[8], -r[12] + r[7] + r[9], -r[9] - r[10] + r[8] + r[11],
            r[9], -r[11] + r[10], -r[13] + r[12], r[14], -r[18] - r[19] + r[16], -r[20], r[20],
            -r[21] - r[22] - r[24] + r[23] + r[25], -r[25] + r[24]]


y0 = [0.0] * 20
for i, v in [(1, 0.2), (3, 0.04), (6, 0.1), (7, 0.3), (8, 0.01), (16, 0.007)]:
    y0[i] = v
problem("pollution", 60, y0, [f"y{i}" for i in range(1, 21)], pollu, True, 1e-18, run_atol=1e-14, source=B)
problem("van_der_pol", 2000, [2, 0], ["x", "v"], lambda t, y: [y[1], 1000 * (1 - y[0]**2) * y[1] - y[0]], True, 1e-13, run_atol=1e-10,
        source="van der Pol 1926 with mu = 1000, unscaled time")
problem("oregonator", 360, [1, 2, 3], ["y1", "y2", "y3"], lambda t, y: [77.27 * (y[1] + y[0] * (1 - 8.375e-6 * y[0] - y[1])), (y[2] - (1 + y[0]) * y[1]) / 77.27, 0.161 * (y[0] - y[2])], True, 1e-12, run_atol=1e-10, source=B)


def e5(t, y):
    a, b, m, c = 7.89e-10, 1.1e7, 1e6, 1.13e3
    p, q, r, s = a * y[0], b * y[0] * y[2], m * c * y[1] * y[2], c * y[3]
    return [-p - q, p - r, p - q - r + s, q - s]


problem("e5", 1e5, [1.76e-3, 0, 0, 0], ["y1", "y2", "y3", "y4"], e5, True, 1e-30, run_atol=1e-28, source="Enright, Hull and Lindberg 1975; Hairer and Wanner II, section IV.10")


def akzo(N):
    kk, c = 100.0, 4.0
    z = np.arange(1, N + 1) / N
    dz = 1 / N
    al, be = 2 * (z - 1)**3 / c**2, (z - 1)**4 / c**2

    def f(t, s):
        u, v = s[:N], s[N:]
        phi = 2.0 if t <= 5 else 0.0
        um = np.concatenate([[phi], u[:-1]])
        up = np.concatenate([u[1:], [u[-1]]])
        d = al * (up - um) / (2 * dz) + be * (um - 2 * u + up) / dz**2 - kk * v * u
        return np.concatenate([d, -kk * v * u])
    return f


N = 200
problem("medical_akzo", 20, [0] * N + [1] * N, [f"u[{i}]" for i in range(N)] + [f"v[{i}]" for i in range(N)], akzo(N), True, 1e-16, run_atol=1e-12, source=B)


def ring(t, y):
    C, Cs, Cp, Lh, Ls1, Ls2, Ls3, g, R, Rp, Rg1, Rg2, Rg3, Ri, Rc = 1.6e-8, 2e-12, 1e-8, 4.45, 0.002, 5e-4, 5e-4, 40.67286402e-9, 25000.0, 50.0, 36.3, 17.3, 17.3, 50.0, 600.0
    d = 17.7493332
    u1, u2 = 0.5 * math.sin(2e3 * math.pi * t), 2 * math.sin(2e4 * math.pi * t)
    q = lambda u: g * (math.exp(d * u) - 1)
    U, I = y[:7], y[7:]
    d1, d2, d3, d4 = U[2] - U[4] - U[6] - u2, -U[3] + U[5] - U[6] - u2, U[3] + U[4] + U[6] + u2, -U[2] - U[5] + U[6] + u2
    q1, q2, q3, q4 = q(d1), q(d2), q(d3), q(d4)
    return [(I[0] - 0.5 * I[2] + 0.5 * I[3] + I[6] - U[0] / R) / C, (I[1] - 0.5 * I[4] + 0.5 * I[5] + I[7] - U[1] / R) / C,
            (I[2] - q1 + q4) / Cs, (-I[3] + q2 - q3) / Cs, (I[4] + q1 - q3) / Cs, (-I[5] - q2 + q4) / Cs,
            (-U[6] / Rp + q1 + q2 - q3 - q4) / Cp, -U[0] / Lh, -U[1] / Lh, (0.5 * U[0] - U[2] - Rg2 * I[2]) / Ls2,
            (-0.5 * U[0] + U[3] - Rg3 * I[3]) / Ls3, (0.5 * U[1] - U[4] - Rg2 * I[4]) / Ls2, (-0.5 * U[1] + U[5] - Rg3 * I[5]) / Ls3,
            (-U[0] + u1 - (Ri + Rg1) * I[6]) / Ls1, (-U[1] - (Rc + Rg1) * I[7]) / Ls1]


problem("ring_modulator", 1e-3, [0] * 15, [f"U{i}" for i in range(1, 8)] + [f"I{i}" for i in range(1, 9)], ring, True, 1e-14, run_atol=1e-12, source=B)

# -- Further ------------------------------------------------------------------------------------------------------
def chemical_akzo(t, y):
    k1, k2, k3, k4, K, kla, Ks, p, H = 18.7, 0.58, 0.09, 0.42, 34.4, 3.3, 115.83, 0.9, 737
    y1, y2, y3, y4, y5 = y
    root = math.sqrt(y2)
    r1, r2, r3, r4, r5 = k1 * y1**4 * root, k2 * y3 * y4, k2 / K * y1 * y5, k3 * y1 * y4**2, k4 * (Ks * y1 * y4)**2 * root
    return [-2 * r1 + r2 - r3 - r4, -r1 / 2 - r4 - r5 / 2 + kla * (p / H - y2), r1 - r2 + r3, -r2 + r3 - 2 * r4, r2 - r3 + r5]


problem("chemical_akzo", 180, [0.444, 0.00123, 0, 0.007, 0], [f"y{i}" for i in range(1, 6)], chemical_akzo, True, 1e-16, run_atol=1e-12, source=B)


def transistor(t, s):
    """The nodes follow from the capacitors' voltages by Newton's method on one unknown each."""
    c1, u3, c3, u6, c5 = s
    ub, uf, al, be, r0, r = 6, 0.026, 0.99, 1e-6, 1000, 9000
    ue = 0.1 * math.sin(200 * math.pi * t)
    g = lambda x: be * (math.exp(x / uf) - 1)

    def node(below, slope, offset):
        # slope u + (1 - al) g(u - below) = offset
        u = below
        for _ in range(100):
            e = be * math.exp((u - below) / uf)
            du = (slope * u + (1 - al) * (e - be) - offset) / (slope + (1 - al) * e / uf)
            u -= du
            if abs(du) < 1e-16 * (1 + abs(u)):
                break
        return u

    u2 = node(u3, 1 / r0 + 2 / r, (ue - c1) / r0 + ub / r)
    g1 = g(u2 - u3)
    u5 = node(u6, 3 / r, 2 * ub / r - c3 / r - al * g1)
    g2 = g(u5 - u6)
    u8 = (ub - c5 - r * al * g2) / 2
    i1, i3, i5 = (ue - c1 - u2) / r0, (ub - c3 - u5) / r - al * g1, u8 / r
    return [i1 / 1e-6, (g1 - u3 / r) / 2e-6, i3 / 3e-6, (g2 - u6 / r) / 4e-6, i5 / 5e-6]


problem("transistor_amplifier", 0.2, [-3, 3, 3, 3, 6], ["c1", "U3", "c3", "U6", "c5"], transistor, True, 1e-13, source=B)
problem("stiff_b5", 20, [1] * 6, list("abcdef"),
        lambda t, y: [-10 * y[0] + 100 * y[1], -100 * y[0] - 10 * y[1], -4 * y[2], -y[3], -0.5 * y[4], -0.1 * y[5]], True, 1e-15,
        source="Enright, Hull and Lindberg, BIT 15 (1975) 10")
problem("prothero_robinson", 10, [1], ["y"], lambda t, y: [-1e6 * (y[0] - math.cos(t)) - math.sin(t)], True, 1e-14,
        source="Prothero and Robinson, Math. Comp. 28 (1974) 145")
problem("lorenz", 5, [1, 1, 1], ["x", "y", "z"], lambda t, y: [10 * (y[1] - y[0]), y[0] * (28 - y[2]) - y[1], y[0] * y[1] - 8 / 3 * y[2]],
        source="Lorenz, J. Atmos. Sci. 20 (1963) 130")
problem("lotka_volterra", 100, [2, 1], ["x", "y"], lambda t, y: [1.5 * y[0] - y[0] * y[1], y[0] * y[1] - 3 * y[1]],
        source="Lotka 1925, Volterra 1926")


def fput(t, s):
    q = np.concatenate([[0], s[:32], [0]])
    d = np.diff(q)
    force = d + 0.25 * d**2
    return np.concatenate([s[32:], np.diff(force)])


problem("fput", 100, [math.sin((i + 1) * math.pi / 33) for i in range(32)] + [0] * 32,
        [f"{c}[{i}]" for c in "qv" for i in range(32)], fput, source="Fermi, Pasta, Ulam and Tsingou, Los Alamos report 1940 (1955)")


def brusselator(t, s):
    u, v = s[:50], s[50:]
    lap = lambda w, edge: np.diff(np.concatenate([[edge], w, [edge]]), 2) * 0.02 * 51**2
    return np.concatenate([1 + u * u * v - 4 * u + lap(u, 1), 3 * u - u * u * v + lap(v, 3)])


problem("brusselator_line", 10, [1 + math.sin(2 * math.pi * (i + 1) / 51) for i in range(50)] + [3] * 50,
        [f"{c}[{i}]" for c in "uv" for i in range(50)], brusselator, True, 1e-14, source="Hairer and Wanner, Solving ODEs II, section IV.1")


def burgers(t, u):
    w = np.concatenate([[0], u, [0]])
    return -(w[2:]**2 - w[:-2]**2) * 101 / 4 + 0.01 * np.diff(w, 2) * 101**2


problem("burgers", 1, [math.sin(math.pi * (i + 1) / 101) for i in range(100)], [f"u[{i}]" for i in range(100)], burgers, True, 1e-14,
        source="Burgers 1948, central differences")


def cusp(t, s):
    y, a, b = s.reshape(3, 32)
    p = (y - 0.7) * (y - 1.3)
    w = p / (p + 0.1)
    lap = lambda z: (np.roll(z, 1) - 2 * z + np.roll(z, -1)) * 32**2 / 144
    return np.concatenate([-1e4 * (y**3 + a * y + b) + lap(y), b + 0.07 * w + lap(a), (1 - a * a) * b - a - 0.4 * y + 0.035 * w + lap(b)])


ANGLES = [2 * math.pi * (i + 1) / 32 for i in range(32)]
problem("cusp", 1.1, [0] * 32 + [-2 * math.cos(x) for x in ANGLES] + [2 * math.sin(x) for x in ANGLES],
        [f"{c}[{i}]" for c in "yab" for i in range(32)], cusp, True, 1e-14, source="Hairer and Wanner, Solving ODEs II, section IV.10")
problem("square_forced", 4.75, [0, 0], ["x", "v"], lambda t, y: [y[1], -4 * y[0] - 0.2 * y[1] + (1 if math.sin(2 * math.pi * t) > 0 else -1)],
        source="linear oscillator, forcing switched every half second")

# -- stiff DETEST --------------------------------------------------------------------------------------
SD = "Enright, Hull and Lindberg, BIT 15 (1975) 10; Enright and Pryce, ACM TOMS 13 (1987) 1"
problem("stiff_a1", 20, [1, 1, 1, 1], ["y1", "y2", "y3", "y4"], lambda t, y: [
    -0.5*y[0],
    -y[1],
    -100*y[2],
    -90*y[3]], stiff=True, source=SD)
problem("stiff_a2", 120, [0, 0, 0, 0, 0, 0, 0, 0, 0], ["y1", "y2", "y3", "y4", "y5", "y6", "y7", "y8", "y9"], lambda t, y: [
    -1800*y[0] + 900*y[1],
    y[0] - 2*y[1] + y[2],
    y[1] - 2*y[2] + y[3],
    y[2] - 2*y[3] + y[4],
    y[3] - 2*y[4] + y[5],
    y[4] - 2*y[5] + y[6],
    y[5] - 2*y[6] + y[7],
    y[6] - 2*y[7] + y[8],
    1000*y[7] - 2000*y[8] + 1000], stiff=True, source=SD)
problem("stiff_a3", 20, [1, 1, 1, 1], ["y1", "y2", "y3", "y4"], lambda t, y: [
    -1e4*y[0] + 100*y[1] - 10*y[2] + y[3],
    -1e3*y[1] + 10*y[2] - 10*y[3],
    -y[2] + 10*y[3],
    -0.1*y[3]], stiff=True, source=SD)
problem("stiff_a4", 1, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1], ["y1", "y2", "y3", "y4", "y5", "y6", "y7", "y8", "y9", "y10"], lambda t, y: [
    -1*y[0],
    -32*y[1],
    -243*y[2],
    -1024*y[3],
    -3125*y[4],
    -7776*y[5],
    -16807*y[6],
    -32768*y[7],
    -59049*y[8],
    -100000*y[9]], stiff=True, source=SD)
problem("stiff_b2", 20, [1, 1, 1, 1, 1, 1], ["y1", "y2", "y3", "y4", "y5", "y6"], lambda t, y: [
    -10*y[0] + 3*y[1],
    -3*y[0] - 10*y[1],
    -4*y[2],
    -y[3],
    -0.5*y[4],
    -0.1*y[5]], stiff=True, source=SD)
problem("stiff_b4", 20, [1, 1, 1, 1, 1, 1], ["y1", "y2", "y3", "y4", "y5", "y6"], lambda t, y: [
    -10*y[0] + 25*y[1],
    -25*y[0] - 10*y[1],
    -4*y[2],
    -y[3],
    -0.5*y[4],
    -0.1*y[5]], stiff=True, run_atol=1e-12, source=SD)
problem("stiff_c1", 20, [1, 1, 1, 1], ["y1", "y2", "y3", "y4"], lambda t, y: [
    -y[0] + y[1]**2 + y[2]**2 + y[3]**2,
    -10*y[1] + 10*(y[2]**2 + y[3]**2),
    -40*y[2] + 40*y[3]**2,
    -100*y[3] + 2], stiff=True, source=SD)
problem("stiff_c2", 20, [1, 1, 1, 1], ["y1", "y2", "y3", "y4"], lambda t, y: [
    -y[0] + 2,
    -10*y[1] + 0.1*y[0]**2,
    -40*y[2] + 4*0.1*(y[0]**2 + y[1]**2),
    -100*y[3] + 10*0.1*(y[0]**2 + y[1]**2 + y[2]**2)], stiff=True, source=SD)
problem("stiff_c3", 20, [1, 1, 1, 1], ["y1", "y2", "y3", "y4"], lambda t, y: [
    -y[0] + 2,
    -10*y[1] + 1.0*y[0]**2,
    -40*y[2] + 4*1.0*(y[0]**2 + y[1]**2),
    -100*y[3] + 10*1.0*(y[0]**2 + y[1]**2 + y[2]**2)], stiff=True, source=SD)
problem("stiff_c4", 20, [1, 1, 1, 1], ["y1", "y2", "y3", "y4"], lambda t, y: [
    -y[0] + 2,
    -10*y[1] + 10.0*y[0]**2,
    -40*y[2] + 4*10.0*(y[0]**2 + y[1]**2),
    -100*y[3] + 10*10.0*(y[0]**2 + y[1]**2 + y[2]**2)], stiff=True, source=SD)
problem("stiff_c5", 20, [1, 1, 1, 1], ["y1", "y2", "y3", "y4"], lambda t, y: [
    -y[0] + 2,
    -10*y[1] + 20.0*y[0]**2,
    -40*y[2] + 4*20.0*(y[0]**2 + y[1]**2),
    -100*y[3] + 10*20.0*(y[0]**2 + y[1]**2 + y[2]**2)], stiff=True, source=SD)
problem("stiff_d1", 400, [0, 0, 0], ["y1", "y2", "y3"], lambda t, y: [
    0.2*(y[1] - y[0]),
    10*y[0] - (60 - 0.125*y[2])*y[1] + 0.125*y[2],
    1], stiff=True, source=SD)
problem("stiff_d2", 40, [1, 0, 0], ["y1", "y2", "y3"], lambda t, y: [
    -0.04*y[0] + 0.01*y[1]*y[2],
    400*y[0] - 100*y[1]*y[2] - 3000*y[1]**2,
    30*y[1]**2], stiff=True, source=SD)
problem("stiff_d3", 20, [1, 1, 0, 0], ["y1", "y2", "y3", "y4"], lambda t, y: [
    y[2] - 100*y[0]*y[1],
    y[2] + 2*y[3] - 100*y[0]*y[1] - 2e4*y[1]**2,
    -y[2] + 100*y[0]*y[1],
    -y[3] + 1e4*y[1]**2], stiff=True, source=SD)
problem("stiff_d4", 50, [1, 1, 0], ["y1", "y2", "y3"], lambda t, y: [
    -0.013*y[0] - 1000*y[0]*y[2],
    -2500*y[1]*y[2],
    -0.013*y[0] - 1000*y[0]*y[2] - 2500*y[1]*y[2]], stiff=True, source=SD)
problem("stiff_d5", 100, [0, 0], ["y1", "y2"], lambda t, y: [
    0.01 - (1 + (y[0] + 1000)*(y[0] + 1))*(0.01 + y[0] + y[1]),
    0.01 - (1 + y[1]**2)*(0.01 + y[0] + y[1])], stiff=True, source=SD)
problem("stiff_d6", 1, [1, 0, 0], ["y1", "y2", "y3"], lambda t, y: [
    -y[0] + 1e8*y[2]*(1 - y[0]),
    -10*y[1] + 3e7*y[2]*(1 - y[1]),
    y[0] - 1e8*y[2]*(1 - y[0]) + 10*y[1] - 3e7*y[2]*(1 - y[1])], stiff=True, source=SD)
problem("stiff_e2", 1, [2, 0], ["y1", "y2"], lambda t, y: [
    y[1],
    5*(1 - y[0]**2)*y[1] - y[0]], stiff=True, source=SD)
problem("stiff_e3", 500, [1, 1, 0], ["y1", "y2", "y3"], lambda t, y: [
    -(55 + y[2])*y[0] + 65*y[1],
    0.0785*(y[0] - y[1]),
    0.1*y[0]], stiff=True, source=SD)
problem("stiff_f2", 240, [1, 0], ["y1", "y2"], lambda t, y: [
    -y[0] - y[0]*y[1] + 294*y[1],
    y[0]*(1 - y[1])/98 - 3*y[1]], stiff=True, source=SD)

# -- more of stiff DETEST, and what the other collections have beside it -------------------------------
problem("van_der_pol_1e6", 2, [2, 0], ["y1", "y2"],
        lambda t, y: [y[1], ((1 - y[0]**2) * y[1] - y[0]) / 1e-6], stiff=True, source="Test Set for IVP Solvers, release 2.4")


def beam(t, y, n=40):
    """As in the book: one linear system for the angles' accelerations, solved densely here."""
    th, w = y[:n], y[n:]
    d = np.diff(th)
    c, s = np.cos(d), np.sin(d)
    force = 1.5 * math.sin(t)**2 if t < math.pi else 0.0
    v = n**4 * (np.append(th[1:], th[-1]) - 2 * th + np.append(-th[0], th[:-1])) \
        + n**2 * force * (np.cos(th) + np.sin(th))
    C = np.diag([1.0] + [2.0] * (n - 2) + [3.0]) - np.diag(c, 1) - np.diag(c, -1)
    Dm = np.diag(s, 1) - np.diag(s, -1)
    u = np.linalg.solve(C, Dm @ v + w**2)
    return np.concatenate([w, C @ v + Dm @ u])


problem("beam", 5, [0] * 80, [f"th[{i}]" for i in range(40)] + [f"w[{i}]" for i in range(40)], beam, stiff=True,
        atol=1e-13, source="Hairer and Wanner, Solving ODEs II, section IV.1")


def plate(t, y):
    u, v = y[:40].reshape(8, 5), y[40:].reshape(8, 5)
    dx = 2 / 9
    def lap(a):
        b = np.pad(a, 1)
        return (b[:-2, 1:-1] + b[2:, 1:-1] + b[1:-1, :-2] + b[1:-1, 2:] - 4 * a) / dx**2
    x = dx * np.arange(1, 9)
    load = np.zeros((8, 5))
    load[:, [1, 3]] = (200 * (np.exp(-5 * (t - x - 2)**2) + np.exp(-5 * (t - x - 5)**2)))[:, None]
    return np.concatenate([v.ravel(), (load - 1000 * v - 100 * lap(lap(u))).ravel()])


problem("plate", 7, [0] * 80, [f"u[{i},{j}]" for i in range(8) for j in range(5)]
        + [f"v[{i},{j}]" for i in range(8) for j in range(5)], plate, stiff=True, atol=1e-15,
        source="Hairer and Wanner, Solving ODEs II, section IV.10")
problem("stiff_b1", 20, [1, 0, 1, 0], ["y1", "y2", "y3", "y4"], lambda t, y: [
    -y[0] + y[1], -100*y[0] - y[1], -100*y[2] + y[3], -10000*y[2] - 100*y[3]], stiff=True, run_atol=1e-12, source=SD)
problem("stiff_b3", 20, [1, 1, 1, 1, 1, 1], ["y1", "y2", "y3", "y4", "y5", "y6"], lambda t, y: [
    -10*y[0] + 8*y[1], -8*y[0] - 10*y[1], -4*y[2], -y[3], -0.5*y[4], -0.1*y[5]], stiff=True, source=SD)
problem("stiff_e1", 1, [0, 0, 0, 0], ["y1", "y2", "y3", "y4"], lambda t, y: [
    y[1], y[2], y[3],
    (y[0]**2 - math.sin(y[0]) - 1e8)*y[0] + (y[1]*y[2]/(y[0]**2 + 1) - 4e6)*y[1] + (1 - 6e4)*y[2]
    + (10*math.exp(-y[3]**2) - 400)*y[3] + 1], atol=1e-22, run_atol=1e-16, source=SD)


def e4(t):
    """Stiff DETEST E4 in closed form: what its matrix takes apart are Bernoulli equations, linear in the reciprocals."""
    a, u = 10 - 10j, -1/2
    z = 1/(-1/(2*a) + (u + 1/(2*a))*np.exp(-a*t))
    z = np.array([z.real, z.imag, 1/(0.001 - 1.001*math.exp(min(1000*t, 700))),
                  1/(100 - 101*math.exp(0.01*t))])
    return z.sum()/2 - z


problem("stiff_e4", 1000, [0, -2, -1, -1], ["y1", "y2", "y3", "y4"], None, stiff=True, source=SD)


def f1(t, y):
    k = 0.0006 * math.exp(20.7 - 15000 / y[0])
    return [1.3*(y[2] - y[0]) + 10400*k*y[1], 1880*(y[3] - y[1]*(1 + k)), 1752 - 269*y[2] + 267*y[0],
            0.1 + 320*y[1] - 321*y[3]]


problem("stiff_f1", 1000, [761, 0, 600, 0.1], ["y1", "y2", "y3", "y4"], f1, stiff=True, atol=1e-14, source=SD)
problem("stiff_f3", 100, [4e-6, 1e-6, 0, 0, 0], ["y1", "y2", "y3", "y4", "y5"], lambda t, y: [
    -1e7*y[1]*y[0] + 10*y[2],
    -1e7*y[1]*y[0] - 1e7*y[1]*y[4] + 10*y[2] + 10*y[3],
    1e7*y[1]*y[0] - 1.001e4*y[2] + 1e-3*y[3],
    1e4*y[2] - 10.001*y[3] + 1e7*y[1]*y[4],
    10*y[3] - 1e7*y[1]*y[4]], stiff=True, atol=1e-22, run_atol=1e-18, source=SD)
problem("stiff_f4", 300, [4, 1.1, 4], ["y1", "y2", "y3"], lambda t, y: [
    77.27*(y[1] - y[0]*y[1] + y[0] - 8.375e-6*y[0]**2), (-y[1] - y[0]*y[1] + y[2])/77.27,
    0.161*(y[0] - y[2])], stiff=True, source=SD)
problem("stiff_f5", 100, [3.365e-7, 8.261e-3, 1.642e-3, 9.38e-6], ["y1", "y2", "y3", "y4"], lambda t, y: [
    1e11*(-3*y[0]*y[1] + 0.0012*y[3] - 9*y[0]*y[2]), -3e11*y[0]*y[1] + 2e7*y[3],
    1e11*(-9*y[0]*y[2] + 0.001*y[3]), 1e11*(3*y[0]*y[1] - 0.0012*y[3] + 9*y[0]*y[2])], stiff=True,
        atol=1e-20, run_atol=1e-16, source=SD)

# -- three bodies chasing each other on an eight ---------------------------------------------------------
def figure_eight(t, y):
    q, a = y[:6].reshape(3, 2), np.zeros((3, 2))
    for i in range(3):
        for j in range(3):
            if i != j:
                d = q[j] - q[i]
                a[i] += d / np.sqrt((d**2).sum())**3
    return np.concatenate([y[6:], a.ravel()])


problem("figure_eight", 20, [0.97000436, -0.24308753, -0.97000436, 0.24308753, 0, 0,
                             0.466203685, 0.43236573, 0.466203685, 0.43236573, -0.93240737, -0.86473146],
        ["x[0]", "y[0]", "x[1]", "y[1]", "x[2]", "y[2]", "vx[0]", "vy[0]", "vx[1]", "vy[1]", "vx[2]", "vy[2]"],
        figure_eight, source="Chenciner and Montgomery, Annals of Mathematics 152 (2000) 881")


def stiff_swing(t, y):
    r = math.hypot(y[0], y[1])
    pull = 1e6 * (r - 1) / r + 1e4 * (y[0] * y[2] + y[1] * y[3]) / r**2
    return [y[2], y[3], -pull * y[0], -pull * y[1] - 9.81]


problem("stiff_swing", 20, [1, 0, 0, 0], ["x", "y", "u", "v"], stiff_swing, stiff=True, atol=1e-14,
        source="Hairer and Wanner, Solving ODEs II, VII.4 (stiff mechanical systems)")

CLOSED = {"stiff_e4": e4}
BREAKS = {"medical_akzo": [5], "beam": [math.pi], "square_forced": [k / 2 for k in range(1, 10)]}

# The chemistry of ozone, 66 species: only the published values, its equations stand in `emep.twinml` alone
EMEP = ("NO NO2 SO2 CO CH4 C2H6 NC4H10 C2H4 C3H6 OXYL HCHO CH3CHO MEK O3 HO2 HNO3 H2O2 H2 CH3O2 C2H5OH SA "
        "CH3O2H C2H5O2 CH3COO PAN SECC4H MEKO2 R2OOH ETRO2 MGLYOX PRRO2 GLYOX OXYO2 MAL MALO2 OP OH OD NO3 "
        "N2O5 ISOPRE NITRAT ISRO2 MVK MVKO2 CH3OH RCO3H OXYO2H BURO2H ETRO2H PRRO2H MEKO2H MALO2H MACR ISNI "
        "ISRO2H MARO2 MAPAN CH2CCH3 ISONO3 ISNIR MVKO2H CH2CHR ISNO3H ISNIRH MARO2H").split()
problem("emep", 403200, [0] * 66, EMEP, None, True, run_atol=1, source=B)

# Of index 3 and 1, with a singular matrix before the derivatives: published values alone, as above
problem("andrews", 0.03, [0] * 7, "be th ga ph de om ep".split(), None, True, run_atol=1e-10, source=B)
problem("car_axis", 3, [0] * 8, "xl yl xr yr ul vl ur vr".split(), None, True, run_atol=1e-10, source=B)
problem("two_transistors", 0.2, [0] * 8, [f"y{k}" for k in range(1, 9)], None, True, run_atol=1e-10, source=B)
problem("fekete", 1000, [0] * 3, ["x[0]", "y[0]", "z[0]"], None, True, run_atol=1e-10, source=B)

PUBLISHED = {
    "andrews": [0.1581077119629904e2, -0.1575637105984298e2, 0.4082224013073101e-1, -0.5347301163226948, 0.5244099658805304, 0.5347301163226948, 0.1048080741042263e1],
    "car_axis": [0.493455784275402809122e-1, 0.496989460230171153861, 0.104174252488542151681e1, 0.373911027265361256927, -0.770583684040972357970e-1, 0.744686658723778553466e-2, 0.175568157537232222276e-1, 0.770341043779251976443],
    "two_transistors": [-0.5562145012262709e-2, 0.3006522471903042e1, 0.2849958788608128e1, 0.2926422536206241e1, 0.2704617865010554e1, 0.2761837778393145e1, 0.4770927631616772e1, 0.1236995868091548e1],
    "fekete": [-0.4070263380333202, 0.3463758772791802, 0.8451942450030429],
    "robertson": [0.5208345176797790e-7, 0.2083338177924902e-12, 0.9999999479163397],
    "ring_modulator": [-0.2339057358486745e-1, -0.7367485485540825e-2, 0.2582956709291169, -0.4064465721283450, -0.4039455665149794, 0.2607966765422943, 0.1106761861269975, 0.2939904342435596e-6, -0.2840029933642329e-7, 0.7267198267264553e-3, 0.7929487196960840e-3, -0.7255283495698965e-3, -0.7941401968526521e-3, 0.7088495416976114e-4, 0.2390059075236570e-4],
    "arenstorf": [0.994, 0, 0, -2.00158510637908252240537862224],
    "emep": [0.2564580511140732e8, 0.5146134770952715e11, 0.2315679957701715e12, 0.1130936599472892e14, 0.3459285326034955e14, 0.1027236550974901e12, 0.8508735586836855e11, 0.4131285674624012e10, 0.1270937854717943e10, 0.5632880890404914e10, 0.8263821552730888e11, 0.3293552658908353e11, 0.1054058186206315e12, 0.3150308585365321e13, 0.2488383936633755e8, 0.1097565615411556e11, 0.1365196557629180e11, 0.3852048230503094e12, 0.1137462721600089e9, 0.2850982205905218e11, 0.3786933619791445e12, 0.3832384333863027e10, 0.4804939902203071e7, 0.3390546081092960e8, 0.3494452929972591e11, 0.1490576370801779e8, 0.1000567871868853e8, 0.1856753061984312e10, 0.2272206156875160e7, 0.5168375883757783e10, 0.2317595952406701e7, 0.3035139656996921e10, 0.5928979479102226e7, 0.2515297290687841e10, 0.4569678276203798e7, 0.3727926507368739e1, 0.4063589349848112e5, 0.8159151146269279e-37, 0.5577590724412284e9, 0.7684596616753747e9, 0.5338491777959816e10, 0.6048604025328409e12, 0.4222237216819787e8, 0.3681852767009784e10, 0.5835731567978018e7, 0.1456507159081862e10, 0.8862868684014137e10, 0.9338753312528582e9, 0.3595753586682656e10, 0.4622427584057254e9, 0.2395910064875511e9, 0.6080936586253302e10, 0.7704108297342240e9, 0.3386220860753221e10, 0.1838264387030593e10, 0.1973252346091884e10, 0.1313403940892729e7, 0.1344471764571674e10, 0.2568483117244701e7, 0.1131854591900057e10, 0.4591537937818946e7, 0.8609382282952802e9, 0.3509560971283513e9, 0.6682350971104786e9, 0.3207356403011160e9, 0.1144987634882048e9],
    "hires": [0.7371312573325668e-3, 0.1442485726316185e-3, 0.5888729740967575e-4, 0.1175651343283149e-2, 0.2386356198831331e-2, 0.6238968252742796e-2, 0.2849998395185769e-2, 0.2850001604814231e-2],
}


def main():
    out = {}
    only = sys.argv[1:]
    for name, p in P.items():
        if only and name not in only:
            continue
        err = None
        if name in PUBLISHED:
            y, how = np.array(PUBLISHED[name], float), "published"
        elif name in CLOSED:
            y, how = CLOSED[name](p["T"]), "closed form"
        else:
            scale = max(np.abs(p["y0"]).max(), 1e-3)
            atol = p["atol"] or 1e-15 * scale
            segments = [0] + BREAKS.get(name, []) + [p["T"]]
            def run(method, rtol, atol):
                y = p["y0"]
                for a, b in zip(segments, segments[1:]):
                    f = g = p["f"]
                    if name in BREAKS:
                        # each piece sees its own side of a jump
                        g = lambda t, s: f(min(max(t, a + 1e-9), b - 1e-9), s)
                    s = solve_ivp(g, (a, b), y, method=method, rtol=rtol, atol=atol)
                    assert s.success, (name, s.message)
                    y = s.y[:, -1]
                return y
            if p["stiff"]:
                y, how = run("Radau", 3e-13, atol), "Radau, rtol 3e-13"
                other = run("Radau", 3e-12, atol * 10)
            else:
                y, how = run("DOP853", 3e-14, atol), "DOP853, rtol 3e-14"
                other = run("DOP853", 3e-13, atol * 10)
            big = np.abs(y) > 1e-6 * np.abs(y).max()
            err = float(np.max(np.abs(y - other)[big] / np.abs(y)[big]))
        out[name] = {"source": p["source"], "reference": how, "uncertainty": err, "end": p["T"],
                     "rtol": p["rtol"] or 1e-8, "atol": p["run_atol"] or 1e-10,
                     "values": {n: float(v) for n, v in zip(p["names"], y)}}
        print(name, how, err, file=sys.stderr)
    json.dump(out, sys.stdout, indent=1)
    print()


main()
