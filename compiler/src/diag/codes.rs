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

// E07: one instance, flat.
/// A value that must be known before the run is not.
pub const NOT_CONSTANT: Code = Code("E0701");
/// An override whose shape or subscripts do not fit.
pub const OVERRIDE_SHAPE: Code = Code("E0702");
/// An override, a setting or a path names a member that is not there.
pub const NO_SUCH_MEMBER: Code = Code("E0703");
/// A `final` or `outer` member is overridden.
pub const FINAL_OVERRIDE: Code = Code("E0704");
/// A subscript outside its array.
pub const SUBSCRIPT_RANGE: Code = Code("E0705");
/// Arrays of unlike shapes together.
pub const SHAPES_DIFFER: Code = Code("E0706");
/// An array of a negative or too large size.
pub const NEGATIVE_SIZE: Code = Code("E0707");
/// A system with too many elements or equations.
pub const SYSTEM_TOO_LARGE: Code = Code("E0708");
/// Twins nested without end.
pub const TWIN_NESTING: Code = Code("E0709");
/// `outer` without an enclosing twin that has the member.
pub const NO_OUTER: Code = Code("E0710");
/// A parameter without a value.
pub const NO_VALUE: Code = Code("E0711");
/// A formula that depends on itself where the structure needs its value.
pub const STRUCTURE_CYCLE: Code = Code("E0712");
/// An integer too large for a size or a subscript.
pub const INTEGER_OVERFLOW: Code = Code("E0713");
/// A part that is absent is used.
pub const ABSENT_PART: Code = Code("E0714");
/// An input with two drivers.
pub const TWO_DRIVERS: Code = Code("E0715");
/// An input without driver and default.
pub const UNDRIVEN_INPUT: Code = Code("E0716");
/// Something that is no input is driven or forced.
pub const NOT_AN_INPUT: Code = Code("E0717");
/// An action assigns what cannot be assigned.
pub const CANNOT_ASSIGN: Code = Code("E0718");
/// A discrete state without a start value.
pub const NO_START: Code = Code("E0719");
/// The derivative of an input that nothing drives smoothly.
pub const DER_OF_INPUT: Code = Code("E0720");
/// The derivative of something that has none.
pub const NO_DERIVATIVE: Code = Code("E0721");
/// A data file or a column that cannot be used.
pub const BAD_DATA: Code = Code("E0722");
/// A duration, an instant or a period that is none.
pub const BAD_TIME: Code = Code("E0723");
/// A setting that a solver does not have.
pub const BAD_SOLVER_SETTING: Code = Code("E0724");
/// The calendar is asked and the scenario has no date.
pub const NO_CALENDAR: Code = Code("E0725");
/// A time zone that is not known.
pub const UNKNOWN_ZONE: Code = Code("E0726");
/// A function in equations that calls itself.
pub const RECURSION: Code = Code("E0727");
/// A function that ends without a value.
pub const NO_RETURN: Code = Code("E0728");
/// `while` in a function that equations use.
pub const WHILE_IN_EQUATION: Code = Code("E0729");
/// `min`, `max` or `mean` of nothing.
pub const EMPTY_REDUCTION: Code = Code("E0730");
/// A parameter's value outside its range.
pub const OUTSIDE_RANGE: Code = Code("E0731");
/// A record entry that names nothing with values.
pub const NOT_RECORDABLE: Code = Code("E0732");
/// Behaviour: checked, not run by this version.
pub const LATER_BEHAVIOR: Code = Code("E0750");
/// A state machine: checked, not run by this version.
pub const LATER_MACHINE: Code = Code("E0751");
/// An acausal connection: checked, not run by this version.
pub const LATER_ACAUSAL: Code = Code("E0752");
/// White noise: checked, not run by this version.
pub const LATER_NOISE: Code = Code("E0753");
/// A population: checked, not run by this version.
pub const LATER_POPULATION: Code = Code("E0754");
/// A level of detail: checked, not run by this version.
pub const LATER_FIDELITY: Code = Code("E0755");
/// A type that equations cannot use in this version.
pub const LATER_TYPE: Code = Code("E0756");
/// A form of expression that this version does not flatten.
pub const LATER_DYNAMIC: Code = Code("E0757");
/// A fault of the compiler.
pub const INTERNAL: Code = Code("E0799");
/// A scenario's branch that is not run by this version.
pub const BRANCH_IGNORED: Code = Code("W0701");
