//! Code at work: frames of a program counter and registers, and a pool of those that are not in use.

use twinml_model::behavior::{Behavior, CodeId, Reg};

use super::store::Store;
use super::value::Value;

/// A code at work.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) code: CodeId,
    pub(super) pc: usize,
    pub(super) regs: Vec<Value>,
    /// Register of the caller that takes the result.
    pub(super) out: Reg,
}

/// A handler at work, or waiting.
#[derive(Clone, Debug)]
pub struct Thread {
    pub(super) frames: Vec<Frame>,
    /// The instance.
    pub instance: u32,
    /// What it draws for (see [`super::streams`]).
    pub purpose: u32,
}

impl Thread {
    /// The code with its first registers, in room from the pool.
    #[must_use]
    pub fn new(
        behavior: &Behavior,
        store: &mut Store,
        code: CodeId,
        instance: u32,
        args: Vec<Value>,
        purpose: u32,
    ) -> Thread {
        let mut frames = store.pool.frames.pop().unwrap_or_default();
        frames.push(Frame::new(behavior, &mut store.pool, code, args, 0));
        Thread { frames, instance, purpose }
    }

    /// Gives its room back to the pool.
    pub(super) fn end(mut self, store: &mut Store) {
        while let Some(frame) = self.frames.pop() {
            store.pool.keep(frame.regs);
        }
        store.pool.frames.push(self.frames);
    }

    /// Bytes that it holds.
    #[must_use]
    pub fn bytes(&self, limit: usize) -> usize {
        let values = self.frames.iter().flat_map(|f| &f.regs).map(|v| v.bytes(limit)).sum::<usize>();
        values + size_of::<Thread>() + self.frames.len() * size_of::<Frame>()
    }
}

impl Frame {
    pub(super) fn new(
        behavior: &Behavior,
        pool: &mut Pool,
        code: CodeId,
        mut args: Vec<Value>,
        out: Reg,
    ) -> Frame {
        let registers = behavior.codes.get(code as usize).map_or(0, |c| c.registers as usize);
        if args.capacity() == 0 {
            args = pool.registers();
        }
        args.resize(registers, Value::None);
        Frame { code, pc: 0, regs: args, out }
    }
}

/// Room of code that has ended, so that code which runs again and again allocates nothing. It holds no more than ran or
/// waited at once.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    frames: Vec<Vec<Frame>>,
    registers: Vec<Vec<Value>>,
}

impl Pool {
    /// Empty registers.
    pub(super) fn registers(&mut self) -> Vec<Value> {
        self.registers.pop().unwrap_or_default()
    }

    /// Takes registers back.
    pub(super) fn keep(&mut self, mut registers: Vec<Value>) {
        if registers.capacity() > 0 {
            registers.clear();
            self.registers.push(registers);
        }
    }
}
