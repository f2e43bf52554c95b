//! The system that an integrator sees: right-hand side, sparse Jacobian, root functions.

/// Sparsity of an `n × n` matrix, compressed by columns; rows within a column rise strictly.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    n: usize,
    col_ptr: Vec<usize>,
    rows: Vec<usize>,
}

/// Why a pattern was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternError {
    /// `col_ptr` needs `n + 1` entries that start at 0, never fall, and end at the number of rows.
    ColumnPointers {
        /// The first offending entry.
        at: usize,
    },
    /// A row index is out of range or not above the one before it in the same column.
    Row {
        /// The column.
        column: usize,
        /// The position in the list of rows.
        at: usize,
    },
}

impl Pattern {
    /// A pattern of `n` columns: column `j` holds the rows `rows[col_ptr[j]..col_ptr[j + 1]]`.
    pub fn new(n: usize, col_ptr: Vec<usize>, rows: Vec<usize>) -> Result<Self, PatternError> {
        if col_ptr.len() != n + 1 || col_ptr[0] != 0 {
            return Err(PatternError::ColumnPointers { at: 0 });
        }
        if col_ptr[n] != rows.len() {
            return Err(PatternError::ColumnPointers { at: n });
        }
        for j in 0..n {
            if col_ptr[j] > col_ptr[j + 1] || col_ptr[j + 1] > rows.len() {
                return Err(PatternError::ColumnPointers { at: j + 1 });
            }
            for k in col_ptr[j]..col_ptr[j + 1] {
                if rows[k] >= n || (k > col_ptr[j] && rows[k] <= rows[k - 1]) {
                    return Err(PatternError::Row { column: j, at: k });
                }
            }
        }
        Ok(Pattern { n, col_ptr, rows })
    }

    /// The full `n × n` pattern.
    pub fn dense(n: usize) -> Self {
        Pattern { n, col_ptr: (0..=n).map(|j| j * n).collect(), rows: (0..n).flat_map(|_| 0..n).collect() }
    }

    /// From (row, column) pairs in any order; pairs that repeat count once.
    pub fn from_entries(
        n: usize,
        entries: impl IntoIterator<Item = (usize, usize)>,
    ) -> Result<Self, PatternError> {
        let mut list: Vec<(usize, usize)> = entries.into_iter().map(|(i, j)| (j, i)).collect();
        list.sort_unstable();
        list.dedup();
        if let Some(at) = list.iter().position(|&(j, i)| i >= n || j >= n) {
            return Err(PatternError::Row { column: list[at].0, at });
        }
        let mut col_ptr = vec![0; n + 1];
        for &(j, _) in &list {
            col_ptr[j + 1] += 1;
        }
        for j in 0..n {
            col_ptr[j + 1] += col_ptr[j];
        }
        Ok(Pattern { n, col_ptr, rows: list.into_iter().map(|(_, i)| i).collect() })
    }

    /// The number of rows and columns.
    pub fn n(&self) -> usize {
        self.n
    }

    /// The number of stored entries.
    pub fn nnz(&self) -> usize {
        self.rows.len()
    }

    /// Where each column starts in [`Pattern::rows`]; `n + 1` entries.
    pub fn col_ptr(&self) -> &[usize] {
        &self.col_ptr
    }

    /// Row indices, column after column.
    pub fn rows(&self) -> &[usize] {
        &self.rows
    }

    /// The rows of column `j`.
    pub fn column(&self, j: usize) -> &[usize] {
        &self.rows[self.col_ptr[j]..self.col_ptr[j + 1]]
    }

    /// The position of entry (row `i`, column `j`) in the list of values, if it is stored.
    pub fn position(&self, i: usize, j: usize) -> Option<usize> {
        self.column(j).binary_search(&i).ok().map(|k| self.col_ptr[j] + k)
    }

    /// `out = A·v` for a matrix with this pattern and the given `values`; columns in order, so the
    /// sum of each row has one stated order.
    pub fn mul(&self, values: &[f64], v: &[f64], out: &mut [f64]) {
        out.fill(0.0);
        for (j, &vj) in v.iter().enumerate() {
            for k in self.col_ptr[j]..self.col_ptr[j + 1] {
                out[self.rows[k]] += values[k] * vj;
            }
        }
    }
}

/// Why an evaluation gave no value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EvalError {
    /// The point is outside the domain (a NaN, an algebraic block that did not converge). In a trial
    /// stage the step shrinks; only at an accepted point is it an error.
    Recoverable {
        /// The state, equation or block concerned, as the system numbers them.
        index: usize,
        /// What was left over; NaN where there is no residual.
        residual: f64,
    },
    /// No smaller step will help.
    Fatal {
        /// The state, equation or block concerned, as the system numbers them.
        index: usize,
        /// A code of the system's own.
        code: u32,
    },
}

/// A point of a grid of fixed steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rk4Grid {
    /// Where the grid begins, in seconds.
    pub t0: f64,
    /// The step in seconds.
    pub h: f64,
    /// Steps from the beginning to this point.
    pub n: u64,
}

/// What is known of the code of Taylor coefficients before it is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outlook {
    /// Operations of it, about.
    pub work: f64,
    /// Whether it is of one side of kinks only.
    pub kinks: bool,
}

/// A system `dx/dt = f(t, x)` of `dim` states, each in its own unit, time in seconds.
///
/// Slices passed in have exactly `dim()` (or `n_roots()`, or `pattern().nnz()`) elements. Methods take
/// `&mut self` for scratch space only: a call must depend on nothing but its arguments and what the
/// engine changed between steps.
pub trait System {
    /// The number of states.
    fn dim(&self) -> usize;

    /// `dx = f(t, x)`.
    fn rhs(&mut self, t: f64, x: &[f64], dx: &mut [f64]) -> Result<(), EvalError>;

    /// Floating-point operations of one evaluation, about; 0 where nothing is known beyond the pattern.
    fn work(&self) -> f64 {
        0.0
    }

    /// What one evaluation takes, in about nanoseconds of one machine: counted, never measured. From the pattern where nothing
    /// is known beyond it.
    fn takes(&self) -> f64 {
        24.0 + 0.1 * (3.0 * self.dim() as f64 + 2.0 * self.pattern().nnz() as f64)
    }

    /// The same of a Jacobian.
    fn jacobian_takes(&self) -> f64 {
        1.5 * self.takes()
    }

    /// The sparsity of `∂f/∂x`; fixed for the life of the system.
    fn pattern(&self) -> &Pattern;

    /// The entries of `∂f/∂x` in the order of [`System::pattern`]; every entry is written.
    fn jacobian(&mut self, t: f64, x: &[f64], values: &mut [f64]) -> Result<(), EvalError>;

    /// `out = ∂f/∂x · v`.
    fn jvp(&mut self, t: f64, x: &[f64], v: &[f64], out: &mut [f64]) -> Result<(), EvalError>;

    /// True if `f` does not depend on `t`: then [`System::dfdt`] is never called.
    fn autonomous(&self) -> bool {
        false
    }

    /// The partial derivative `out = ∂f/∂t`.
    fn dfdt(&mut self, t: f64, x: &[f64], out: &mut [f64]) -> Result<(), EvalError>;

    /// `steps` classic Runge–Kutta steps of size `h` on the grid `t0 + n·h`, from `x` at grid point `n` on,
    /// by code of the system's own; `x` is then the state at grid point `n + steps`. `None` where it has
    /// none for this grid, and then always. After an error `x` is undefined.
    fn rk4(&mut self, grid: Rk4Grid, steps: u64, x: &mut [f64]) -> Option<Result<(), EvalError>> {
        let _ = (grid, steps, x);
        None
    }

    /// As [`System::rk4`], by code that keeps the states after each step where the system's owner finds them, until the next
    /// call of any other function. `None` where it has none for so many ([`crate::rk::fixed::KEPT`] says how many) of this grid, and then always.
    fn rk4_kept(&mut self, grid: Rk4Grid, steps: u64, x: &mut [f64]) -> Option<Result<(), EvalError>> {
        let _ = (grid, steps, x);
        None
    }

    /// The number of independent Brownian paths that drive the system; [`System::rhs`] is its drift.
    fn n_noise(&self) -> usize {
        0
    }

    /// The paths at time `t`, in s^(1/2): functions of `t` alone, 0 at time 0.
    fn brownian(&mut self, t: f64, w: &mut [f64]) {
        let _ = t;
        w.fill(0.0);
    }

    /// Whether a state is on a limit at which it is held, or beyond: there directional derivatives are differences.
    fn on_limit(&self, x: &[f64]) -> bool {
        let _ = x;
        false
    }

    /// `dx = a(t, x) + B(t, x)·noise`, with one element of `noise` for each path.
    fn rhs_driven(&mut self, t: f64, x: &[f64], noise: &[f64], dx: &mut [f64]) -> Result<(), EvalError> {
        let _ = noise;
        self.rhs(t, x, dx)
    }

    /// `out = ∂(a + B·noise)/∂x · v`.
    fn jvp_driven(
        &mut self,
        t: f64,
        x: &[f64],
        noise: &[f64],
        v: &[f64],
        out: &mut [f64],
    ) -> Result<(), EvalError> {
        let _ = noise;
        self.jvp(t, x, v, out)
    }

    /// The Taylor coefficients of the solution through `(t, x)`: `c[(k − 1)·dim + i]` is the `k`-th derivative of
    /// state `i` over `k!`, `k` from 1 to `order`. `None` where the system has no recurrences of this order, and then
    /// always.
    fn taylor(&mut self, t: f64, x: &[f64], order: u32, c: &mut [f64]) -> Option<Result<(), EvalError>> {
        let _ = (t, x, order, c);
        None
    }

    /// Operations of the code of [`System::taylor`] for this order, about; it is made where it is not there yet. `None` where
    /// the system has none, and then always.
    fn taylor_work(&mut self, order: u32) -> Option<f64> {
        let _ = order;
        None
    }

    /// What can be said of that code before it is made, for a fraction of what that takes. `None` where nothing can.
    fn taylor_outlook(&mut self, order: u32) -> Option<Outlook> {
        let _ = order;
        None
    }

    /// Says that [`System::taylor`] will be asked so many times from here on, as far as anybody knows: how it prepares goes by it,
    /// and never its values.
    fn expect_taylor(&mut self, order: u32, times: u64) {
        let _ = (order, times);
    }

    /// Whether the equations have kinks that are no events: [`System::taylor`] then knows one side only.
    fn kinks(&self) -> bool {
        false
    }

    /// Whether `f` looks back at what the states were: a jump in the past comes back as one in a derivative, again and again.
    fn looks_back(&self) -> bool {
        false
    }

    /// A trial step of the Rosenbrock method that the system was made ready for, from `(t, x)` over `h` to `t1`, by code of
    /// its own: it leaves in `out` what [`crate::rosenbrock::fused`] says, from the error on. `None` where it has none, and
    /// then always; false where it does not serve for this step.
    fn rosenbrock(
        &mut self,
        (t, h, t1): (f64, f64, f64),
        x: &[f64],
        out: &mut [f64],
    ) -> Option<Result<bool, EvalError>> {
        let _ = (t, h, t1, x, out);
        None
    }

    /// The number of root functions.
    fn n_roots(&self) -> usize {
        0
    }

    /// Whether all root functions depend on time alone: then `roots` may be given any states.
    fn roots_of_time(&self) -> bool {
        false
    }

    /// The root functions at `t` on the dense output of the last step, where they are known already: true then.
    fn roots_known(&mut self, t: f64, g: &mut [f64]) -> bool {
        let _ = (t, g);
        false
    }

    /// `g = g(t, x)`: a sign change is an event.
    fn roots(&mut self, t: f64, x: &[f64], g: &mut [f64]) -> Result<(), EvalError> {
        let (_, _, _) = (t, x, g);
        Ok(())
    }
}
