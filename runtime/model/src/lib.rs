//! The intermediate representation of a compiled twin, its verifier, printer, reader, interpreter and passes.

pub mod dimension;
