//! Values of behaviour. Copies are values of their own: a change copies what is shared (`Arc::make_mut`).

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::{Deref, DerefMut};
use std::sync::Arc;

use twinml_model::behavior::{CodeId, Const};

use super::fault::FaultKind;

/// A value in a register or a cell.
#[derive(Clone, Debug, Default)]
pub enum Value {
    /// `none`, and what a code without a result returns.
    #[default]
    None,
    /// A number: a quantity in SI, an integer, an enumeration value.
    Num(f64),
    /// A truth value.
    Bool(bool),
    /// A text.
    Str(Arc<str>),
    /// A list, a queue or an array.
    List(Arc<Nest<VecDeque<Value>>>),
    /// A record: number of its type, fields in order.
    Record(u32, Arc<Nest<Vec<Value>>>),
    /// A map, sorted by key.
    Map(Arc<Nest<BTreeMap<Value, Value>>>),
    /// A set, sorted.
    Set(Arc<Nest<BTreeSet<Value>>>),
    /// A code with captured values.
    Closure(CodeId, Arc<Nest<Vec<Value>>>),
    /// A twin, to send messages to.
    Twin(Twin),
}

/// A twin: a place among the instances, and whose turn in it, where twins come and go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Twin {
    /// The family.
    pub owner: u32,
    /// The number.
    pub instance: u32,
    /// How often the place was taken or freed before.
    pub life: u32,
}

/// Levels of lists in lists, records in records: what walks over a value (and what drops it) needs a stack no deeper.
pub const NESTING: u32 = 200;

/// A container that knows how deeply the values in it are nested at most.
#[derive(Clone, Debug, Default)]
pub struct Nest<C> {
    /// Levels below this one, at most.
    depth: u32,
    inner: C,
}

impl<C> Nest<C> {
    /// Makes room for a value that is about to be put in.
    pub(super) fn admit(&mut self, v: &Value) -> Result<(), FaultKind> {
        let depth = v.depth();
        if depth >= NESTING {
            return Err(FaultKind::Nesting { limit: NESTING });
        }
        self.depth = self.depth.max(depth);
        Ok(())
    }

    /// A container of values that are all from this one.
    pub(super) fn like<D>(&self, inner: D) -> Nest<D> {
        Nest { depth: self.depth, inner }
    }
}

impl<C> Deref for Nest<C> {
    type Target = C;
    fn deref(&self) -> &C {
        &self.inner
    }
}

/// What puts values in says so first: [`Nest::admit`].
impl<C> DerefMut for Nest<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.inner
    }
}

impl Value {
    /// A text.
    #[must_use]
    pub fn text(s: &str) -> Value {
        Value::Str(Arc::from(s))
    }

    /// A list of these, one level deeper than the deepest.
    pub fn list(items: impl IntoIterator<Item = Value>) -> Value {
        let inner: VecDeque<Value> = items.into_iter().collect();
        let depth = inner.iter().map(Value::depth).max().unwrap_or(0);
        Value::List(Arc::new(Nest { depth, inner }))
    }

    /// A record of these fields.
    pub(super) fn record(ty: u32, fields: Vec<Value>) -> Value {
        let depth = fields.iter().map(Value::depth).max().unwrap_or(0);
        Value::Record(ty, Arc::new(Nest { depth, inner: fields }))
    }

    /// A code with the values that it captured.
    pub(super) fn closure(code: CodeId, captured: Vec<Value>) -> Value {
        let depth = captured.iter().map(Value::depth).max().unwrap_or(0);
        Value::Closure(code, Arc::new(Nest { depth, inner: captured }))
    }

    /// A map, sorted by key.
    pub(super) fn map(inner: BTreeMap<Value, Value>) -> Value {
        let depth = inner.iter().map(|(k, v)| k.depth().max(v.depth())).max().unwrap_or(0);
        Value::Map(Arc::new(Nest { depth, inner }))
    }

    /// A set.
    pub(super) fn set(inner: BTreeSet<Value>) -> Value {
        let depth = inner.iter().map(Value::depth).max().unwrap_or(0);
        Value::Set(Arc::new(Nest { depth, inner }))
    }

    /// The container that says it is nested so deeply: it may have been deeper once. `None` where it is deeper now.
    pub(super) fn deepened(self, levels: u32) -> Option<Value> {
        fn to<C: Clone>(mut x: Arc<Nest<C>>, levels: u32) -> Option<Arc<Nest<C>>> {
            (x.depth <= levels).then(|| {
                Arc::make_mut(&mut x).depth = levels;
                x
            })
        }
        Some(match self {
            Value::List(x) => Value::List(to(x, levels)?),
            Value::Record(ty, x) => Value::Record(ty, to(x, levels)?),
            Value::Map(x) => Value::Map(to(x, levels)?),
            Value::Set(x) => Value::Set(to(x, levels)?),
            Value::Closure(code, x) => Value::Closure(code, to(x, levels)?),
            other => other,
        })
    }

    /// The value, unless it is nested too deeply.
    ///
    /// # Errors
    ///
    /// [`FaultKind::Nesting`]
    pub(super) fn bounded(self) -> Result<Value, FaultKind> {
        if self.depth() > NESTING { Err(FaultKind::Nesting { limit: NESTING }) } else { Ok(self) }
    }

    /// Levels of containers in it; 0 for a number.
    pub(super) fn depth(&self) -> u32 {
        match self {
            Value::None | Value::Num(_) | Value::Bool(_) | Value::Str(_) | Value::Twin(_) => 0,
            Value::List(x) => x.depth + 1,
            Value::Record(_, x) | Value::Closure(_, x) => x.depth + 1,
            Value::Map(x) => x.depth + 1,
            Value::Set(x) => x.depth + 1,
        }
    }

    /// What it is, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Value::None => "none",
            Value::Num(_) => "a number",
            Value::Bool(_) => "a truth value",
            Value::Str(_) => "a text",
            Value::List(_) => "a list",
            Value::Record(..) => "a record",
            Value::Map(_) => "a map",
            Value::Set(_) => "a set",
            Value::Closure(..) => "a function",
            Value::Twin(_) => "a twin",
        }
    }

    fn rank(&self) -> u8 {
        match self {
            Value::None => 0,
            Value::Bool(_) => 1,
            Value::Num(_) => 2,
            Value::Str(_) => 3,
            Value::List(_) => 4,
            Value::Record(..) => 5,
            Value::Map(_) => 6,
            Value::Set(_) => 7,
            Value::Closure(..) => 8,
            Value::Twin(_) => 9,
        }
    }

    /// Bytes that it holds, roughly, counted up to `limit`: shared parts count for each holder.
    #[must_use]
    pub fn bytes(&self, limit: usize) -> usize {
        let own = size_of::<Value>();
        let sum = |items: &mut dyn Iterator<Item = &Value>, each: usize| {
            let mut total = own;
            for v in items {
                if total > limit {
                    break;
                }
                total += each + v.bytes(limit - total);
            }
            total
        };
        match self {
            Value::None | Value::Num(_) | Value::Bool(_) | Value::Twin(_) => own,
            Value::Str(s) => own + s.len(),
            Value::List(items) => sum(&mut items.iter(), 0),
            Value::Record(_, items) | Value::Closure(_, items) => sum(&mut items.iter(), 0),
            Value::Map(items) => sum(&mut items.iter().flat_map(|(k, v)| [k, v]), 16),
            Value::Set(items) => sum(&mut items.iter(), 16),
        }
    }
}

impl From<&Const> for Value {
    fn from(c: &Const) -> Value {
        match c {
            Const::Num(x) => Value::Num(*x),
            Const::Bool(b) => Value::Bool(*b),
            Const::Str(s) => Value::Str(s.clone()),
            Const::None => Value::None,
        }
    }
}

impl Ord for Value {
    /// A total order: numbers by value (−0 equals 0, NaN last), texts by bytes, lists and records element by element.
    fn cmp(&self, other: &Value) -> Ordering {
        match (self, other) {
            (Value::Num(a), Value::Num(b)) => (a + 0.0).total_cmp(&(b + 0.0)),
            (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
            (Value::Str(a), Value::Str(b)) => a.cmp(b),
            (Value::List(a), Value::List(b)) => a.inner.cmp(&b.inner),
            (Value::Record(s, a), Value::Record(t, b)) => s.cmp(t).then_with(|| a.inner.cmp(&b.inner)),
            (Value::Map(a), Value::Map(b)) => a.inner.cmp(&b.inner),
            (Value::Set(a), Value::Set(b)) => a.inner.cmp(&b.inner),
            (Value::Closure(s, a), Value::Closure(t, b)) => s.cmp(t).then_with(|| a.inner.cmp(&b.inner)),
            (Value::Twin(a), Value::Twin(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Value) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Value) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Value {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_are_values_of_their_own() {
        let a = Value::list([Value::Num(1.0)]);
        let mut b = a.clone();
        if let Value::List(items) = &mut b {
            Arc::make_mut(items).push_back(Value::Num(2.0));
        }
        assert_eq!(a, Value::list([Value::Num(1.0)]));
        assert_eq!(b, Value::list([Value::Num(1.0), Value::Num(2.0)]));
    }

    #[test]
    fn the_order_is_total() {
        assert_eq!(Value::Num(0.0), Value::Num(-0.0));
        assert!(Value::Num(1.0) < Value::Num(f64::NAN));
        assert!(Value::None < Value::Num(f64::NEG_INFINITY));
        assert!(Value::text("a") < Value::text("b"));
    }

    #[test]
    fn size_is_counted_no_further_than_asked() {
        let many = Value::list((0..100_000).map(|k| Value::Num(f64::from(k))));
        assert!(many.bytes(1000) < 2000);
        assert!(many.bytes(usize::MAX) > 100_000 * 16);
    }
}
