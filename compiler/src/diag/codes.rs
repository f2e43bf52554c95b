//! The codes, one constant each, in their ranges. Later stages add theirs in their own blocks.

use super::Code;

// E01: text to tokens.
/// A character that no token of the language begins with.
pub const BAD_CHARACTER: Code = Code("E0101");
/// A string without its closing quote.
pub const UNCLOSED_STRING: Code = Code("E0102");
/// A block comment without its end.
pub const UNCLOSED_COMMENT: Code = Code("E0103");
/// An escape in a string that is not one of the known ones.
pub const BAD_ESCAPE: Code = Code("E0104");
/// A number that cannot be read.
pub const BAD_NUMBER: Code = Code("E0105");
/// A unit that cannot be read.
pub const BAD_UNIT: Code = Code("E0106");
/// A NUL or another control character, or a byte order mark in the middle of a text.
pub const CONTROL_CHARACTER: Code = Code("E0107");
/// A text too large to be read.
pub const TEXT_TOO_LARGE: Code = Code("E0108");
/// A name in backquotes that is empty or not closed.
pub const BAD_QUOTED_NAME: Code = Code("E0109");
/// A calendar instant that does not exist.
pub const BAD_TIMESTAMP: Code = Code("E0110");
/// An expression inside `${…}` of a string that cannot be read.
pub const BAD_INTERPOLATION: Code = Code("E0111");

// E02: tokens to tree.
/// Something else was expected here.
pub const UNEXPECTED: Code = Code("E0201");
/// A bracket that is never closed.
pub const UNCLOSED_BRACKET: Code = Code("E0202");
/// A closing bracket without its opening one.
pub const STRAY_BRACKET: Code = Code("E0203");
/// Brackets or operators nested too deeply.
pub const TOO_DEEP: Code = Code("E0204");
/// A section name that a twin does not have.
pub const UNKNOWN_SECTION: Code = Code("E0205");
/// A declaration that the language does not have.
pub const UNKNOWN_DECLARATION: Code = Code("E0206");
/// An `if` expression without `else`.
pub const MISSING_ELSE: Code = Code("E0207");
/// A word of the language where a name is wanted.
pub const RESERVED_WORD: Code = Code("E0208");
/// An operator that other languages have.
pub const FOREIGN_OPERATOR: Code = Code("E0209");
/// A line that begins with an operator which would join it to the line above.
pub const LINE_BEGINS_WITH_OPERATOR: Code = Code("E0210");
/// `left = right` where neither side or the left side can be what it should.
pub const BAD_LEFT_SIDE: Code = Code("E0211");
/// A clause that does not belong to this declaration, or stands twice.
pub const BAD_CLAUSE: Code = Code("E0212");
/// Something is missing: a type, a value, a name.
pub const MISSING_PART: Code = Code("E0213");
/// A pattern that is none.
pub const BAD_PATTERN: Code = Code("E0214");
/// Too many errors in one file; the rest is not shown.
pub const TOO_MANY_ERRORS: Code = Code("E0215");
/// A closure where none may stand.
pub const MISPLACED_CLOSURE: Code = Code("E0216");
/// An array type whose first bracket after `Real` is a size.
pub const SIZE_IN_UNIT_PLACE: Code = Code("E0217");
/// A scenario entry with a value that cannot be its value.
pub const BAD_SETTING: Code = Code("E0218");
/// A statement that does nothing.
pub const NO_EFFECT: Code = Code("E0219");

// E06: structure.
/// More equations than unknowns.
pub const OVERDETERMINED: Code = Code("E0601");
/// Fewer equations than unknowns.
pub const UNDERDETERMINED: Code = Code("E0602");
/// An equation among states only.
pub const HIGH_INDEX: Code = Code("E0603");
/// A state whose start nothing fixes.
pub const STATE_NOT_FIXED: Code = Code("E0604");
/// A truth value in an algebraic loop.
pub const TRUTH_IN_LOOP: Code = Code("E0605");
/// Parameters defined by one another.
pub const PARAMETER_CYCLE: Code = Code("E0606");
/// Start values defined by one another.
pub const START_CYCLE: Code = Code("E0607");
/// More start conditions than states.
pub const INITIAL_OVERDETERMINED: Code = Code("E0608");
/// A parameter with two values.
pub const PARAMETER_TWICE: Code = Code("E0609");
