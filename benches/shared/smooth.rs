//! The three smooth models of the comparisons (PERFORMANCE: Lorenz, a pendulum, six states of a quadrotor).

pub const LORENZ: &str = "twin Lorenz {
  parameters { s: Real = 10; r: Real = 28; b: Real = 2.6666666666666665 }
  states { x: Real = 1; y: Real = 1; z: Real = 1 }
  equations {
    der(x) = s*(y - x) * 1 [1/s]
    der(y) = (x*(r - z) - y) * 1 [1/s]
    der(z) = (x*y - b*z) * 1 [1/s]
  }
}
scenario s for Lorenz { duration: 10 s }";

pub const PENDULUM: &str = "twin Pendulum {
  parameters { g: Real = 10; d: Real = 0.1 }
  states { a: Real = 1; w: Real = 0 }
  equations {
    der(a) = w * 1 [1/s]
    der(w) = -(g*sin(a) + d*w) * 1 [1/s]
  }
}
scenario s for Pendulum { duration: 10 s }";

pub const QUAD6: &str = "twin Quad6 {
  parameters { p0: Real = 9.8; p1: Real = 0.4; p2: Real = 6; p3: Real = 2 }
  states { x: Real = 0; h: Real = 2; th: Real = 0.3; vx: Real = 0.5; vh: Real = 0; w: Real = 0.1 }
  variables { s: Real; c: Real; d: Real }
  equations {
    s = sin(th)
    c = cos(th)
    d = p1*exp(-h/8)
    der(x) = vx * 1 [1/s]
    der(h) = vh * 1 [1/s]
    der(th) = w * 1 [1/s]
    der(vx) = -(p0*s + d*vx) * 1 [1/s]
    der(vh) = (p0*c - 9.81 - d*vh) * 1 [1/s]
    der(w) = (-p2*s - p3*w + 0.3*vx) * 1 [1/s]
  }
}
scenario s for Quad6 { duration: 10 s }";
