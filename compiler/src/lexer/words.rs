//! The words of the language: one table, from which the terminals of the grammar, the test for
//! "is this a word" and the rules of where a word is one all come.

/// Where a word is a keyword. Elsewhere it is a name; after `.` and before `:` every word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Everywhere.
    Reserved,
    /// At the start of an entry, before `{`.
    Section,
    /// At the start of an entry, before a name, a number or a string.
    Start,
    /// The same, and also before `(`.
    StartParen,
    /// Behind an operand.
    Infix,
    /// Both `StartParen` and `Infix`.
    StartInfix,
    /// Right behind one other word.
    After(Word),
}

macro_rules! words {
    ($($variant:ident $text:literal $place:expr;)*) => {
        /// A word that is a keyword in its place.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Word {
            $(#[doc = concat!("`", $text, "`")] $variant,)*
        }

        impl Word {
            /// All words, in the order of the table.
            pub const ALL: &'static [Word] = &[$(Word::$variant,)*];

            /// The word of a text.
            pub fn from_text(text: &str) -> Option<Word> {
                match text {
                    $($text => Some(Word::$variant),)*
                    _ => None,
                }
            }

            /// The word as written.
            pub fn text(self) -> &'static str {
                match self { $(Word::$variant => $text,)* }
            }

            /// Where it is a keyword.
            pub fn place(self) -> Place {
                use Place::*;
                match self { $(Word::$variant => $place,)* }
            }
        }
    };
}

words! {
    True "true" Reserved;
    False "false" Reserved;
    None "none" Reserved;
    If "if" Reserved;
    Then "then" Reserved;
    Else "else" Reserved;
    For "for" Reserved;
    In "in" Reserved;
    While "while" Reserved;
    Match "match" Reserved;
    Return "return" Reserved;
    And "and" Reserved;
    Or "or" Reserved;
    Not "not" Reserved;
    Xor "xor" Reserved;
    Implies "implies" Reserved;
    Until "until" Reserved;
    Since "since" Reserved;
    Where "where" Reserved;

    Use "use" Start;
    Type "type" Start;
    Enum "enum" Start;
    Record "record" Start;
    Connector "connector" Start;
    Dimension "dimension" Start;
    Unit "unit" Start;
    Func "func" Start;
    Private "private" Start;
    Partial "partial" Start;
    Asset "asset" Start;
    Process "process" Start;
    System "system" Start;
    Organization "organization" Start;
    Ecosystem "ecosystem" Start;
    Agent "agent" Start;
    Twin "twin" Start;
    Scenario "scenario" Start;

    Parameters "parameters" Section;
    Inputs "inputs" Section;
    Outputs "outputs" Section;
    States "states" Section;
    Variables "variables" Section;
    Initial "initial" Start;
    Equations "equations" Section;
    Ports "ports" Section;
    Twins "twins" Section;
    Connections "connections" Section;
    Behavior "behavior" Section;
    Memory "memory" Section;
    Capabilities "capabilities" Section;
    Constraints "constraints" Section;
    Sync "sync" Section;
    Start "start" Section;
    Entry "entry" Section;
    Exit "exit" Section;
    Fidelity "fidelity" Start;

    Final "final" Start;
    Outer "outer" Start;
    Potential "potential" Start;
    Flow "flow" Start;
    Stream "stream" Start;

    On "on" StartInfix;
    Every "every" StartInfix;
    At "at" StartInfix;
    After "after" StartInfix;
    When "when" StartInfix;
    Machine "machine" Start;
    State "state" Start;

    Emit "emit" Start;
    Send "send" Start;
    Broadcast "broadcast" Start;
    Reply "reply" Start;
    Publish "publish" Start;
    Subscribe "subscribe" Start;
    Log "log" Start;
    Fail "fail" Start;
    Stop "stop" Start;
    Wait "wait" StartParen;
    Create "create" Start;
    Retire "retire" Start;
    Force "force" Start;
    Release "release" Start;
    Drive "drive" Start;
    Branch "branch" Start;
    Expect "expect" StartParen;
    Kpi "kpi" Start;

    Extends "extends" StartInfix;
    Guess "guess" Infix;
    With "with" Infix;
    Confidence "confidence" Infix;
    From "from" Infix;
    To "to" Infix;
    Priority "priority" Infix;
    Queued "queued" Infix;
    Offset "offset" Infix;
    Over "over" Infix;
    Within "within" Infix;
    As "as" Infix;
    Of "of" Infix;
    Column "column" Infix;
    Outside "outside" Infix;
    Noise "noise" Infix;
    Stale "stale" Infix;
    Conflict "conflict" Infix;
    Minimize "minimize" Infix;
    Maximize "maximize" Infix;
    Probability "probability" After(Word::With);
    End "end" After(Word::At);
    Run "run" After(Word::Over);
    Change "change" After(Word::On);
}

/// Words that may be a unit's name too, where a number stands before them.
///
/// A bare name after a number is a unit only when it is no word of the language; all words of the
/// table count.
pub fn is_keyword(text: &str) -> bool {
    Word::from_text(text).is_some()
}

impl Word {
    /// Whether the word is a keyword everywhere.
    pub fn is_reserved(self) -> bool {
        self.place() == Place::Reserved
    }

    /// Whether an entry cannot end behind this word: a newline behind it joins the next line.
    pub fn joins_next_line(self) -> bool {
        match self.place() {
            Place::Reserved => {
                !matches!(self, Word::True | Word::False | Word::None | Word::Return | Word::Match)
            }
            Place::Infix => !matches!(self, Word::Queued | Word::Minimize | Word::Maximize),
            _ => false,
        }
    }

    /// Whether a line that begins with this reserved word continues the line above.
    pub fn joins_line_above(self) -> bool {
        matches!(
            self,
            Word::Then
                | Word::Else
                | Word::Where
                | Word::In
                | Word::And
                | Word::Or
                | Word::Xor
                | Word::Implies
                | Word::Until
                | Word::Since
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_reads_back() {
        for &w in Word::ALL {
            assert_eq!(Word::from_text(w.text()), Some(w));
        }
        assert!(is_keyword("state") && !is_keyword("inch"));
    }
}
