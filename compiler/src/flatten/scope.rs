//! Instances, scopes, and the loops in force.

use super::{Flattener, Mark};
use crate::flat::{Affine, CmpOp, Expr};
use crate::hir::{self, Name};
use crate::map::IndexMap;
use crate::source::Span;
use std::rc::Rc;
use twinml_model::ids::{Index, VarId};
use twinml_model::schema::Segment;

/// Why a translation did not come to its end.
#[derive(Clone, Debug)]
pub(super) enum Stop {
    /// The loop of this index must treat parts of its range apart.
    Split {
        /// Which loop.
        index: Index,
        /// Where its range is cut; empty: into single values.
        cuts: Vec<i64>,
        /// Why, for `check --explain`.
        why: &'static str,
        /// What asked for it.
        span: Span,
    },
    /// A constant was wanted and this is none.
    NotConst {
        /// The part that is not.
        span: Span,
        /// An index whose expansion would make it one.
        index: Option<Index>,
    },
    /// An error that is reported already.
    Fail,
}

/// The result of a translation.
pub(super) type R<T> = Result<T, Stop>;

/// Number of an instance family.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, PartialOrd, Ord)]
pub(super) struct InstId(pub u32);

/// One axis of an instance family.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Axis {
    /// Its length.
    pub len: u32,
    /// The only value that this family stands for, where instances of an array are kept apart.
    pub pin: Option<i64>,
}

/// A family of instances of one class.
pub(super) struct Inst<'a> {
    pub class: &'a hir::Class,
    pub parent: Option<InstId>,
    /// Path for people and results; pinned axes are part of the names.
    pub path: Vec<Segment>,
    /// All axes from the root down.
    pub axes: Vec<Axis>,
    pub types: Vec<TypeArg<'a>>,
    pub members: IndexMap<Name, Slot<'a>>,
}

/// A class given for a type parameter.
#[derive(Clone)]
pub(super) struct TypeArg<'a> {
    pub class: hir::ClassId,
    pub types: Vec<TypeArg<'a>>,
    /// Value arguments, in the scope of the instance given.
    pub values: &'a [(Name, hir::Expr)],
    pub scope: InstId,
}

/// What an instance has under a name.
#[derive(Clone)]
pub(super) enum Slot<'a> {
    Var(Rc<VarSlot<'a>>),
    Port {
        shape: Vec<u32>,
        connector: &'a hir::Connector,
        vars: Vec<VarId>,
        shapes: Vec<Vec<u32>>,
    },
    /// One family for all elements, or one for each.
    Twin {
        shape: Vec<u32>,
        parts: Vec<InstId>,
    },
    /// A part whose condition does not hold.
    Absent(Span),
    /// `outer`: the member of that name in this enclosing instance.
    Outer(InstId),
    /// Something that behaviour alone sees.
    Other,
}

/// A declared quantity of an instance family.
pub(super) struct VarSlot<'a> {
    pub inst: InstId,
    pub decl: &'a hir::VarDecl,
    pub span: Span,
    pub doc: Option<&'a String>,
    pub shape: std::cell::OnceCell<Vec<u32>>,
    pub var: std::cell::OnceCell<VarId>,
    /// What gives the value, weakest first.
    pub bindings: Vec<Binding<'a>>,
    /// What gives the first guess, weakest first.
    pub guesses: Vec<Binding<'a>>,
    /// What says how it is drawn, weakest first.
    pub laws: Vec<DrawBinding<'a>>,
}

/// What gives (some elements of) a member its value.
#[derive(Clone)]
pub(super) struct Binding<'a> {
    pub expr: &'a hir::Expr,
    /// The scope that the expression stands in.
    pub scope: InstId,
    /// Locals of `for i`.
    pub locals: &'a [hir::LocalId],
    /// Which elements: one entry an axis of the member beyond the scope's own axes.
    pub select: Vec<Select>,
    pub span: Span,
}

/// What says how (some elements of) a member are drawn.
#[derive(Clone)]
pub(super) struct DrawBinding<'a> {
    /// `~ …`; none: a plain `=`, which moves what is given relative to the nominal and drops the rest.
    pub law: Option<&'a hir::Distribution>,
    /// The scope that it stands in.
    pub scope: InstId,
    /// Locals of `for i`.
    pub locals: &'a [hir::LocalId],
    /// Which elements.
    pub select: Vec<Select>,
}

/// Which part of an axis an override speaks about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Select {
    All,
    At(i64),
    Range(i64, i64),
}

/// Where an expression is read: an instance with its subscripts, and what local names stand for.
#[derive(Clone)]
pub(super) struct Scope<'a> {
    pub inst: InstId,
    /// One subscript an axis of the instance.
    pub at: Rc<[Affine]>,
    pub locals: Locals<'a>,
}

/// Local names, innermost first.
#[derive(Clone, Default)]
pub(super) struct Locals<'a>(Option<Rc<LocalNode<'a>>>);

struct LocalNode<'a> {
    id: hir::LocalId,
    value: Local<'a>,
    next: Locals<'a>,
}

/// What a local name stands for.
#[derive(Clone)]
pub(super) enum Local<'a> {
    /// A loop's index.
    Index(Affine),
    /// An expression of another scope: a function's argument.
    Lazy(&'a hir::Expr, Rc<Scope<'a>>),
    /// Values: a function's local; row-major.
    Elems(Rc<[u32]>, Rc<[Expr]>),
}

impl<'a> Locals<'a> {
    pub fn get(&self, id: hir::LocalId) -> Option<&Local<'a>> {
        let mut at = self.0.as_ref();
        while let Some(n) = at {
            if n.id == id {
                return Some(&n.value);
            }
            at = n.next.0.as_ref();
        }
        None
    }

    /// Calls `f` for every local, innermost first.
    pub fn each(&self, f: &mut dyn FnMut(&Local<'a>)) {
        let mut at = self.0.as_ref();
        while let Some(n) = at {
            f(&n.value);
            at = n.next.0.as_ref();
        }
    }

    pub fn with(&self, id: hir::LocalId, value: Local<'a>) -> Locals<'a> {
        Locals(Some(Rc::new(LocalNode { id, value, next: self.clone() })))
    }
}

impl<'a> Scope<'a> {
    pub fn with(&self, id: hir::LocalId, value: Local<'a>) -> Scope<'a> {
        Scope { locals: self.locals.with(id, value), ..self.clone() }
    }
}

/// `a + b`
pub(super) fn add(a: &Affine, b: &Affine) -> Option<Affine> {
    combine(a, b, 1)
}

/// `a − b`
pub(super) fn sub(a: &Affine, b: &Affine) -> Option<Affine> {
    combine(a, b, -1)
}

fn combine(a: &Affine, b: &Affine, sign: i64) -> Option<Affine> {
    let mut out = a.clone();
    out.base = out.base.checked_add(b.base.checked_mul(sign)?)?;
    for &(i, s) in &b.terms {
        let old = out.terms.iter().find(|t| t.0 == i).map_or(0, |t| t.1);
        old.checked_add(s.checked_mul(sign)?)?;
        out = out.plus(i, s * sign);
    }
    Some(out)
}

/// `k·a`
pub(super) fn scale(a: &Affine, k: i64) -> Option<Affine> {
    let mut out = Affine::constant(a.base.checked_mul(k)?);
    for &(i, s) in &a.terms {
        out = out.plus(i, s.checked_mul(k)?);
    }
    Some(out)
}

impl<'a> Flattener<'a> {
    pub(super) fn inst(&self, id: InstId) -> &Inst<'a> {
        &self.insts[id.0 as usize]
    }

    /// An index as a subscript: a constant where its range has one value.
    pub(super) fn index_value(&self, index: Index) -> Affine {
        let (lo, hi) = self.ranges[index.index()];
        if hi - lo == 1 { Affine::constant(lo) } else { Affine::constant(0).plus(index, 1) }
    }

    /// `a` with the indices that have become constants put in.
    pub(super) fn settle(&self, a: &Affine) -> Affine {
        if a.terms.iter().all(|t| {
            let (lo, hi) = self.ranges[t.0.index()];
            hi - lo != 1
        }) {
            return a.clone();
        }
        let mut out = Affine::constant(a.base);
        for &(i, s) in &a.terms {
            let (lo, hi) = self.ranges[i.index()];
            if hi - lo == 1 {
                out.base = out.base.saturating_add(s.saturating_mul(lo));
            } else {
                out = out.plus(i, s);
            }
        }
        out
    }

    /// Smallest and largest value over the loops in force.
    pub(super) fn bounds(&self, a: &Affine) -> (i64, i64) {
        let (mut lo, mut hi) = (i128::from(a.base), i128::from(a.base));
        for &(i, s) in &a.terms {
            let (first, end) = self.ranges[i.index()];
            let (x, y) = (i128::from(s) * i128::from(first), i128::from(s) * i128::from(end - 1));
            lo += x.min(y);
            hi += x.max(y);
        }
        let clamp = |x: i128| x.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        (clamp(lo), clamp(hi))
    }

    /// Runs `body` for `index in lo..hi`, kept as one loop where `body` allows it.
    pub(super) fn over(
        &mut self,
        range: (i64, i64),
        body: &mut dyn FnMut(&mut Self, Index) -> R<()>,
    ) -> R<()> {
        let index = Index::new(self.ranges.len());
        let mut work = vec![range];
        let mut result = Ok(());
        while let Some((lo, hi)) = work.pop() {
            if lo >= hi {
                continue;
            }
            self.ranges.push((lo, hi));
            let mark: Mark = self.mark();
            let done = body(self, index);
            self.ranges.truncate(index.index());
            match done {
                Ok(()) => {}
                Err(Stop::Split { index: at, cuts, why, span }) if at == index => {
                    self.rollback(mark);
                    if let Err(e) = self.split((lo, hi), &cuts, &mut work, why, span) {
                        result = Err(e);
                        break;
                    }
                }
                Err(e) => {
                    result = Err(e);
                    break;
                }
            }
        }
        result
    }

    /// Pushes the parts of a range, the first on top. Expansions are recorded.
    pub(super) fn split(
        &mut self,
        (lo, hi): (i64, i64),
        cuts: &[i64],
        work: &mut Vec<(i64, i64)>,
        why: &'static str,
        span: Span,
    ) -> R<()> {
        if cuts.is_empty() {
            if hi - lo > super::MAX_EQUATIONS as i64 {
                return Err(self.too_large(span, (hi - lo) as u64, "equations after expansion"));
            }
            if self.may_add
                && !why.is_empty()
                && !self.system.expanded.iter().rev().take(64).any(|e| e.0 == span && e.1 == why)
            {
                self.system.expanded.push((span, why.to_owned()));
            }
            work.extend((lo..hi).rev().map(|k| (k, k + 1)));
            return Ok(());
        }
        let mut at: Vec<i64> = cuts.iter().copied().filter(|c| *c > lo && *c < hi).collect();
        at.sort_unstable();
        at.dedup();
        if at.is_empty() {
            // A cut that cuts nothing would be asked for again and again.
            return Err(self.internal(span, "a loop was asked to split where it cannot"));
        }
        let mut end = hi;
        for &c in at.iter().rev() {
            work.push((c, end));
            end = c;
        }
        work.push((lo, end));
        Ok(())
    }

    /// Whether `a` is below, at or above zero for all values of the indices; asks for a split where that
    /// decides it. `None`: it depends on several indices.
    pub(super) fn sign(&self, a: &Affine, span: Span) -> R<Option<std::cmp::Ordering>> {
        use std::cmp::Ordering::{Equal, Greater, Less};
        let a = self.settle(a);
        let (lo, hi) = self.bounds(&a);
        if hi < 0 {
            return Ok(Some(Less));
        }
        if lo > 0 {
            return Ok(Some(Greater));
        }
        if lo == 0 && hi == 0 {
            return Ok(Some(Equal));
        }
        let [(index, s)] = a.terms[..] else { return Ok(None) };
        // s·i + b changes its sign around −b/s.
        let (at, exact) = if s > 0 {
            ((-a.base).div_euclid(s), (-a.base).rem_euclid(s) == 0)
        } else {
            (a.base.div_euclid(-s), a.base.rem_euclid(-s) == 0)
        };
        let cuts = if exact { vec![at, at + 1] } else { vec![at + 1] };
        Err(Stop::Split { index, cuts, why: "", span })
    }

    /// Whether `a op b` holds for all values of the indices; asks for a split where that decides it. `None`:
    /// it depends on several indices.
    pub(super) fn decide(&self, op: CmpOp, a: &Affine, b: &Affine, span: Span) -> R<Option<bool>> {
        let difference = sub(a, b).unwrap_or_default();
        // Twice the distance to a half: never zero, so that a range is cut once.
        let at_least = |k: i64| {
            let doubled = scale(&difference, 2).unwrap_or_default();
            let moved = sub(&doubled, &Affine::constant(2 * k - 1)).unwrap_or_default();
            Ok(self.sign(&moved, span)?.map(|o| o.is_gt()))
        };
        match op {
            CmpOp::Eq => Ok(self.sign(&difference, span)?.map(|o| o.is_eq())),
            CmpOp::Ne => Ok(self.sign(&difference, span)?.map(|o| o.is_ne())),
            CmpOp::Ge => at_least(0),
            CmpOp::Gt => at_least(1),
            CmpOp::Lt => at_least(0).map(|x| x.map(|y| !y)),
            CmpOp::Le => at_least(1).map(|x| x.map(|y| !y)),
        }
    }

    /// Splits all of the first index of `a` into single values.
    pub(super) fn expand(&self, a: &Affine, why: &'static str, span: Span) -> Stop {
        match self.settle(a).terms.first() {
            Some(&(index, _)) => Stop::Split { index, cuts: Vec::new(), why, span },
            None => Stop::NotConst { span, index: None },
        }
    }

    /// `a` as a constant; asks for the expansion of an index where it is none yet.
    pub(super) fn constant(&self, a: &Affine, why: &'static str, span: Span) -> R<i64> {
        let a = self.settle(a);
        if a.terms.is_empty() { Ok(a.base) } else { Err(self.expand(&a, why, span)) }
    }

    /// Which of `n` equal cases the subscript is, `0 <= a < n`.
    pub(super) fn choice(&self, a: &Affine, span: Span) -> R<usize> {
        self.constant(a, "elements of an array that is written out", span).map(|k| k.max(0) as usize)
    }
}
