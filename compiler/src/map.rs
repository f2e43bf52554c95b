//! Maps that keep the order of insertion, with a hash that costs nothing for short names. (What follows from a model
//! never depends on a hash: maps are walked in their order of insertion, or not at all.)

/// A map in order of insertion.
pub type IndexMap<K, V> = indexmap::IndexMap<K, V, rustc_hash::FxBuildHasher>;
