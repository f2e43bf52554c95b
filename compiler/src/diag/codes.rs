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

// E03: names.
/// A name that nothing has.
pub const UNKNOWN_NAME: Code = Code("E0301");
/// A name declared twice.
pub const DUPLICATE_NAME: Code = Code("E0302");
/// A type that is not known.
pub const UNKNOWN_TYPE: Code = Code("E0303");
/// A member that the thing before the dot does not have.
pub const UNKNOWN_MEMBER: Code = Code("E0304");
/// A function that is not known.
pub const UNKNOWN_FUNCTION: Code = Code("E0305");
/// A file or library module that cannot be found.
pub const UNKNOWN_MODULE: Code = Code("E0306");
/// A name that the used module does not have.
pub const NOT_IN_MODULE: Code = Code("E0307");
/// Files that use each other in a circle.
pub const CYCLIC_USE: Code = Code("E0308");
/// Twins that extend each other in a circle.
pub const CYCLIC_EXTENDS: Code = Code("E0309");
/// A member of a child that its parent does not see.
pub const NOT_VISIBLE: Code = Code("E0310");
/// A redeclared member of another section or type.
pub const BAD_REDECLARATION: Code = Code("E0311");
/// A twin that contains itself.
pub const CYCLIC_CONTAINMENT: Code = Code("E0312");
/// A name of something of another kind.
pub const WRONG_KIND_OF_NAME: Code = Code("E0313");
/// Definitions that need each other in a circle.
pub const CYCLIC_DEFINITION: Code = Code("E0314");
/// A `final` member that is overridden.
pub const FINAL_OVERRIDDEN: Code = Code("E0315");
/// An expectation that names no requirement.
pub const UNKNOWN_REQUIREMENT: Code = Code("E0316");
/// A partial twin where a whole one is needed.
pub const PARTIAL_TWIN: Code = Code("E0317");
/// A type or value argument that is missing or that the twin does not have.
pub const BAD_TWIN_ARGUMENT: Code = Code("E0318");
/// A local that is assigned and never read.
pub const UNREAD_LOCAL: Code = Code("E0319");
/// A member that an override cannot set.
pub const NOT_OVERRIDABLE: Code = Code("E0320");
/// A message address or event source that does not exist.
pub const UNKNOWN_EVENT: Code = Code("E0321");
/// A function that is called and not defined.
pub const UNDEFINED_CALL: Code = Code("W0301");
/// A unit that could also be a product with a member.
pub const UNIT_OR_MEMBER: Code = Code("W0302");
/// A message that nobody takes whom it may reach.
pub const UNHEARD_MESSAGE: Code = Code("W0303");
/// Something that is said and changes nothing.
pub const IDLE: Code = Code("W0305");
/// A quantity that `record all` leaves out.
pub const LEFT_OUT: Code = Code("W0306");
/// An action after the end of its run.
pub const NEVER_HAPPENS: Code = Code("W0304");

// E04: types and shapes.
/// A value of another type than is wanted.
pub const TYPE_MISMATCH: Code = Code("E0401");
/// Too many or too few arguments.
pub const ARGUMENT_COUNT: Code = Code("E0402");
/// A named argument that the function does not have, or has twice.
pub const UNKNOWN_ARGUMENT: Code = Code("E0403");
/// Arrays whose shapes do not fit.
pub const SHAPE_MISMATCH: Code = Code("E0404");
/// An index on something that has no axis left.
pub const NOT_AN_ARRAY: Code = Code("E0405");
/// An index that is no whole number.
pub const BAD_INDEX: Code = Code("E0406");
/// A condition that is no truth value.
pub const CONDITION_NOT_BOOL: Code = Code("E0407");
/// An operator on operands that it does not take.
pub const BAD_OPERANDS: Code = Code("E0408");
/// `==` between real numbers.
pub const REAL_EQUALITY: Code = Code("E0409");
/// A `match` that leaves a value out.
pub const NOT_EXHAUSTIVE: Code = Code("E0410");
/// A pattern that cannot match.
pub const PATTERN_MISMATCH: Code = Code("E0411");
/// A constant index outside the array.
pub const INDEX_OUT_OF_RANGE: Code = Code("E0412");
/// A function that calls itself where that cannot be resolved.
pub const RECURSIVE_FUNCTION: Code = Code("E0413");
/// Something that is no function is called.
pub const NOT_CALLABLE: Code = Code("E0414");
/// Something is assigned that cannot be.
pub const NOT_ASSIGNABLE: Code = Code("E0415");
/// A constant value outside its declared range.
pub const OUT_OF_RANGE: Code = Code("E0416");
/// A size that is not known before the run, or is none.
pub const BAD_SIZE: Code = Code("E0417");
/// A derivative of something that has none.
pub const BAD_DERIVATIVE: Code = Code("E0418");
/// A type that behaviour alone can hold.
pub const BEHAVIOR_ONLY_TYPE: Code = Code("E0419");
/// A record built or taken apart with the wrong fields.
pub const BAD_RECORD_FIELDS: Code = Code("E0420");
/// A connection between things that do not connect.
pub const BAD_CONNECTION: Code = Code("E0421");
/// A connector without as many potentials as flows.
pub const UNBALANCED_CONNECTOR: Code = Code("E0422");
/// A distribution that is none.
pub const BAD_DISTRIBUTION: Code = Code("E0423");
/// A solver or a setting of it that is none.
pub const BAD_SOLVER: Code = Code("E0424");
/// A capability of a kind that there is not.
pub const UNKNOWN_CAPABILITY: Code = Code("E0425");
/// A memory of a kind that there is not.
pub const UNKNOWN_MEMORY: Code = Code("E0426");
/// A policy that is none.
pub const UNKNOWN_POLICY: Code = Code("E0427");
/// A policy that the twin does not keep.
pub const POLICY_VIOLATED: Code = Code("E0428");
/// Something that stands where it cannot.
pub const MISPLACED: Code = Code("E0429");
/// A declaration without what it needs.
pub const INCOMPLETE_DECLARATION: Code = Code("E0430");
/// A function whose results differ or are missing.
pub const BAD_RETURN: Code = Code("E0431");
/// A machine without an initial state, or a transition to no state.
pub const BAD_MACHINE: Code = Code("E0432");
/// A table that cannot be.
pub const BAD_TABLE: Code = Code("E0433");
/// A synchronisation entry that cannot be.
pub const BAD_SYNC: Code = Code("E0434");
/// A definition that does not end.
pub const TOO_LARGE: Code = Code("E0435");
/// A drawn parameter that chooses structure.
pub const DRAWN_STRUCTURE: Code = Code("E0436");
/// Correlations that no random numbers can have.
pub const BAD_CORRELATION: Code = Code("E0437");
/// `=` on a member drops its absolute distribution.
pub const DISTRIBUTION_DROPPED: Code = Code("N0401");

// E05: units.
/// Operands whose units differ.
pub const UNIT_MISMATCH: Code = Code("E0501");
/// A value whose unit is not the declared one.
pub const WRONG_UNIT: Code = Code("E0502");
/// A unit that is not known.
pub const UNKNOWN_UNIT: Code = Code("E0503");
/// A quantity where a plain number is needed.
pub const NOT_DIMENSIONLESS: Code = Code("E0504");
/// A point on a temperature scale where a difference or a factor is needed.
pub const TEMPERATURE_POINT: Code = Code("E0505");
/// A difference, or a compound unit, in degrees of a scale.
pub const DIFFERENCE_IN_SCALE: Code = Code("E0506");
/// A bare number beside a unit that is only shown.
pub const BARE_NUMBER_WITH_IN: Code = Code("E0507");
/// A bare number where a quantity is needed.
pub const BARE_NUMBER: Code = Code("E0508");
/// An exponent that is not a constant number.
pub const BAD_EXPONENT: Code = Code("E0509");
/// A display unit of another dimension.
pub const BAD_DISPLAY_UNIT: Code = Code("E0510");
/// A unit or a dimension defined badly.
pub const BAD_UNIT_DEFINITION: Code = Code("E0511");
/// Angular velocity and frequency are confused.
pub const ANGULAR_OR_CYCLIC: Code = Code("W0501");
/// Torque and energy are confused.
pub const TORQUE_OR_ENERGY: Code = Code("W0502");

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
/// Calls of functions in equations nested too deeply.
pub const CALL_NESTING: Code = Code("E0727");
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
/// `on change(e)` of something that changes all the time.
pub const CHANGE_OF_CONTINUOUS: Code = Code("E0733");
/// A machine whose states do not determine equally many unknowns.
pub const UNEVEN_STATES: Code = Code("E0734");
/// `else clamp` behind something that has no limits, or of a quantity that is not held.
pub const CLAMP_LIMITS: Code = Code("E0735");
/// An aggregate, or temporal logic, inside an aggregate.
pub const AGGREGATE_NESTED: Code = Code("E0740");
/// An aggregate beside a quantity that changes.
pub const AGGREGATE_MIXED: Code = Code("E0741");
/// Comparisons in different units, and nothing that one of them is measured by.
pub const NO_SCALE: Code = Code("E0742");
/// Behaviour: checked, not run by this version.
pub const LATER_BEHAVIOR: Code = Code("E0750");
/// A state machine: checked, not run by this version.
pub const LATER_MACHINE: Code = Code("E0751");
/// `inflow` of a stream: checked, not run by this version.
pub const LATER_STREAM: Code = Code("E0752");
/// White noise where only a value can stand.
pub const NOISE_PLACE: Code = Code("E0753");
/// A derivative that is not affine in the white noise of its equations.
pub const NOISE_NOT_AFFINE: Code = Code("E0736");
/// A population of a form that this version does not run.
pub const LATER_POPULATION: Code = Code("E0754");
/// A level of detail: checked, not run by this version.
pub const LATER_FIDELITY: Code = Code("E0755");
/// A type that equations cannot use in this version.
pub const LATER_TYPE: Code = Code("E0756");
/// A form of expression that this version does not flatten.
pub const LATER_DYNAMIC: Code = Code("E0757");
/// A fault of the compiler.
pub const INTERNAL: Code = Code("E0799");

/// A scenario that the file does not have.
pub const NO_SUCH_SCENARIO: Code = Code("E0790");
/// A file without anything that can be run.
pub const NOTHING_TO_RUN: Code = Code("E0791");
/// `TWINC_ISA` names no instruction set, or one that this processor lacks.
pub const NO_SUCH_ISA: Code = Code("E0792");

// E08: during a run. The command line says these, with the places of the equations concerned.
/// The solver cannot go on.
pub const SOLVER_STOPPED: Code = Code("E0801");
/// An algebraic loop has no solution that Newton's method finds.
pub const LOOP_UNSOLVED: Code = Code("E0802");
/// A table was asked outside of its samples and has no rule for that.
pub const TABLE_RANGE: Code = Code("E0803");
/// An index computed during the run left its array.
pub const INDEX_RANGE: Code = Code("E0804");
/// A start value or a parameter's formula gives no finite number.
pub const START_NOT_FINITE: Code = Code("E0805");
/// The comparisons of one instant contradict each other.
pub const UNSETTLED: Code = Code("E0806");
/// One comparison changes again and again without time going on.
pub const ZENO: Code = Code("E0807");
/// Start values that contradict what the equations say about states alone.
pub const START_CONTRADICTS: Code = Code("E0809");
/// A watched range (`where`) was left during a run.
pub const RANGE_LEFT: Code = Code("W0801");
/// Rows hold what is no number, between the instants at which a run is judged.
pub const ROW_BLANK: Code = Code("W0802");
/// The limit on steps was reached.
pub const STEP_LIMIT: Code = Code("E0808");
/// Nothing could be drawn for a sample.
pub const DRAW_FAILED: Code = Code("E0813");
/// A handler failed or did not end.
pub const HANDLER_FAILED: Code = Code("E0810");
/// Noises whose order matters, under a solver that takes them to commute.
pub const NOISE_COMMUTE: Code = Code("E0811");
/// A stochastic model with a solver for ordinary differential equations.
pub const NOISE_SOLVER: Code = Code("E0812");
