//! Typed indices. No bare `usize` crosses a function boundary where one of these says what is meant.

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);
        impl $name {
            /// The position in the table that this id indexes.
            #[must_use]
            pub fn index(self) -> usize {
                self.0 as usize
            }
            /// The id of position `i`. Tables never hold more than `u32::MAX` entries: the verifier and
            /// the compiler's size limits refuse larger ones long before.
            #[must_use]
            pub fn new(i: usize) -> Self {
                debug_assert!(u32::try_from(i).is_ok());
                Self(i as u32)
            }
        }
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }
    };
}

id!(/// An SSA value of one kernel or function.
    Value, "v");
id!(/// A loop index of one kernel or function.
    Index, "i");
id!(/// An algebraic block of a program.
    BlockId, "block");
id!(/// A function of a program (expanded elementary functions, user functions).
    FuncId, "fn");
id!(/// A table (function given by samples) of a program.
    TableId, "table");
id!(/// A relation: a comparison whose truth is frozen between events.
    RelationId, "rel");
id!(/// A variable (scalar or array) of the schema.
    VarId, "var");
id!(/// A place in the modeller's source that an instruction or equation stems from.
    OriginId, "origin");
id!(/// An enumeration type of the schema.
    EnumId, "enum");
