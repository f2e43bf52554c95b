//! Room for much data, in large pages where the system gives some when asked.
//!
//! What is handed to a disk from there is one piece for the system, and needs not be taken note of every 4 KiB; nor are
//! there so many first touches.

use std::ops::{Deref, DerefMut};

use memmap2::MmapMut;

/// What a large page has in bytes.
const PAGE: usize = 2 << 20;

/// Zeros at first. Memory that nobody touches costs nothing.
#[derive(Debug)]
pub struct Room {
    map: MmapMut,
    first: usize,
    bytes: usize,
}

impl Room {
    /// So many bytes or more, whole large pages; `None` where the system gives none.
    #[must_use]
    pub fn new(bytes: usize) -> Option<Room> {
        let whole = bytes.checked_next_multiple_of(PAGE)?;
        let map = MmapMut::map_anon(whole.checked_add(PAGE)?).ok()?;
        let first = map.as_ptr().align_offset(PAGE);
        if first > PAGE {
            return None;
        }
        #[cfg(target_os = "linux")]
        {
            large_pages_for_who_asks();
            // Where they are refused small ones do.
            let _ = map.advise_range(memmap2::Advice::HugePage, first, whole);
        }
        Some(Room { map, first, bytes: whole })
    }
}

/// Allocators that want no large pages have the system give none to the process. Newer systems (Linux 6.18) can leave it at those
/// that nobody has asked for; on others this does nothing.
#[cfg(target_os = "linux")]
fn large_pages_for_who_asks() {
    use std::ffi::{c_int, c_ulong};
    const SET_THP_DISABLE: c_int = 41;
    const GET_THP_DISABLE: c_int = 42;
    const EXCEPT_ADVISED: c_ulong = 2;
    #[expect(unsafe_code, reason = "declares a function of the system's library")]
    unsafe extern "C" {
        fn prctl(option: c_int, ...) -> c_int;
    }
    static ONCE: std::sync::Once = std::sync::Once::new();
    let (zero, one): (c_ulong, c_ulong) = (0, 1);
    ONCE.call_once(|| {
        #[expect(unsafe_code, reason = "calls it")]
        // SAFETY: neither option takes a pointer, and their other arguments are longs, four of them, as the system wants; they
        // change where memory comes from and nothing that a program sees.
        unsafe {
            if prctl(GET_THP_DISABLE, zero, zero, zero, zero) == 1 {
                prctl(SET_THP_DISABLE, one, EXCEPT_ADVISED, zero, zero);
            }
        }
    });
}

impl Deref for Room {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.map[self.first..][..self.bytes]
    }
}

impl DerefMut for Room {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.map[self.first..][..self.bytes]
    }
}

#[cfg(test)]
mod tests {
    use super::{PAGE, Room};

    #[test]
    fn it_is_whole_pages() {
        for (bytes, whole) in [(0, 0), (1, PAGE), (PAGE, PAGE), (PAGE + 1, 2 * PAGE)] {
            let mut room = Room::new(bytes).expect("a test's machine has memory");
            assert_eq!((room.len(), room.as_ptr().align_offset(PAGE)), (whole, 0));
            assert!(room.iter().all(|&b| b == 0));
            room.fill(1);
        }
        assert!(Room::new(usize::MAX).is_none());
    }
}
