//! The standard library: TwinML sources embedded as data.
