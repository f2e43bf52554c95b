//! Plain data as bytes and back: the codec of snapshots.
//!
//! Everything is little endian, of fixed width, in the order in which it is written; `f64` goes by its bits, so what is
//! read back is the same to the last one, NaNs included. A reader trusts nothing: every length is held against the bytes
//! that are left before anything is allocated, and a value has one encoding only (a flag is 0 or 1, text is UTF-8), so
//! that what was read encodes to the bytes it was read from.

use std::fmt;

/// Bytes in the making.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Writer {
    bytes: Vec<u8>,
}

/// Bytes that do not say what they should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed {
    /// Where, in bytes since the beginning of what is read.
    pub at: usize,
    /// What is wrong, as the second half of a sentence: `the flag is 7`.
    pub why: String,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at byte {}: {}", self.at, self.why)
    }
}

impl std::error::Error for Malformed {}

/// Plain data that goes to bytes and comes back the same.
pub trait Persist: Sized {
    /// The fewest bytes that a value takes: lengths are checked by it. Zero only for types without data.
    const LEAST: usize;

    /// Appends the value.
    fn save(&self, to: &mut Writer);

    /// Reads a value.
    ///
    /// # Errors
    ///
    /// [`Malformed`] where the bytes end too early or are no value of the type.
    fn load(from: &mut Reader<'_>) -> Result<Self, Malformed>;
}

impl Writer {
    /// Nothing yet.
    pub fn new() -> Writer {
        Writer::default()
    }

    /// Appends a value.
    pub fn put<T: Persist>(&mut self, value: &T) -> &mut Writer {
        value.save(self);
        self
    }

    /// Appends bytes as they are.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Writer {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Appends the length of `items` and each of them.
    pub fn slice<T: Persist>(&mut self, items: &[T]) -> &mut Writer {
        self.put(&(items.len() as u64));
        items.iter().for_each(|item| item.save(self));
        self
    }

    /// Appends text with its length.
    pub fn text(&mut self, text: &str) -> &mut Writer {
        self.put(&(text.len() as u64)).raw(text.as_bytes())
    }

    /// How many bytes there are.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes.
    pub fn finish(self) -> Vec<u8> {
        self.bytes
    }
}

/// Bytes being read.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Reads from the beginning.
    pub fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes, at: 0 }
    }

    /// Where the next value begins, in bytes.
    pub fn at(&self) -> usize {
        self.at
    }

    /// How many bytes are left.
    pub fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// The error that says `why` about the byte at hand.
    pub fn malformed(&self, why: impl Into<String>) -> Malformed {
        Malformed { at: self.at, why: why.into() }
    }

    /// The next value.
    ///
    /// # Errors
    ///
    /// [`Malformed`].
    pub fn get<T: Persist>(&mut self) -> Result<T, Malformed> {
        T::load(self)
    }

    /// The next `len` bytes as they are.
    ///
    /// # Errors
    ///
    /// [`Malformed`] where fewer are left.
    pub fn raw(&mut self, len: usize) -> Result<&'a [u8], Malformed> {
        if len > self.left() {
            return Err(self.malformed(format!("{len} bytes are wanted, {} are left", self.left())));
        }
        let bytes = &self.bytes[self.at..self.at + len];
        self.at += len;
        Ok(bytes)
    }

    /// A length of which each unit takes at least `least` bytes.
    ///
    /// # Errors
    ///
    /// [`Malformed`] where that many cannot follow.
    pub fn length(&mut self, least: usize) -> Result<usize, Malformed> {
        let before = self.at;
        let len: u64 = self.get()?;
        let room = (self.left() / least.max(1)) as u64;
        if len > room {
            return Err(Malformed {
                at: before,
                why: format!("a length of {len} is given where {room} is the most that can follow"),
            });
        }
        // `len ≤ room ≤ usize::MAX`.
        Ok(len as usize)
    }

    /// Text with its length before it.
    ///
    /// # Errors
    ///
    /// [`Malformed`] where it is not UTF-8 or too short.
    pub fn text(&mut self) -> Result<&'a str, Malformed> {
        let len = self.length(1)?;
        let at = self.at;
        let bytes = self.raw(len)?;
        std::str::from_utf8(bytes)
            .map_err(|e| Malformed { at: at + e.valid_up_to(), why: "this is no UTF-8".into() })
    }

    /// Numbers into a slice of known length.
    ///
    /// # Errors
    ///
    /// [`Malformed`] where the length that is given differs.
    pub fn fill<T: Persist>(&mut self, into: &mut [T]) -> Result<(), Malformed> {
        let before = self.at;
        let len = self.length(T::LEAST)?;
        if len != into.len() {
            return Err(Malformed {
                at: before,
                why: format!("{len} values are given, {} are wanted", into.len()),
            });
        }
        for slot in into {
            *slot = self.get()?;
        }
        Ok(())
    }

    /// Says that nothing may follow.
    ///
    /// # Errors
    ///
    /// [`Malformed`] where something does.
    pub fn end(&self) -> Result<(), Malformed> {
        match self.left() {
            0 => Ok(()),
            left => Err(self.malformed(format!("{left} bytes follow the end"))),
        }
    }
}

macro_rules! numbers {
    ($($t:ty),*) => {$(
        impl Persist for $t {
            const LEAST: usize = size_of::<$t>();
            fn save(&self, to: &mut Writer) {
                to.raw(&self.to_le_bytes());
            }
            fn load(from: &mut Reader<'_>) -> Result<$t, Malformed> {
                let mut bytes = [0; size_of::<$t>()];
                bytes.copy_from_slice(from.raw(size_of::<$t>())?);
                Ok(<$t>::from_le_bytes(bytes))
            }
        }
    )*};
}
numbers!(u8, u16, u32, u64, i32, i64, i128, f64);

impl Persist for usize {
    const LEAST: usize = 8;
    fn save(&self, to: &mut Writer) {
        (*self as u64).save(to);
    }
    fn load(from: &mut Reader<'_>) -> Result<usize, Malformed> {
        let value: u64 = from.get()?;
        usize::try_from(value).map_err(|_| from.malformed("a count is larger than this machine's words"))
    }
}

impl Persist for bool {
    const LEAST: usize = 1;
    fn save(&self, to: &mut Writer) {
        u8::from(*self).save(to);
    }
    fn load(from: &mut Reader<'_>) -> Result<bool, Malformed> {
        let at = from.at;
        match from.get::<u8>()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(Malformed { at, why: format!("a flag is {other}, not 0 or 1") }),
        }
    }
}

impl Persist for String {
    const LEAST: usize = 8;
    fn save(&self, to: &mut Writer) {
        to.text(self);
    }
    fn load(from: &mut Reader<'_>) -> Result<String, Malformed> {
        from.text().map(str::to_owned)
    }
}

impl<T: Persist> Persist for Option<T> {
    const LEAST: usize = 1;
    fn save(&self, to: &mut Writer) {
        to.put(&self.is_some());
        if let Some(value) = self {
            value.save(to);
        }
    }
    fn load(from: &mut Reader<'_>) -> Result<Option<T>, Malformed> {
        Ok(if from.get()? { Some(from.get()?) } else { None })
    }
}

impl<T: Persist> Persist for Vec<T> {
    const LEAST: usize = 8;
    fn save(&self, to: &mut Writer) {
        to.slice(self);
    }
    fn load(from: &mut Reader<'_>) -> Result<Vec<T>, Malformed> {
        let len = from.length(T::LEAST)?;
        (0..len).map(|_| from.get()).collect()
    }
}

impl<T: Persist> Persist for Box<T> {
    const LEAST: usize = T::LEAST;
    fn save(&self, to: &mut Writer) {
        (**self).save(to);
    }
    fn load(from: &mut Reader<'_>) -> Result<Box<T>, Malformed> {
        from.get().map(Box::new)
    }
}

impl<T: Persist, const N: usize> Persist for [T; N] {
    const LEAST: usize = N * T::LEAST;
    fn save(&self, to: &mut Writer) {
        self.iter().for_each(|item| item.save(to));
    }
    fn load(from: &mut Reader<'_>) -> Result<[T; N], Malformed> {
        let items: Vec<T> = (0..N).map(|_| from.get()).collect::<Result<_, _>>()?;
        // Exactly `N` were read.
        items.try_into().map_err(|_| from.malformed("an array has another length"))
    }
}

impl Persist for () {
    const LEAST: usize = 0;
    fn save(&self, _: &mut Writer) {}
    fn load(_: &mut Reader<'_>) -> Result<(), Malformed> {
        Ok(())
    }
}

macro_rules! tuples {
    ($(($($name:ident $index:tt),*))*) => {$(
        impl<$($name: Persist),*> Persist for ($($name,)*) {
            const LEAST: usize = 0 $(+ $name::LEAST)*;
            fn save(&self, to: &mut Writer) {
                $(self.$index.save(to);)*
            }
            fn load(from: &mut Reader<'_>) -> Result<($($name,)*), Malformed> {
                Ok(($($name::load(from)?,)*))
            }
        }
    )*};
}
tuples! { (A 0, B 1) (A 0, B 1, C 2) (A 0, B 1, C 2, D 3) }

/// [`Persist`] for a struct whose listed fields are all there is of it, in the order in which they are listed.
#[macro_export]
macro_rules! persist {
    ($t:ty { $($field:ident: $kind:ty),* $(,)? }) => {
        impl $crate::bytes::Persist for $t {
            const LEAST: usize = 0 $(+ <$kind as $crate::bytes::Persist>::LEAST)*;
            fn save(&self, to: &mut $crate::bytes::Writer) {
                $($crate::bytes::Persist::save(&self.$field, to);)*
            }
            fn load(from: &mut $crate::bytes::Reader<'_>) -> Result<Self, $crate::bytes::Malformed> {
                Ok(Self { $($field: <$kind as $crate::bytes::Persist>::load(from)?),* })
            }
        }
    };
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[derive(Debug, PartialEq, Clone)]
    struct Thing {
        level: f64,
        names: Vec<String>,
        maybe: Option<(u32, bool)>,
        grid: [i64; 2],
    }
    persist!(Thing { level: f64, names: Vec<String>, maybe: Option<(u32, bool)>, grid: [i64; 2] });

    fn bytes(thing: &Thing) -> Vec<u8> {
        let mut to = Writer::new();
        to.put(thing);
        to.finish()
    }

    #[test]
    fn what_is_read_is_what_was_written() {
        let thing = Thing {
            level: -0.0,
            names: vec!["tank".into(), "µ".into()],
            maybe: Some((7, true)),
            grid: [-1, i64::MAX],
        };
        let bytes = bytes(&thing);
        let mut from = Reader::new(&bytes);
        let back: Thing = from.get().unwrap();
        from.end().unwrap();
        assert_eq!((back.level.to_bits(), back), (thing.level.to_bits(), thing));
    }

    #[test]
    fn no_bytes_do_harm_and_a_value_has_one_encoding() {
        let thing = Thing { level: 1.5, names: vec!["a".into()], maybe: None, grid: [0, 1] };
        let bytes_of = bytes(&thing);
        for end in 0..bytes_of.len() {
            assert!(Reader::new(&bytes_of[..end]).get::<Thing>().is_err(), "{end}");
        }
        for at in 0..bytes_of.len() {
            for bit in 0..8 {
                let mut other = bytes_of.clone();
                other[at] ^= 1 << bit;
                let mut from = Reader::new(&other);
                if let Ok(back) = from.get::<Thing>()
                    && from.end().is_ok()
                {
                    assert_eq!(bytes(&back), other, "byte {at}");
                }
            }
        }
    }

    #[test]
    fn a_length_that_cannot_be_is_refused_before_anything_is_allocated() {
        let huge = u64::MAX.to_le_bytes();
        let error = Reader::new(&huge).get::<Vec<f64>>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "at byte 0: a length of 18446744073709551615 is given where 0 is the most that can follow"
        );
        assert!(Reader::new(&huge).get::<Vec<()>>().is_err());
    }
}
