//! What a solve cost.

/// Counters of the work done since `start`; restarts keep counting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Accepted steps.
    pub steps: u64,
    /// Steps tried and thrown away, for whatever reason.
    pub rejected: u64,
    /// Of these: the error estimate was above the tolerance.
    pub error_test_failures: u64,
    /// Evaluations of the right-hand side.
    pub rhs: u64,
    /// Evaluations of the Jacobian.
    pub jac: u64,
    /// Numeric factorisations of an iteration matrix.
    pub factorizations: u64,
    /// Solutions of a linear system with a factorised matrix.
    pub solves: u64,
    /// Newton iterations.
    pub newton_iters: u64,
    /// Newton iterations that did not converge.
    pub newton_failures: u64,
    /// Starts after an event.
    pub restarts: u64,
}

impl Stats {
    /// What was counted since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Stats) -> Stats {
        Stats {
            steps: self.steps - earlier.steps,
            rejected: self.rejected - earlier.rejected,
            error_test_failures: self.error_test_failures - earlier.error_test_failures,
            rhs: self.rhs - earlier.rhs,
            jac: self.jac - earlier.jac,
            factorizations: self.factorizations - earlier.factorizations,
            solves: self.solves - earlier.solves,
            newton_iters: self.newton_iters - earlier.newton_iters,
            newton_failures: self.newton_failures - earlier.newton_failures,
            restarts: self.restarts - earlier.restarts,
        }
    }

    /// Adds `other` to every counter.
    pub fn add(&mut self, other: &Stats) {
        self.steps += other.steps;
        self.rejected += other.rejected;
        self.error_test_failures += other.error_test_failures;
        self.rhs += other.rhs;
        self.jac += other.jac;
        self.factorizations += other.factorizations;
        self.solves += other.solves;
        self.newton_iters += other.newton_iters;
        self.newton_failures += other.newton_failures;
        self.restarts += other.restarts;
    }
}
