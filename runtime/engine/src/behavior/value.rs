//! Values of behaviour. Copies are values of their own: a change copies what is shared (`Arc::make_mut`).

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use twinml_model::behavior::{CodeId, Const};

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
    List(Arc<VecDeque<Value>>),
    /// A record: number of its type, fields in order.
    Record(u32, Arc<Vec<Value>>),
    /// A map, sorted by key.
    Map(Arc<BTreeMap<Value, Value>>),
    /// A set, sorted.
    Set(Arc<BTreeSet<Value>>),
    /// A code with captured values.
    Closure(CodeId, Arc<Vec<Value>>),
}

impl Value {
    /// A text.
    #[must_use]
    pub fn text(s: &str) -> Value {
        Value::Str(Arc::from(s))
    }

    /// A list of these.
    pub fn list(items: impl IntoIterator<Item = Value>) -> Value {
        Value::List(Arc::new(items.into_iter().collect()))
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
            Value::None | Value::Num(_) | Value::Bool(_) => own,
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
            (Value::List(a), Value::List(b)) => a.cmp(b),
            (Value::Record(s, a), Value::Record(t, b)) => s.cmp(t).then_with(|| a.cmp(b)),
            (Value::Map(a), Value::Map(b)) => a.cmp(b),
            (Value::Set(a), Value::Set(b)) => a.cmp(b),
            (Value::Closure(s, a), Value::Closure(t, b)) => s.cmp(t).then_with(|| a.cmp(b)),
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
