//! Methods of collections, texts and optionals.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use twinml_model::behavior::{Behavior, CodeId, Method};

use super::fault::{Fault, FaultKind};
use super::value::Value;
use super::vm::{Vm, fault, index, number, truth};

/// A fault of the method itself, or of a function that was given to it.
pub(super) enum Wrong {
    Here(FaultKind),
    Inside(Box<Fault>),
}

impl Wrong {
    /// With its place.
    pub(super) fn at(self, behavior: &Behavior, code: CodeId, pc: usize) -> Box<Fault> {
        match self {
            Wrong::Here(kind) => fault(behavior, code, pc, kind),
            Wrong::Inside(fault) => fault,
        }
    }
}

impl From<FaultKind> for Wrong {
    fn from(kind: FaultKind) -> Wrong {
        Wrong::Here(kind)
    }
}

impl From<Box<Fault>> for Wrong {
    fn from(fault: Box<Fault>) -> Wrong {
        Wrong::Inside(fault)
    }
}

/// Counts a value that is kept while others are made.
fn hold(vm: &mut Vm<'_, '_>, v: &Value) -> Result<usize, FaultKind> {
    let bytes = v.bytes(vm.store.memory);
    vm.store.take(bytes)?;
    Ok(bytes)
}

/// Applies a method; the receiver is changed in place. A queue's `pop` takes the first; where there is nothing, the
/// result is `none`.
pub(super) fn apply(
    vm: &mut Vm<'_, '_>,
    method: Method,
    on: &mut Value,
    mut args: Vec<Value>,
    mut call: impl FnMut(&mut Vm<'_, '_>, &Value, Vec<Value>) -> Result<Value, Box<Fault>>,
) -> Result<Value, Wrong> {
    let found = on.kind();
    let unfit = move |wanted: &'static str| Wrong::Here(FaultKind::Type { wanted, found });
    let arg = args.first().cloned().unwrap_or_default();
    vm.charge(method, on, &arg)?;
    let truthy = |v: Value| truth(&v).map_err(Wrong::Here);
    let result = match (method, on) {
        (Method::Len, Value::List(x)) => Value::Num(x.len() as f64),
        (Method::Len, Value::Map(x)) => Value::Num(x.len() as f64),
        (Method::Len, Value::Set(x)) => Value::Num(x.len() as f64),
        (Method::Len, Value::Str(x)) => Value::Num(x.chars().count() as f64),
        (Method::IsEmpty, Value::List(x)) => Value::Bool(x.is_empty()),
        (Method::IsEmpty, Value::Map(x)) => Value::Bool(x.is_empty()),
        (Method::IsEmpty, Value::Set(x)) => Value::Bool(x.is_empty()),
        (Method::IsEmpty, Value::Str(x)) => Value::Bool(x.is_empty()),
        (Method::IsEmpty, Value::None) => Value::Bool(true),
        (Method::Push, Value::List(x)) => {
            if Arc::strong_count(x) > 1 {
                vm.store.made += x.len() * size_of::<Value>();
            }
            let x = Arc::make_mut(x);
            x.admit(&arg)?;
            x.push_back(arg);
            Value::None
        }
        (Method::Push | Method::Insert, Value::Set(x)) => {
            let x = Arc::make_mut(x);
            x.admit(&arg)?;
            Value::Bool(x.insert(arg))
        }
        (Method::Pop, Value::List(x)) => Arc::make_mut(x).pop_front().unwrap_or_default(),
        (Method::First, Value::List(x)) => x.front().cloned().unwrap_or_default(),
        (Method::Last, Value::List(x)) => x.back().cloned().unwrap_or_default(),
        (Method::Get, Value::List(x)) => match index(&arg, x.len()) {
            Ok(k) => x[k].clone(),
            Err(FaultKind::Index { .. }) => args.get(1).cloned().unwrap_or_default(),
            Err(kind) => return Err(kind.into()),
        },
        (Method::Get, Value::Map(x)) => x.get(&arg).or(args.get(1)).cloned().unwrap_or_default(),
        (Method::Insert, Value::Map(x)) => {
            let (x, v) = (Arc::make_mut(x), args.pop().unwrap_or_default());
            x.admit(&arg)?;
            x.admit(&v)?;
            x.insert(arg, v).unwrap_or_default()
        }
        (Method::Insert, Value::List(x)) => {
            let k = index(&arg, x.len() + 1)?;
            let (x, v) = (Arc::make_mut(x), args.pop().unwrap_or_default());
            x.admit(&v)?;
            x.insert(k, v);
            Value::None
        }
        (Method::Remove, Value::Map(x)) => Arc::make_mut(x).remove(&arg).unwrap_or_default(),
        (Method::Remove, Value::Set(x)) => Value::Bool(Arc::make_mut(x).remove(&arg)),
        (Method::Remove, Value::List(x)) => {
            let k = index(&arg, x.len())?;
            Arc::make_mut(x).remove(k).unwrap_or_default()
        }
        (Method::Contains, Value::List(x)) => Value::Bool(x.contains(&arg)),
        (Method::Contains, Value::Set(x)) => Value::Bool(x.contains(&arg)),
        (Method::Contains, Value::Map(x)) => Value::Bool(x.contains_key(&arg)),
        (Method::Contains, Value::Str(x)) => match &arg {
            Value::Str(part) => Value::Bool(x.contains(&**part)),
            other => return Err(FaultKind::Type { wanted: "a text", found: other.kind() }.into()),
        },
        (Method::Clear, Value::List(x)) => {
            *x = Arc::default();
            Value::None
        }
        (Method::Clear, Value::Map(x)) => {
            *x = Arc::default();
            Value::None
        }
        (Method::Clear, Value::Set(x)) => {
            *x = Arc::default();
            Value::None
        }
        (Method::Append, Value::List(x)) => {
            match &arg {
                Value::List(more) => {
                    vm.store.made += more.len() * size_of::<Value>();
                    let x = Arc::make_mut(x);
                    more.iter().try_for_each(|v| x.admit(v))?;
                    x.extend(more.iter().cloned());
                }
                _ => {
                    let x = Arc::make_mut(x);
                    x.admit(&arg)?;
                    x.push_back(arg);
                }
            }
            Value::None
        }
        (Method::Keys, Value::Map(x)) => Value::list(x.keys().cloned()),
        (Method::Values, Value::Map(x)) => Value::list(x.values().cloned()),
        (Method::Values, Value::Set(x)) => Value::list(x.iter().cloned()),
        (Method::Values, Value::List(x)) => Value::List(x.clone()),
        (Method::Sort, Value::List(x)) => {
            Arc::make_mut(x).make_contiguous().sort();
            Value::None
        }
        (Method::SortBy | Method::MinBy | Method::MaxBy, Value::List(x)) => {
            let mut keyed = Vec::with_capacity(x.len());
            let mut held = 0;
            for v in x.iter() {
                let key = call(vm, &arg, vec![v.clone()])?;
                held += hold(vm, &key)?;
                keyed.push((key, v.clone()));
            }
            vm.store.give(held);
            match method {
                Method::SortBy => {
                    keyed.sort_by(|a, b| a.0.cmp(&b.0));
                    Value::list(keyed.into_iter().map(|(_, v)| v))
                }
                Method::MinBy => {
                    keyed.into_iter().min_by(|a, b| a.0.cmp(&b.0)).map_or(Value::None, |(_, v)| v)
                }
                // The first of several.
                _ => keyed.into_iter().rev().max_by(|a, b| a.0.cmp(&b.0)).map_or(Value::None, |(_, v)| v),
            }
        }
        (Method::Map, Value::List(x)) => {
            let mut out = VecDeque::with_capacity(x.len());
            let mut held = 0;
            for v in x.iter() {
                let y = call(vm, &arg, vec![v.clone()])?;
                held += hold(vm, &y)?;
                out.push_back(y);
            }
            vm.store.give(held);
            vm.store.made += out.len() * size_of::<Value>();
            Value::list(out)
        }
        (Method::Map, Value::None) => Value::None,
        (Method::Filter, Value::List(x)) => {
            let mut out = VecDeque::new();
            for v in x.iter() {
                if truthy(call(vm, &arg, vec![v.clone()])?)? {
                    out.push_back(v.clone());
                }
            }
            Value::list(out)
        }
        (Method::Filter, Value::Map(x)) => {
            let mut out = BTreeMap::new();
            for (k, v) in x.iter() {
                if truthy(call(vm, &arg, vec![k.clone(), v.clone()])?)? {
                    out.insert(k.clone(), v.clone());
                }
            }
            Value::Map(Arc::new(x.like(out)))
        }
        (Method::Filter, Value::Set(x)) => {
            let mut out = BTreeSet::new();
            for v in x.iter() {
                if truthy(call(vm, &arg, vec![v.clone()])?)? {
                    out.insert(v.clone());
                }
            }
            Value::Set(Arc::new(x.like(out)))
        }
        (Method::Any | Method::All, Value::List(x)) => {
            let all = method == Method::All;
            let mut result = all;
            for v in x.iter() {
                let holds =
                    if args.is_empty() { truth(v)? } else { truthy(call(vm, &arg, vec![v.clone()])?)? };
                if holds != all {
                    result = holds;
                    break;
                }
            }
            Value::Bool(result)
        }
        (Method::Sum, Value::List(x)) => {
            let mut sum = 0.0;
            for v in x.iter() {
                sum += if args.is_empty() { number(v)? } else { number(&call(vm, &arg, vec![v.clone()])?)? };
            }
            Value::Num(sum)
        }
        (Method::Lower, Value::Str(x)) => Value::text(&x.to_lowercase()),
        (Method::Upper, Value::Str(x)) => Value::text(&x.to_uppercase()),
        (Method::Trim, Value::Str(x)) => Value::text(x.trim()),
        (Method::Split, Value::Str(x)) => match &arg {
            Value::Str(by) if !by.is_empty() => Value::list(x.split(&**by).map(Value::text)),
            _ => Value::list(x.split_whitespace().map(Value::text)),
        },
        (Method::Lower | Method::Upper | Method::Trim | Method::Split, _) => return Err(unfit("a text")),
        _ => return Err(unfit("a collection with this method")),
    };
    Ok(result.bounded()?)
}
