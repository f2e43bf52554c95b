//! Integrators for ordinary differential equations: explicit, multistep, Rosenbrock, BDF.
