//! Events: who hears whom, and what connections hand over.

use super::super::Flattener;
use super::super::scope::{InstId, Local, R, Scope, Slot};
use crate::diag::{Diagnostic, codes};
use crate::flat::Affine;
use crate::hir::behavior::EventRef;
use crate::hir::{self, Subscript};
use crate::source::Span;
use twinml_model::behavior::{Heard, Route};

/// Most pairs that connections of events make.
const MAX_ROUTES: usize = 5_000_000;

/// An element or all of an axis.
type Pick = Option<u32>;

impl<'a> Flattener<'a> {
    /// What an event reference means to the instances of a family: one entry for each family that may emit it.
    pub(super) fn heard(&mut self, inst: InstId, e: &'a EventRef) -> R<Vec<Heard>> {
        let mut out = Vec::new();
        self.heard_from(inst, inst, 1, Some(0), &e.path, e, &mut out)?;
        Ok(out)
    }

    #[expect(clippy::too_many_arguments, reason = "a recursion over the path")]
    fn heard_from(
        &mut self,
        own: InstId,
        at: InstId,
        per: u32,
        only: Option<u32>,
        path: &'a [hir::Step],
        e: &'a EventRef,
        out: &mut Vec<Heard>,
    ) -> R<()> {
        let Some((step, rest)) = path.split_first() else {
            let event = self.heard_event(at, &e.name, e.span);
            out.push(Heard { event, per, only: if per == 1 { None } else { only } });
            return Ok(());
        };
        let Some(Slot::Twin { shape, parts }) = self.inst(at).members.get(&*step.name).cloned() else {
            return Err(self.later(e.span, "an event of this part"));
        };
        let mut picks: Vec<Pick> = Vec::with_capacity(shape.len());
        let scope = self.scope_in(own);
        for (k, &len) in shape.iter().enumerate() {
            picks.push(match step.subscripts.get(k) {
                None | Some(Subscript::Slice(None, None)) => None,
                Some(Subscript::Index(i)) => {
                    let n = self.integer(i, &scope)?;
                    if n < 0 || n >= i64::from(len) {
                        return Err(self.out_of_range(i.span, n, len.into()));
                    }
                    Some(n as u32)
                }
                Some(Subscript::Slice(..)) => return Err(self.later(e.span, "a slice of twins here")),
            });
        }
        let all: u32 = shape.iter().product();
        let chosen = elements(&shape, &picks);
        match parts[..] {
            [one] if !self.pinned(at, one) => {
                if chosen.len() as u32 == all {
                    let only = if all == 1 { only } else { None };
                    return self.heard_from(own, one, per * all, only, rest, e, out);
                }
                if per > 1 && only.is_none() {
                    return Err(self.later(e.span, "one element of each of several twins here"));
                }
                for k in chosen {
                    let only = Some(only.unwrap_or(0) * all + k);
                    self.heard_from(own, one, per * all, only, rest, e, out)?;
                }
                Ok(())
            }
            _ => {
                for k in chosen {
                    if let Some(&p) = parts.get(k as usize) {
                        self.heard_from(own, p, per, only, rest, e, out)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// Whether a part stands for one element only.
    fn pinned(&self, of: InstId, part: InstId) -> bool {
        let n = self.inst(of).axes.len();
        self.inst(part).axes[n..].iter().any(|a| a.pin.is_some())
    }

    /// `a.out -> b.arrive`, for every instance of the twin that connects them.
    pub(in super::super) fn event_connections(&mut self) {
        for k in 0..self.insts.len() as u32 {
            let inst = InstId(k);
            let class = self.inst(inst).class;
            if !class.connections.iter().any(has_events) {
                continue;
            }
            let axes = self.inst(inst).axes.clone();
            let count: u32 = self.own_axes(inst).iter().product();
            for n in 0..count {
                // The values of the axes for this instance.
                let mut rest = n;
                let mut at = vec![0i64; axes.len()];
                for (a, x) in axes.iter().zip(&mut at).rev() {
                    match a.pin {
                        Some(p) => *x = p,
                        None => {
                            *x = i64::from(rest % a.len);
                            rest /= a.len;
                        }
                    }
                }
                self.ranges = at.iter().map(|&x| (x, x + 1)).collect();
                let scope = self.own_scope(inst);
                for c in &class.connections {
                    let done = self.event_connection(c, &scope, n);
                    self.settle_stop(done);
                }
            }
            self.ranges.clear();
        }
    }

    fn event_connection(&mut self, c: &'a hir::Connection, scope: &Scope<'a>, n: u32) -> R<()> {
        match c {
            hir::Connection::Event { from, to, span } => {
                let (a, b) = (self.ends(from, scope, n)?, self.ends(to, scope, n)?);
                let pairwise = a.len() == b.len() && a.len() > 1 && open(from) && open(to);
                let add = |f: &mut Self, x: (u32, u32), y: (u32, u32)| {
                    f.behaving.out.routes.push(Route {
                        from: x.0,
                        from_instance: x.1,
                        to: y.0,
                        to_instance: y.1,
                    });
                };
                if pairwise {
                    a.iter().zip(&b).for_each(|(x, y)| add(self, *x, *y));
                } else {
                    for x in &a {
                        b.iter().for_each(|y| add(self, *x, *y));
                    }
                }
                if self.behaving.out.routes.len() > MAX_ROUTES {
                    let n = self.behaving.out.routes.len() as u64;
                    return Err(self.too_large(*span, n, "connections of events"));
                }
                Ok(())
            }
            hir::Connection::For { range, body } if body.iter().any(has_events) => {
                let (lo, hi) = (self.integer(&range.lo, scope)?, self.integer(&range.hi, scope)?);
                for k in lo..hi {
                    let inner = scope.with(range.local, Local::Index(Affine::constant(k)));
                    for c in body {
                        self.event_connection(c, &inner, n)?;
                    }
                }
                Ok(())
            }
            hir::Connection::If { cond, body } if body.iter().any(has_events) => {
                if self.static_bool(cond, scope)? {
                    for c in body {
                        self.event_connection(c, scope, n)?;
                    }
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The events at one end of a connection, with the instance of each.
    fn ends(&mut self, e: &'a EventRef, scope: &Scope<'a>, n: u32) -> R<Vec<(u32, u32)>> {
        let mut at = vec![(scope.inst, n)];
        for step in &e.path {
            let mut next = Vec::new();
            for (inst, k) in at {
                match self.inst(inst).members.get(&*step.name).cloned() {
                    Some(Slot::Twin { shape, parts }) => {
                        let picks = self.picks(step, &shape, scope, e.span)?;
                        let all: u32 = shape.iter().product();
                        for j in elements(&shape, &picks) {
                            match parts[..] {
                                [one] if !self.pinned(inst, one) => next.push((one, k * all + j)),
                                _ => next.extend(parts.get(j as usize).map(|p| (*p, k))),
                            }
                        }
                    }
                    Some(Slot::Absent(_)) => {}
                    _ => {
                        let d = Diagnostic::new(
                            codes::NO_SUCH_MEMBER,
                            e.span,
                            format!("`{}` is no twin that emits or answers to events", step.name),
                        );
                        return Err(self.fail(d));
                    }
                }
            }
            at = next;
        }
        Ok(at.into_iter().map(|(inst, k)| (self.heard_event(inst, &e.name, e.span), k)).collect())
    }

    fn picks(&mut self, step: &'a hir::Step, shape: &[u32], scope: &Scope<'a>, span: Span) -> R<Vec<Pick>> {
        let mut out = Vec::with_capacity(shape.len());
        for (k, &len) in shape.iter().enumerate() {
            out.push(match step.subscripts.get(k) {
                None | Some(Subscript::Slice(None, None)) => None,
                Some(Subscript::Index(i)) => {
                    let n = self.integer(i, scope)?;
                    if n < 0 || n >= i64::from(len) {
                        return Err(self.out_of_range(i.span, n, len.into()));
                    }
                    Some(n as u32)
                }
                Some(Subscript::Slice(..)) => return Err(self.later(span, "a slice of twins here")),
            });
        }
        Ok(out)
    }
}

/// The flat numbers of the elements that are picked.
fn elements(shape: &[u32], picks: &[Pick]) -> Vec<u32> {
    let mut out = vec![0u32];
    for (len, p) in shape.iter().zip(picks) {
        out =
            out.into_iter().flat_map(|n| p.map_or(0..*len, |k| k..k + 1).map(move |k| n * len + k)).collect();
    }
    out
}

/// Whether an end names several twins.
fn open(e: &EventRef) -> bool {
    e.path.last().is_some_and(|s| s.subscripts.is_empty())
}

fn has_events(c: &hir::Connection) -> bool {
    match c {
        hir::Connection::Event { .. } => true,
        hir::Connection::For { body, .. } | hir::Connection::If { body, .. } => body.iter().any(has_events),
        _ => false,
    }
}
