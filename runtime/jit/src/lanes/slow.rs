//! The scalar code of lanes that leave the straight line.

use super::graph::Sub;
use std::cell::RefCell;

/// The slow paths of a kernel.
#[derive(Debug)]
pub(super) struct Slows {
    pub subs: Vec<Sub>,
    /// Lanes of a vector.
    pub lanes: u32,
}

/// Elements of a row.
const ROW: usize = super::emit::scratch::ROW as usize / 8;

thread_local! {
    static VALUES: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
    static SCRATCH: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
}

/// Hands out scratch space of `bytes` bytes on a border of 64, kept for the next time.
pub(super) fn with_scratch(bytes: usize, f: impl FnOnce(&mut [u64])) {
    let mut all = SCRATCH.with(|s| std::mem::take(&mut *s.borrow_mut()));
    let need = bytes / 8 + 8;
    if all.len() < need + 8 {
        all.resize(need + 8, 0);
    }
    // A vector of 64-bit words begins at a multiple of 8 bytes: the border is at most 7 elements away.
    let start = all.as_ptr().align_offset(64).min(8);
    f(&mut all[start..]);
    SCRATCH.with(|s| *s.borrow_mut() = all);
}

/// Called by machine code: slow path `sub` for the lanes whose bits are set in `mask`. Row 0 gets the results, the
/// others are the arguments.
///
/// # Safety
/// `slows` is the one that the running kernel was entered with, `rows` has a row for the result and for each argument.
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "called by machine code")]
pub(super) unsafe extern "sysv64" fn slow_lanes(slows: *const Slows, sub: u32, mask: u32, rows: *mut u64) {
    // SAFETY: as this function's.
    unsafe { compute(slows, sub, mask, rows) }
}

/// Nothing ever calls it on other processors.
#[cfg(not(target_arch = "x86_64"))]
#[expect(unsafe_code, reason = "called by machine code")]
pub(super) unsafe extern "C" fn slow_lanes(slows: *const Slows, sub: u32, mask: u32, rows: *mut u64) {
    // SAFETY: as this function's.
    unsafe { compute(slows, sub, mask, rows) }
}

#[expect(unsafe_code, reason = "called by machine code")]
unsafe fn compute(slows: *const Slows, sub: u32, mask: u32, rows: *mut u64) {
    // SAFETY: both pointers come from `LaneCode::execute`, which holds the slow paths and the scratch space while the
    // code runs; the code numbers existing slow paths only.
    let slows = unsafe { &*slows };
    let Some(sub) = slows.subs.get(sub as usize) else { return };
    let mut values = VALUES.with(|v| std::mem::take(&mut *v.borrow_mut()));
    for lane in 0..slows.lanes as usize {
        if mask >> lane & 1 == 1 {
            // SAFETY: an argument's row is below the number of rows that `emit` made room for.
            let args = |n: u32| unsafe { *rows.add((n as usize + 1) * ROW + lane) };
            let result = sub.run(args, &mut values);
            // SAFETY: row 0 is the result's.
            unsafe { *rows.add(lane) = result };
        }
    }
    VALUES.with(|v| *v.borrow_mut() = values);
}
