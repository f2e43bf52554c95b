//! What lives as long as a run, and the account of fuel and memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use twinml_model::behavior::{Behavior, Empty, Method};

use super::fault::FaultKind;
use super::thread::Pool;
use super::value::Value;
use super::vm::{Args, FUEL, MEMORY, Vm};

type R<T> = Result<T, FaultKind>;

/// What lives as long as the run: cells and random streams.
#[derive(Clone, Debug)]
pub struct Store {
    /// Elements of each cell, `len` for each instance.
    pub cells: Vec<Vec<Value>>,
    /// Position in each random stream, by (purpose, instance): the stream's number and the next draw.
    pub draws: BTreeMap<(u32, u32), (u64, u32)>,
    /// Seed of all streams.
    pub seed: u64,
    /// Number of the run.
    pub run: u32,
    /// Most instructions between two waits.
    pub fuel: u64,
    /// Most bytes.
    pub memory: usize,
    /// Bytes of what stands outside cells, roughly: waiting handlers, events that nobody heard yet, armed timers.
    pub waiting: usize,
    /// Bytes made since cells were last measured.
    pub made: usize,
    /// Work beyond one instruction each since fuel was last paid: what walks over values costs by their size.
    pub work: u64,
    /// How often each instance of a population began or ended.
    pub lives: BTreeMap<(u32, u32), u32>,
    /// What begins anew in the places of each population: the values of each family from the start of the run.
    pub anew: Vec<Vec<Vec<f64>>>,
    /// Room for code to run in.
    pub(super) pool: Pool,
}

impl Store {
    /// Cells before anything is stored.
    #[must_use]
    pub fn new(behavior: &Behavior, seed: u64) -> Store {
        let cell = |c: &twinml_model::behavior::Cell| {
            let n = c.len as usize * behavior.owners.get(c.owner as usize).map_or(1, |o| o.count as usize);
            let empty = match c.empty {
                Empty::None => Value::None,
                Empty::List => Value::List(Arc::default()),
                Empty::Set => Value::Set(Arc::default()),
                Empty::Map => Value::Map(Arc::default()),
            };
            vec![empty; n]
        };
        Store {
            cells: behavior.cells.iter().map(cell).collect(),
            draws: BTreeMap::new(),
            seed,
            run: 0,
            fuel: FUEL,
            memory: MEMORY,
            waiting: 0,
            made: 0,
            work: 0,
            lives: BTreeMap::new(),
            anew: Vec::new(),
            pool: Pool::default(),
        }
    }

    /// Takes room for something that stands outside cells.
    ///
    /// # Errors
    ///
    /// [`FaultKind::Memory`]
    pub(super) fn take(&mut self, bytes: usize) -> R<()> {
        self.waiting += bytes;
        if self.waiting > self.memory { Err(FaultKind::Memory { limit: self.memory }) } else { Ok(()) }
    }

    /// Gives it back.
    pub(super) fn give(&mut self, bytes: usize) {
        self.waiting = self.waiting.saturating_sub(bytes);
    }
}

/// Bytes of an event's arguments.
pub(super) fn bytes_of(args: &Args) -> usize {
    96 + args.iter().map(|(_, v)| 16 + v.bytes(MEMORY)).sum::<usize>()
}

/// Bytes of a message of `log`.
pub(super) fn bytes_said(text: &str) -> usize {
    96 + text.len()
}

/// Bytes of a timer that runs code with these registers.
pub(super) fn bytes_armed(args: &[Value]) -> usize {
    128 + args.iter().map(|v| v.bytes(MEMORY)).sum::<usize>()
}

/// Bytes that cost as much as an instruction.
pub(super) const STRIDE: usize = 64;

impl Vm<'_, '_> {
    /// Pays for looking at all of a value.
    pub(super) fn walk(&mut self, v: &Value) {
        if !matches!(v, Value::Num(_) | Value::Bool(_) | Value::None) {
            self.store.work += (v.bytes(self.store.memory) / STRIDE) as u64;
        }
    }

    /// Counts bytes that were made.
    pub(super) fn made(&mut self, bytes: usize) -> R<()> {
        self.store.made += bytes;
        self.store.work += (bytes / STRIDE) as u64;
        Ok(())
    }

    /// What a method costs beyond an instruction, paid before it works.
    pub(super) fn charge(&mut self, method: Method, on: &Value, arg: &Value) -> R<()> {
        let (len, own) = match on {
            Value::List(x) => (x.len(), Arc::strong_count(x) == 1),
            Value::Map(x) => (x.len(), Arc::strong_count(x) == 1),
            Value::Set(x) => (x.len(), Arc::strong_count(x) == 1),
            Value::Str(x) => (x.len(), false),
            _ => return Ok(()),
        };
        let list = matches!(on, Value::List(_));
        let limit = self.store.memory;
        let keys =
            if matches!(arg, Value::Num(_) | Value::Bool(_) | Value::None) { 0 } else { arg.bytes(limit) };
        let bytes = match method {
            Method::IsEmpty | Method::First | Method::Last | Method::Clear => 0,
            Method::Len if !matches!(on, Value::Str(_)) => 0,
            Method::Get => keys,
            Method::Pop if own => 0,
            Method::Push if own && list => 0,
            Method::Insert | Method::Remove | Method::Push if own && !list => keys * 8,
            Method::Contains if !list => keys * 8 + if matches!(on, Value::Str(_)) { len } else { 0 },
            Method::Append if own => keys,
            Method::Len | Method::Lower | Method::Upper | Method::Trim => len,
            Method::Split => len * 4,
            // They compare or copy whole values.
            Method::Contains => on.bytes(limit),
            Method::Sort | Method::SortBy | Method::MinBy | Method::MaxBy => {
                on.bytes(limit) * (1 + len.checked_ilog2().unwrap_or(0) as usize)
            }
            _ => len * size_of::<Value>(),
        };
        self.store.work += (bytes / STRIDE) as u64;
        let copies = match method {
            Method::Push | Method::Pop | Method::Insert | Method::Remove | Method::Append => !own,
            Method::Keys | Method::Values | Method::Sort | Method::SortBy | Method::Map | Method::Filter => {
                true
            }
            Method::Lower | Method::Upper | Method::Split => true,
            _ => false,
        };
        if copies {
            self.store.made += bytes;
        }
        if self.store.work > self.store.fuel {
            return Err(FaultKind::Fuel { limit: self.store.fuel });
        }
        Ok(())
    }
}
