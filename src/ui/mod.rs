//! All printing. Results go to standard output, progress and diagnostics to standard error; with `--format json`
//! everything is one JSON object a line on standard output.
//!
//! A closed pipe is no error: what nobody reads need not be written. Any other write that standard output refuses is
//! one of the outside ([`Ui::close`]).

mod diagnostics;
pub mod digits;
pub mod json;
pub mod numbers;
mod progress;
pub mod xml;

use std::io::{self, IsTerminal, Write};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use serde::Serialize;

use crate::args::{Format, Output, When};
use crate::exit::Exit;

pub use progress::{Counter, Progress};

/// The printer of one command.
#[derive(Debug)]
pub struct Ui {
    json: bool,
    quiet: bool,
    color_out: bool,
    color_err: bool,
    bars: bool,
    /// Where what is printed is kept instead of being printed.
    kept: Option<Mutex<Kept>>,
    /// Why standard output refused what was printed, where it did for the first time.
    refused: OnceLock<io::Error>,
}

/// What a printer kept: pieces in order, with the stream that each is for.
#[derive(Debug, Default)]
pub struct Kept(Vec<(Stream, String)>);

/// Where text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Out,
    Err,
}

/// The colour of a verb.
#[derive(Debug, Clone, Copy)]
enum Ink {
    Green,
    Cyan,
    Yellow,
    Red,
}

/// The column at which verbs end.
const VERB: usize = 11;
/// The width in which the time taken ends.
const WIDTH: usize = 80;

impl Ui {
    /// A printer as the flags, `NO_COLOR` (given as `no_color`) and the terminals ask.
    pub fn new(output: &Output, no_color: bool) -> Ui {
        let color = |terminal: bool| match output.color {
            When::Always => true,
            When::Never => false,
            When::Auto => terminal && !no_color,
        };
        let json = output.format == Format::Json;
        let (out, err) = (io::stdout().is_terminal(), io::stderr().is_terminal());
        Ui {
            json,
            quiet: output.quiet,
            color_out: color(out) && !json,
            color_err: color(err),
            bars: err && !json && !output.quiet,
            kept: None,
            refused: OnceLock::new(),
        }
    }

    /// A printer of the same look that keeps what it is given, for [`Ui::replay`].
    pub fn keeping(&self) -> Ui {
        Ui {
            json: self.json,
            quiet: self.quiet,
            color_out: self.color_out,
            color_err: self.color_err,
            bars: false,
            kept: Some(Mutex::default()),
            refused: OnceLock::new(),
        }
    }

    /// What was kept.
    pub fn kept(self) -> Kept {
        // A printer whose thread failed has what it was given until then.
        self.kept
            .map(|k| k.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
            .unwrap_or_default()
    }

    /// Prints what another printer kept.
    pub fn replay(&self, kept: Kept) {
        for (stream, text) in kept.0 {
            self.put(stream, text);
        }
    }

    fn put(&self, stream: Stream, text: String) {
        match (&self.kept, stream) {
            (Some(kept), _) => {
                kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).0.push((stream, text));
            }
            (None, Stream::Out) => self.took(io::stdout().lock().write_all(text.as_bytes())),
            // Where errors cannot be shown, there is no place to say so.
            (None, Stream::Err) => {
                let _ = io::stderr().lock().write_all(text.as_bytes());
            }
        }
    }

    /// Keeps why standard output refused something.
    fn took(&self, written: io::Result<()>) {
        if let Err(e) = written
            && e.kind() != io::ErrorKind::BrokenPipe
        {
            let _ = self.refused.set(e);
        }
    }

    /// Prints help, the version, or what is wrong with a command line, and ends printing.
    pub fn help(self, help: &clap::Error) -> Exit {
        if self.json && help.use_stderr() {
            let text = help.render().to_string();
            let (message, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
            let message = message.strip_prefix("error: ").unwrap_or(message);
            self.error(message.trim_end(), Some(rest.trim()).filter(|r| !r.is_empty()));
            return self.close(Exit::Usage);
        }
        let printed = help.print();
        if help.use_stderr() {
            return Exit::Usage;
        }
        self.took(printed);
        self.close(Exit::Ok)
    }

    /// Ends printing: the exit code of a command that ended with `exit`, which is that of the outside where standard
    /// output has not taken everything.
    pub fn close(self, exit: Exit) -> Exit {
        self.took(io::stdout().lock().flush());
        let Some(e) = self.refused.get() else { return exit };
        // Not as an object either: that would go where nothing is taken.
        let word = paint("error", Ink::Red, self.color_err);
        self.err(format!("{word}: could not write to standard output: {e}\n"));
        [exit, Exit::Outside].into_iter().max_by_key(|e| e.weight()).unwrap_or(exit)
    }

    fn out(&self, text: impl Into<String>) {
        self.put(Stream::Out, text.into());
    }

    fn err(&self, text: impl Into<String>) {
        self.put(Stream::Err, text.into());
    }

    /// Whether output is JSON.
    pub fn is_json(&self) -> bool {
        self.json
    }

    /// Whether only errors and results are to be printed.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Whether standard error shows colours.
    pub fn colors_errors(&self) -> bool {
        self.color_err
    }

    /// A bar over simulated time, shown only on a terminal.
    pub fn progress(&self, until: f64) -> Progress {
        Progress::new(self.bars, self.color_err, until)
    }

    /// A bar over a number of runs, shown only on a terminal.
    pub fn counter(&self, runs: u64) -> Counter {
        Counter::new(self.bars, self.color_err, runs)
    }

    /// Something was done on the way to a result: to standard error, with the time that it took.
    pub fn step(&self, verb: &str, text: &str, took: Option<Duration>) {
        if !self.json && !self.quiet {
            let line = self.line(verb, text, took, Ink::Green, self.color_err);
            self.err(line);
        }
    }

    /// Something that is going on: to standard error.
    pub fn doing(&self, verb: &str, text: &str) {
        if !self.json && !self.quiet {
            let line = self.line(verb, text, None, Ink::Cyan, self.color_err);
            self.err(line);
        }
    }

    /// A result: to standard output.
    pub fn result(&self, verb: &str, text: &str, took: Option<Duration>) {
        if !self.json {
            let ink = match verb {
                "Failed" | "Violated" | "Error" => Ink::Red,
                "Open" => Ink::Yellow,
                _ => Ink::Green,
            };
            let line = self.line(verb, text, took, ink, self.color_out);
            self.out(line);
        }
    }

    /// A remark that matters: to standard error.
    pub fn warn(&self, text: &str) {
        if !self.json && !self.quiet {
            let line = self.line("Note", text, None, Ink::Yellow, self.color_err);
            self.err(line);
        }
    }

    /// Plain text that is the result: to standard output.
    pub fn text(&self, text: &str) {
        if !self.json {
            self.out(text);
        }
    }

    /// Plain text about a failure: to standard error.
    pub fn error_text(&self, text: &str) {
        if !self.json {
            self.err(text);
        }
    }

    /// A failure that is no diagnostic of a model.
    pub fn error(&self, message: &str, help: Option<&str>) {
        if self.json {
            return self.object(&json::Failure { kind: "error", version: json::VERSION, message, help });
        }
        let word = paint("error", Ink::Red, self.color_err);
        self.err(format!("{word}: {message}\n"));
        if let Some(help) = help {
            self.err(format!("  help: {help}\n"));
        }
    }

    /// A JSON object: to standard output, where output is JSON.
    pub fn object(&self, object: &impl Serialize) {
        if self.json {
            // Our objects are structs of strings and numbers, which always serialise.
            if let Ok(line) = serde_json::to_string(object) {
                self.out(line + "\n");
            }
        }
    }

    /// A line of JSON that is ready: to standard output.
    fn json_line(&self, line: &str) {
        self.out(format!("{line}\n"));
    }

    /// A failure that diagnostics have explained: how many there were.
    pub fn error_line(&self, text: &str) {
        if !self.json {
            self.err(format!("{}: {text}\n", paint("error", Ink::Red, self.color_err)));
        }
    }

    /// An intermediate form: to standard output.
    pub fn form(&self, stage: &str, text: &str) {
        self.text(text);
        self.object(&json::Form { kind: "form", version: json::VERSION, stage, text });
    }

    fn line(&self, verb: &str, text: &str, took: Option<Duration>, ink: Ink, color: bool) -> String {
        let pad = " ".repeat(VERB.saturating_sub(verb.chars().count()));
        let mut line = format!("{pad}{} {text}", paint(verb, ink, color));
        if let Some(took) = took {
            let took = format!("in {}", numbers::took(took));
            let used = VERB.max(verb.chars().count()) + 1 + text.chars().count() + took.chars().count();
            line.push_str(&" ".repeat(WIDTH.saturating_sub(used).max(2)));
            line.push_str(&took);
        }
        line.push('\n');
        line
    }
}

fn paint(word: &str, ink: Ink, color: bool) -> String {
    let code = match ink {
        Ink::Green => "1;32",
        Ink::Cyan => "1;36",
        Ink::Yellow => "1;33",
        Ink::Red => "1;31",
    };
    if color { format!("\u{1b}[{code}m{word}\u{1b}[0m") } else { word.to_owned() }
}
