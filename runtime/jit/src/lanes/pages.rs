//! Pages of machine code: written first, executable then, never both.

use memmap2::{Mmap, MmapMut};

/// What `emit` writes: memory, scratch space, repetitions, constants.
#[cfg(target_arch = "x86_64")]
type Entry = unsafe extern "sysv64" fn(*mut f64, *mut u64, u64, *const u64);
/// Nothing is ever entered on other processors.
#[cfg(not(target_arch = "x86_64"))]
type Entry = unsafe extern "C" fn(*mut f64, *mut u64, u64, *const u64);

/// Code that may be entered.
#[derive(Debug)]
pub(super) struct Pages {
    map: Mmap,
    len: usize,
}

impl Pages {
    /// `None` where the system gives none.
    pub fn new(code: &[u8]) -> Option<Self> {
        let mut map = MmapMut::map_anon(code.len().max(1)).ok()?;
        map[..code.len()].copy_from_slice(code);
        Some(Self { map: map.make_exec().ok()?, len: code.len() })
    }

    /// The code.
    pub fn bytes(&self) -> &[u8] {
        &self.map[..self.len]
    }

    /// Runs the code from `entry` on.
    ///
    /// # Safety
    /// `entry` is where `emit` began a piece of code for instructions that this processor has; `memory`, `scratch` and
    /// `constants` are as large and aligned as that code assumes, and nobody else uses the first two.
    #[expect(unsafe_code, reason = "enters machine code")]
    pub unsafe fn enter(
        &self,
        entry: usize,
        memory: *mut f64,
        scratch: *mut u64,
        times: u64,
        constants: *const u64,
    ) {
        let at = self.bytes()[entry..].as_ptr();
        // SAFETY: the caller says that a function of this type begins there; the pages are executable and live as
        // long as `self`. The code keeps to the System V calling convention: it writes only registers that a callee
        // may, and leaves the stack as it was.
        unsafe {
            let run: Entry = std::mem::transmute::<*const u8, Entry>(at);
            run(memory, scratch, times, constants);
        }
    }
}
