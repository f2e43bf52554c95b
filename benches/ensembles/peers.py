"""Adaptive ensembles in heyoka, diffrax and numbalsoda, for `ensembles.rs`, which talks to this by lines.

First it prints the names of the peers that are installed. Then each line asks for one timing:
`PEER MODEL TOLERANCE [LANES]`; the answer is CPU time in microseconds a run (best of what a call does, without what Python's own
loop takes), the median and the largest error of the final states, and accepted steps a run (0: not told).
`reference MODEL FILE` names the final states to compare with.
"""
import math
import os
import sys
import time

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[name] = "1"
os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
import numpy as np

RUNS = int(sys.argv[1])
END = float(sys.argv[2])


def share(j):
    """The numbers of `ensembles.rs`, evenly scattered over 0 to 1."""
    a = (0.6180339887498949, 0.7548776662466927, 0.5698402909980532, 0.8191725133961645)[j]
    x = (np.arange(RUNS) + 1.0) * a
    return x - np.floor(x)


def between(j, lo, hi):
    return lo + (hi - lo) * share(j)


def data(model):
    """Start values and parameters, a row a run."""
    n = RUNS
    if model == "lorenz":
        return np.ones((n, 3)), np.stack([np.full(n, 10.0), between(0, 20, 30), np.full(n, 8 / 3)], 1)
    if model == "pendulum":
        return np.stack([between(0, 0.5, 2.5), np.zeros(n)], 1), np.stack([between(1, 5, 15), between(2, 0.05, 0.2)], 1)
    start = np.stack([np.zeros(n), np.full(n, 2.0), np.full(n, 0.3), np.full(n, 0.5), np.zeros(n), np.full(n, 0.1)], 1)
    return start, np.stack([between(0, 9.6, 10), between(1, 0.3, 0.6), between(2, 4, 8), between(3, 1.5, 3)], 1)


def cpu():
    return time.process_time()


class Heyoka:
    def __init__(self):
        import heyoka

        self.hy = heyoka
        self.ready = {}

    def system(self, model):
        hy = self.hy
        p = hy.par
        if model == "lorenz":
            x, y, z = hy.make_vars("x", "y", "z")
            return [(x, p[0] * (y - x)), (y, x * (p[1] - z) - y), (z, x * y - p[2] * z)]
        if model == "pendulum":
            a, w = hy.make_vars("a", "w")
            return [(a, w), (w, -(p[0] * hy.sin(a) + p[1] * w))]
        x, h, th, vx, vh, w = hy.make_vars("x", "h", "th", "vx", "vh", "w")
        s, c, d = hy.sin(th), hy.cos(th), p[1] * hy.exp(-h / 8)
        return [(x, vx), (h, vh), (th, w), (vx, -(p[0] * s + d * vx)), (vh, p[0] * c - 9.81 - d * vh),
                (w, -p[2] * s - p[3] * w + 0.3 * vx)]

    def run(self, model, tolerance, lanes):
        y, p = data(model)
        key = (model, tolerance, lanes)
        if key not in self.ready:
            start, par = (np.ascontiguousarray(v[:lanes].T) for v in (y, p))
            make = self.hy.taylor_adaptive_batch
            self.ready[key] = make(self.system(model), start, pars=par, tol=tolerance, compact_mode=False)
        ta = self.ready[key]
        out = np.empty_like(y)

        def loop(go):
            begin = cpu()
            for b in range(0, RUNS, lanes):
                ta.state[:] = y[b:b + lanes].T
                ta.pars[:] = p[b:b + lanes].T
                ta.set_time(0.0)
                if go:
                    ta.propagate_until(END)
                out[b:b + lanes] = ta.state.T
            return cpu() - begin

        took = loop(True)
        result = out.copy()
        steps = sum(r[3] for r in ta.propagate_res) / lanes
        return took - loop(False), result, steps


class Diffrax:
    def __init__(self):
        import diffrax
        import jax
        import jax.numpy as jnp

        jax.config.update("jax_enable_x64", True)
        self.dx, self.jax, self.ready = diffrax, jax, {}

        def quad6(t, y, p):
            s, c, d = jnp.sin(y[2]), jnp.cos(y[2]), p[1] * jnp.exp(-y[1] / 8)
            return jnp.stack([y[3], y[4], y[5], -(p[0] * s + d * y[3]), p[0] * c - 9.81 - d * y[4],
                              -p[2] * s - p[3] * y[5] + 0.3 * y[3]])

        self.slopes = {
            "lorenz": lambda t, y, p: jnp.stack([p[0] * (y[1] - y[0]), y[0] * (p[1] - y[2]) - y[1],
                                                 y[0] * y[1] - p[2] * y[2]]),
            "pendulum": lambda t, y, p: jnp.stack([y[1], -(p[0] * jnp.sin(y[0]) + p[1] * y[1])]),
            "quad6": quad6,
        }

    def run(self, model, tolerance, _):
        y, p = data(model)
        dx = self.dx
        if (model, tolerance) not in self.ready:
            term = dx.ODETerm(self.slopes[model])
            control = dx.PIDController(rtol=tolerance, atol=1e-3 * tolerance)

            def one(y, p):
                return dx.diffeqsolve(term, dx.Tsit5(), 0.0, END, 0.01, y, args=p, stepsize_controller=control,
                                      max_steps=100000, saveat=dx.SaveAt(t1=True)).ys

            solve = self.jax.jit(self.jax.vmap(one))
            solve(y, p).block_until_ready()
            self.ready[(model, tolerance)] = solve
        begin = cpu()
        out = self.ready[(model, tolerance)](y, p).block_until_ready()
        return cpu() - begin, np.asarray(out)[:, 0, :], 0


class Dop853:
    def __init__(self):
        import numba as nb
        from numbalsoda import dop853, lsoda_sig

        @nb.cfunc(lsoda_sig)
        def lorenz(t, u, du, p):
            du[0] = p[0] * (u[1] - u[0])
            du[1] = u[0] * (p[1] - u[2]) - u[1]
            du[2] = u[0] * u[1] - p[2] * u[2]

        @nb.cfunc(lsoda_sig)
        def pendulum(t, u, du, p):
            du[0] = u[1]
            du[1] = -(p[0] * math.sin(u[0]) + p[1] * u[1])

        @nb.cfunc(lsoda_sig)
        def quad6(t, y, o, p):
            s, c, d = math.sin(y[2]), math.cos(y[2]), p[1] * math.exp(-y[1] / 8)
            o[0] = y[3]
            o[1] = y[4]
            o[2] = y[5]
            o[3] = -(p[0] * s + d * y[3])
            o[4] = p[0] * c - 9.81 - d * y[4]
            o[5] = -p[2] * s - p[3] * y[5] + 0.3 * y[3]

        self.code = {"lorenz": lorenz, "pendulum": pendulum, "quad6": quad6}

        @nb.njit
        def ensemble(f, y, p, times, rtol, out):
            for i in range(y.shape[0]):
                u, _ = dop853(f, y[i], times, p[i], rtol=rtol, atol=1e-3 * rtol)
                out[i] = u[-1]

        self.ensemble = ensemble

    def run(self, model, tolerance, _):
        y, p = data(model)
        times, f = np.array([0.0, END]), self.code[model].address
        out = np.empty_like(y)
        self.ensemble(f, y[:2], p[:2], times, tolerance, out[:2])
        begin = cpu()
        self.ensemble(f, y, p, times, tolerance, out)
        return cpu() - begin, out, 0


def main():
    peers = {}
    for name, make in (("heyoka", Heyoka), ("diffrax", Diffrax), ("dop853", Dop853)):
        try:
            peers[name] = make()
        except ImportError as missing:
            print(f"{name}: {missing}", file=sys.stderr)
    print(" ".join(peers), flush=True)
    reference = {}
    for line in sys.stdin:
        what, model, *rest = line.split()
        if what == "reference":
            reference[model] = np.fromfile(rest[0]).reshape(RUNS, -1)
            continue
        took, out, steps = peers[what].run(model, float(rest[0]), int(rest[1]) if len(rest) > 1 else 1)
        error = np.max(np.abs(out - reference[model]), axis=1)
        print(took / RUNS * 1e6, np.median(error), error.max(), steps, flush=True)


main()
