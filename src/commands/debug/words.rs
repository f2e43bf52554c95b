//! The commands of a debugging session: what a line says.

use twinml_engine::record::Element;
use twinml_engine::run::Watched;

use crate::model;

/// What can be said, for `help`.
pub const HELP: &str = "\
  next [N]            to the next event (or N events on)
  prev [N]            back to the event before (or N events back)
  goto TIME           to a time: `goto 2min`; between events, or just after those there
  event K             to event K: 0 is the start
  start, end          to the start; to the end of the run
  continue            on to where a breakpoint says stop, or to the end
  reverse             the same backward, or to the start
  print PATH...       values here, and before the event (`*` stands for anything)
  why                 what the event did: comparisons, handlers, what they wrote
  changes             every value that the event changed, also what follows by formulas
  events [N]          the events seen so far (the last N)
  break PATH          stop at events that change this value
  break PATH OP VALUE stop where this becomes true at an event: `break tank.h > 2 m`
  break on TEXT       stop at events in which a handler, a comparison or an event has this text
  breaks              the breakpoints
  delete K            take breakpoint K away
  where               where this is
  help, quit
";

/// One command.
#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Events forward.
    Next(usize),
    /// Events backward.
    Previous(usize),
    /// To a time in seconds.
    GoTo(f64),
    /// To an event.
    Event(usize),
    /// To the end.
    End,
    /// To a breakpoint, forward.
    Continue,
    /// To a breakpoint, backward.
    Reverse,
    /// Values of paths.
    Print(Vec<String>),
    /// What the event did.
    Why,
    /// What it changed.
    Changes,
    /// The last events seen.
    Events(usize),
    /// A breakpoint.
    Break(Break),
    /// The breakpoints.
    Breaks,
    /// Takes one away.
    Delete(usize),
    /// Where this is.
    Where,
    /// What can be said.
    Help,
    /// The end of the session.
    Quit,
}

/// Where to stop.
#[derive(Debug, Clone, PartialEq)]
pub enum Break {
    /// Where the event changes this quantity.
    Changed {
        /// As it was asked for.
        text: String,
        /// Its number.
        slot: usize,
    },
    /// Where this becomes true.
    Holds {
        /// As it was asked for.
        text: String,
        /// The quantity's number.
        slot: usize,
        /// How it is compared.
        op: Op,
        /// With what, in SI.
        value: f64,
    },
    /// Where something of the event has this text.
    Mentions {
        /// The text.
        text: String,
    },
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    More,
    /// `>=`
    AtLeast,
    /// `==`
    Equal,
    /// `!=`
    Unequal,
}

/// The comparisons, longer ones first.
const OPS: [(&str, Op); 6] = [
    ("<=", Op::AtMost),
    (">=", Op::AtLeast),
    ("==", Op::Equal),
    ("!=", Op::Unequal),
    ("<", Op::Less),
    (">", Op::More),
];

impl Op {
    /// Whether it holds.
    pub fn holds(self, a: f64, b: f64) -> bool {
        match self {
            Op::Less => a < b,
            Op::AtMost => a <= b,
            Op::More => a > b,
            Op::AtLeast => a >= b,
            Op::Equal => a == b,
            Op::Unequal => a != b,
        }
    }
}

impl Break {
    /// As it was asked for.
    pub fn text(&self) -> String {
        match self {
            Break::Changed { text, .. } | Break::Holds { text, .. } => text.clone(),
            Break::Mentions { text } => format!("on {text}"),
        }
    }
}

/// A line as a command; `None`: nothing is said.
///
/// # Errors
///
/// What is wrong, and what to say instead.
pub fn read(line: &str, watched: &[Watched]) -> Result<Option<Command>, String> {
    let line = line.trim();
    // What follows `#` is a remark in a script.
    let line = if line.starts_with('#') { "" } else { line };
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let rest = rest.trim();
    let number = |default: usize| match rest {
        "" => Ok(default),
        text => text.parse().map_err(|_| format!("`{text}` is no whole number")),
    };
    let bare = |command: Command| match rest {
        "" => Ok(command),
        _ => Err(format!("`{word}` takes nothing after it")),
    };
    Ok(Some(match word {
        "" => return Ok(None),
        "next" | "n" => Command::Next(number(1)?),
        "prev" | "previous" | "p" => Command::Previous(number(1)?),
        "goto" | "g" => Command::GoTo(time(rest)?),
        "event" | "e" => match rest {
            "" => return Err("say which event: `event 3`".to_owned()),
            _ => Command::Event(number(0)?),
        },
        "start" => bare(Command::Event(0))?,
        "end" => bare(Command::End)?,
        "continue" | "c" => bare(Command::Continue)?,
        "reverse" | "r" => bare(Command::Reverse)?,
        "print" | "values" | "v" => {
            Command::Print(rest.split([' ', ',']).filter(|p| !p.is_empty()).map(str::to_owned).collect())
        }
        "why" | "w" => bare(Command::Why)?,
        "changes" | "d" => bare(Command::Changes)?,
        "events" => Command::Events(number(usize::MAX)?),
        "break" | "b" => Command::Break(breakpoint(rest, watched)?),
        "breaks" => bare(Command::Breaks)?,
        "delete" => match rest {
            "" => return Err("say which breakpoint: `delete 1`".to_owned()),
            _ => Command::Delete(number(0)?),
        },
        "where" => bare(Command::Where)?,
        "help" | "h" | "?" => Command::Help,
        "quit" | "q" | "exit" => bare(Command::Quit)?,
        other => {
            let words = [
                "next", "prev", "goto", "event", "start", "end", "continue", "reverse", "print", "why",
                "changes", "events", "break", "breaks", "delete", "where", "help", "quit",
            ];
            let near = twinml_compiler::diag::did_you_mean(other, words);
            return Err(match near {
                Some(near) => format!("there is no command `{other}`: {near}"),
                None => format!("there is no command `{other}`; `help` lists them"),
            });
        }
    }))
}

/// A time with its unit.
fn time(text: &str) -> Result<f64, String> {
    if text.is_empty() {
        return Err("say where to: `goto 2min`".to_owned());
    }
    match model::duration(text) {
        // A plain number reads as seconds: nothing else is meant in a session.
        Err(_) if text.parse::<f64>().is_ok_and(|t| t >= 0.0 && t.is_finite()) => {
            text.parse().map_err(|_| format!("`{text}` is no time"))
        }
        other => other,
    }
}

fn quantity(path: &str, watched: &[Watched]) -> Result<usize, String> {
    watched.iter().position(|w| w.path == path).ok_or_else(|| {
        let near = twinml_compiler::diag::did_you_mean(path, watched.iter().map(|w| w.path.as_str()));
        match near {
            Some(near) => format!("the model has no quantity `{path}`: {near}"),
            None => format!("the model has no quantity `{path}`"),
        }
    })
}

fn breakpoint(text: &str, watched: &[Watched]) -> Result<Break, String> {
    if text.is_empty() {
        return Err("say where: `break tank.h > 2 m`, `break pump.state`, `break on rising`".to_owned());
    }
    if let Some(text) = text.strip_prefix("on ") {
        return Ok(Break::Mentions { text: text.trim().to_owned() });
    }
    let Some((path, op, value)) =
        OPS.iter().find_map(|(word, op)| text.split_once(word).map(|(a, b)| (a.trim(), *op, b.trim())))
    else {
        return Ok(Break::Changed { text: text.to_owned(), slot: quantity(text, watched)? });
    };
    let slot = quantity(path, watched)?;
    let value = in_si(value, &watched[slot])?;
    Ok(Break::Holds { text: text.to_owned(), slot, op, value })
}

/// A value of a quantity as a breakpoint says it: in the quantity's own unit.
fn in_si(text: &str, of: &Watched) -> Result<f64, String> {
    match &of.element {
        Element::Bool => match text {
            "true" => Ok(1.0),
            "false" => Ok(0.0),
            _ => Err(format!("`{}` is true or false", of.path)),
        },
        Element::Text(words) => match words.iter().position(|w| w == text) {
            Some(k) => Ok(k as f64),
            None => Err(format!("`{}` is one of: {}", of.path, words.join(", "))),
        },
        Element::Int => text.parse().map_err(|_| format!("`{text}` is no number")),
        Element::Real { scale, offset } => {
            let end = text
                .char_indices()
                .find(|(k, c)| {
                    let exponent = matches!(c, 'e' | 'E')
                        && text[k + 1..].starts_with(|d: char| d.is_ascii_digit() || d == '-' || d == '+');
                    !(c.is_ascii_digit() || matches!(c, '.' | '-' | '+') || exponent)
                })
                .map_or(text.len(), |(k, _)| k);
            let (number, unit) = (&text[..end], text[end..].trim());
            let shown: f64 = number.parse().map_err(|_| format!("`{text}` is no number"))?;
            if unit.is_empty() || unit == of.unit {
                Ok(shown * scale + offset)
            } else if of.unit.is_empty() {
                Err(format!("`{}` has no unit", of.path))
            } else {
                Err(format!("say it in the unit of `{}`: {}", of.path, of.unit))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    fn watched() -> Vec<Watched> {
        let w = |path: &str, element, unit: &str| Watched { path: path.into(), element, unit: unit.into() };
        vec![
            w("tank.h", Element::Real { scale: 0.01, offset: 0.0 }, "cm"),
            w("valve.open", Element::Bool, ""),
            w("plant.state", Element::Text(vec!["idle".to_owned(), "busy".to_owned()].into()), ""),
        ]
    }

    #[test]
    fn lines_are_read() {
        let w = watched();
        let some = |line: &str| read(line, &w).unwrap();
        assert_eq!(some("  next 3 "), Some(Command::Next(3)));
        assert_eq!(some("goto 2min"), Some(Command::GoTo(120.0)));
        assert_eq!(some("g 1.5"), Some(Command::GoTo(1.5)));
        assert_eq!(
            some("print tank.h, valve.*"),
            Some(Command::Print(vec!["tank.h".into(), "valve.*".into()]))
        );
        assert_eq!((some(""), some("# a remark")), (None, None));
        let Some(Command::Break(Break::Holds { op, value, slot, .. })) = some("break tank.h >= 25 cm") else {
            panic!("a condition")
        };
        assert_eq!((op, value, slot), (Op::AtLeast, 0.25, 0));
        let Some(Command::Break(Break::Holds { value, .. })) = some("b plant.state == busy") else {
            panic!("a condition")
        };
        assert_eq!(value, 1.0);
        assert!(matches!(some("b valve.open"), Some(Command::Break(Break::Changed { slot: 1, .. }))));
        assert!(matches!(some("b on rising(h"), Some(Command::Break(Break::Mentions { .. }))));
    }

    #[test]
    fn what_is_no_command_is_said_to_be_none() {
        let w = watched();
        for (line, part) in [
            ("nxt", "next"),
            ("goto", "where to"),
            ("goto soon", "`soon`"),
            ("break tank.hh > 1", "tank.h"),
            ("break tank.h > 1 m", "cm"),
            ("break valve.open == maybe", "true or false"),
            ("break plant.state == off", "idle, busy"),
            ("why not", "nothing after"),
            ("next three", "whole number"),
        ] {
            let said = read(line, &w).unwrap_err();
            assert!(said.contains(part), "{line}: {said}");
        }
    }
}
