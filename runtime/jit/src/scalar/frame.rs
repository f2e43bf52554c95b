//! What generated code sees of the world: one frame per run, with the addresses of the memory, the
//! scratch space and the host's entries.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use twinml_model::host::{Host, Memory};
use twinml_model::ids::{BlockId, OriginId, TableId};
use twinml_model::ir::Trap;

/// Generated code for a kernel: runs on a frame, gives a [`status`].
pub(crate) type Entry = unsafe extern "C" fn(*mut Frame) -> u32;

/// What generated code returns.
pub(crate) mod status {
    /// Ran to the end.
    pub const DONE: u32 = 0;
    /// A dynamic index left its array; the frame says which.
    pub const INDEX: u32 = 1;
    /// The host trapped; the frame's tail has the trap.
    pub const HOST: u32 = 2;
}

/// Read and written by generated code, at the byte offsets of [`offset`].
#[repr(C)]
pub(crate) struct Frame {
    data: *mut f64,
    scratch: *mut u64,
    solve: unsafe extern "C" fn(*mut Frame, u32) -> u32,
    solve_tangent: unsafe extern "C" fn(*mut Frame, u32) -> u32,
    table: unsafe extern "C" fn(*mut Frame, u32, u32, f64) -> u32,
    delay: unsafe extern "C" fn(*mut Frame, u32, f64) -> u32,
    /// What `table` and `delay` found.
    out: f64,
    trap_index: i64,
    trap_origin: u32,
    trap_len: u32,
    // Not seen by generated code.
    memory: *mut Memory,
    host: *mut (dyn Host + 'static),
    trap: Option<Trap>,
    panic: Option<Box<dyn Any + Send>>,
}

/// Byte offsets in a [`Frame`].
pub(crate) mod offset {
    use super::Frame;
    use std::mem::offset_of;
    pub const DATA: i32 = offset_of!(Frame, data) as i32;
    pub const SCRATCH: i32 = offset_of!(Frame, scratch) as i32;
    pub const SOLVE: i32 = offset_of!(Frame, solve) as i32;
    pub const SOLVE_TANGENT: i32 = offset_of!(Frame, solve_tangent) as i32;
    pub const TABLE: i32 = offset_of!(Frame, table) as i32;
    pub const DELAY: i32 = offset_of!(Frame, delay) as i32;
    pub const OUT: i32 = offset_of!(Frame, out) as i32;
    pub const TRAP_INDEX: i32 = offset_of!(Frame, trap_index) as i32;
    pub const TRAP_ORIGIN: i32 = offset_of!(Frame, trap_origin) as i32;
    pub const TRAP_LEN: i32 = offset_of!(Frame, trap_len) as i32;
}

impl Frame {
    /// Runs `f` as the host's answer; keeps a trap or panic for the end of the run.
    fn answer(&mut self, f: impl FnOnce(&mut dyn Host, &mut Memory) -> Result<f64, Trap>) -> u32 {
        // SAFETY: `memory` and `host` come from the exclusive references that `run` holds for the whole
        // run; generated code is suspended in this very call and keeps no Rust reference, so that these
        // are the only live ones.
        #[expect(unsafe_code, reason = "the frame crosses machine code as raw pointers")]
        let (memory, host) = unsafe { (&mut *self.memory, &mut *self.host) };
        match catch_unwind(AssertUnwindSafe(|| f(host, memory))) {
            Ok(Ok(x)) => {
                self.out = x;
                return status::DONE;
            }
            Ok(Err(trap)) => self.trap = Some(trap),
            Err(panic) => self.panic = Some(panic),
        }
        status::HOST
    }

    /// As [`Frame::answer`], for answers that may write the memory: afterwards it must still be the same.
    fn answer_writing(
        &mut self,
        block: BlockId,
        f: impl FnOnce(&mut dyn Host, &mut Memory) -> Result<(), Trap>,
    ) -> u32 {
        let (data, len) = (self.data, {
            // SAFETY: as in `answer`.
            #[expect(unsafe_code, reason = "the frame crosses machine code as raw pointers")]
            let memory = unsafe { &*self.memory };
            memory.data().len()
        });
        self.answer(|host, memory| {
            f(host, memory)?;
            // A host could put another `Memory` in place of this one: generated code would then write to
            // freed slots.
            let same = std::ptr::eq(memory.data().as_ptr(), data) && memory.data().len() == len;
            if same { Ok(0.0) } else { Err(Trap::Block(block)) }
        })
    }
}

#[expect(unsafe_code, reason = "called from machine code")]
unsafe extern "C" fn solve(frame: *mut Frame, block: u32) -> u32 {
    // SAFETY: generated code passes on the frame that `run` gave it, which outlives the run.
    let frame = unsafe { &mut *frame };
    let block = BlockId(block);
    frame.answer_writing(block, |host, memory| host.solve(block, memory))
}

#[expect(unsafe_code, reason = "called from machine code")]
unsafe extern "C" fn solve_tangent(frame: *mut Frame, block: u32) -> u32 {
    // SAFETY: generated code passes on the frame that `run` gave it, which outlives the run.
    let frame = unsafe { &mut *frame };
    let block = BlockId(block);
    frame.answer_writing(block, |host, memory| host.solve_tangent(block, memory))
}

#[expect(unsafe_code, reason = "called from machine code")]
unsafe extern "C" fn table(frame: *mut Frame, table: u32, order: u32, x: f64) -> u32 {
    // SAFETY: generated code passes on the frame that `run` gave it, which outlives the run.
    let frame = unsafe { &mut *frame };
    frame.answer(|host, _| host.table(TableId(table), x, order as u8))
}

#[expect(unsafe_code, reason = "called from machine code")]
unsafe extern "C" fn delay(frame: *mut Frame, slot: u32, tau: f64) -> u32 {
    // SAFETY: generated code passes on the frame that `run` gave it, which outlives the run.
    let frame = unsafe { &mut *frame };
    frame.answer(|host, memory| Ok(host.delay(slot, tau, memory)))
}

/// Runs generated code.
///
/// # Safety
///
/// `entry` must be code made by this crate, still mapped, for a program whose sizes are those of
/// `memory`, which has as much of `Jac` as the code was made for, and need no more scratch words than `scratch` has.
#[expect(unsafe_code, reason = "enters machine code")]
pub(crate) unsafe fn run(
    entry: Entry,
    memory: &mut Memory,
    host: &mut dyn Host,
    scratch: &mut [u64],
) -> Result<(), Trap> {
    let memory: *mut Memory = memory;
    // SAFETY: the reference was just turned into the pointer; the borrow ends with the expression.
    let data = unsafe { (*memory).data_mut().as_mut_ptr() };
    let host: *mut dyn Host = host;
    // SAFETY: only the lifetime in the type changes; the pointer is used during this call only, within
    // which the host is borrowed.
    let host = unsafe { std::mem::transmute::<*mut dyn Host, *mut (dyn Host + 'static)>(host) };
    let mut frame = Frame {
        data,
        scratch: scratch.as_mut_ptr(),
        solve,
        solve_tangent,
        table,
        delay,
        out: 0.0,
        trap_index: 0,
        trap_origin: 0,
        trap_len: 0,
        memory,
        host,
        trap: None,
        panic: None,
    };
    // SAFETY: the caller vouches for the code; lowering checked that every address it forms lies inside
    // the memory (constant and affine ones while compiling, dynamic ones by a compare), and every scratch
    // word inside the plan's size.
    match unsafe { entry(&raw mut frame) } {
        status::DONE => Ok(()),
        status::INDEX => Err(Trap::IndexOutOfRange {
            origin: OriginId(frame.trap_origin),
            index: frame.trap_index,
            len: frame.trap_len,
        }),
        _ => match (frame.panic, frame.trap) {
            (Some(panic), _) => resume_unwind(panic),
            (None, Some(trap)) => Err(trap),
            // The status is `HOST` only after `answer` has set one of the two.
            (None, None) => unreachable!("a host's trap without its reason"),
        },
    }
}
