//! `twinc debug FILE`: a run event by event, forward and backward.

mod tell;
mod words;

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use twinml_engine::run::{Prepared, Walk, WalkError};

use super::job::{self, Flags, Job};
use super::{compile, plot};
use crate::args::Debug;
use crate::exit::Exit;
use crate::ui::Ui;
use crate::world::{Interrupt, Stopwatch};
use words::{Break, Command};

/// Compiles, and does what is said.
pub fn run(args: &Debug, ui: &Ui) -> Exit {
    match whole(args, ui) {
        Ok(exit) | Err(exit) => exit,
    }
}

fn whole(args: &Debug, ui: &Ui) -> Result<Exit, Exit> {
    let watch = Stopwatch::start();
    let flags = Flags::read(&args.simulation, ui)?;
    let session = compile::open(&args.file, ui)?;
    let Some(job) = job::load(&args.file, &args.compile, &flags, session, 0, ui)? else {
        return Ok(Exit::Ok);
    };
    let Job { ready, facts, mut machine, rest, .. } = job;
    ui.step("Compiled", &facts.text(), Some(watch.elapsed()));
    ui.object(&facts);
    let refuse = |e: &dyn std::fmt::Display| {
        ui.error(&e.to_string(), None);
        Exit::Usage
    };
    let prepared = Prepared::new(&ready.program, &mut *machine, &ready.experiment).map_err(|e| refuse(&e))?;
    let interrupt = Interrupt::listen();
    let walk = Walk::new(&prepared, &ready.program, &*machine, &ready.experiment, || interrupt.requested())
        .map_err(|e| refuse(&e))?;
    let mut session = Session { walk, breaks: Vec::new(), next_break: 1, ui };
    let exit = if args.commands.is_empty() { session.listen() } else { session.told(&args.commands) };
    drop(session);
    // The process ends here: a large model's trees are not taken apart.
    std::mem::forget((ready, machine, rest));
    exit
}

struct Session<'a, 'u> {
    walk: Walk<'a>,
    /// Breakpoints with their numbers.
    breaks: Vec<(usize, Break)>,
    next_break: usize,
    ui: &'u Ui,
}

/// Whether the session goes on.
#[derive(PartialEq, Eq)]
enum Go {
    On,
    Quit,
}

impl<'a> Session<'a, '_> {
    /// What `--command` says, in order; the first that cannot be done ends it.
    fn told(&mut self, commands: &[String]) -> Result<Exit, Exit> {
        tell::position(&self.walk, None, self.ui);
        for line in commands.iter().flat_map(|c| c.split(';')) {
            if self.line(line)? == Go::Quit {
                break;
            }
        }
        Ok(Exit::Ok)
    }

    /// Lines of standard input: someone at a terminal is asked, and may err; a script is done as it stands.
    fn listen(&mut self) -> Result<Exit, Exit> {
        let input = std::io::stdin();
        let asks = input.is_terminal() && !self.ui.is_json();
        tell::position(&self.walk, None, self.ui);
        let mut last = String::new();
        let mut line = String::new();
        loop {
            if asks {
                let _ = write!(std::io::stderr(), "{}> ", tell::time(self.walk.here().time));
                let _ = std::io::stderr().flush();
            }
            line.clear();
            match input.lock().read_line(&mut line) {
                Ok(0) => return Ok(Exit::Ok),
                Ok(_) => {}
                Err(e) => {
                    self.ui.error(&format!("the commands cannot be read: {e}"), None);
                    return Err(Exit::Outside);
                }
            }
            // An empty line says the same again.
            if asks && line.trim().is_empty() {
                line.clone_from(&last);
            } else {
                last.clone_from(&line);
            }
            match self.line(&line) {
                Ok(Go::Quit) => return Ok(Exit::Ok),
                Ok(Go::On) => {}
                Err(Exit::Usage) if asks => {}
                Err(exit) => return Err(exit),
            }
        }
    }

    fn line(&mut self, line: &str) -> Result<Go, Exit> {
        match words::read(line, self.walk.watched()) {
            Ok(Some(Command::Quit)) => Ok(Go::Quit),
            Ok(Some(command)) => self.does(command).map(|()| Go::On),
            Ok(None) => Ok(Go::On),
            Err(why) => {
                self.ui.error(&why, None);
                Err(Exit::Usage)
            }
        }
    }

    fn does(&mut self, command: Command) -> Result<(), Exit> {
        let ui = self.ui;
        match command {
            Command::Next(n) => {
                for k in 0..n {
                    if !self.done(Walk::forward)? {
                        if k == 0 {
                            ui.text("this is the end\n");
                        }
                        break;
                    }
                }
                tell::position(&self.walk, None, ui);
            }
            Command::Previous(n) => {
                for k in 0..n {
                    if !self.done(Walk::backward)? {
                        if k == 0 {
                            ui.text("this is the start\n");
                        }
                        break;
                    }
                }
                tell::position(&self.walk, None, ui);
            }
            Command::GoTo(t) => {
                self.done(|w| w.go_to(t))?;
                tell::position(&self.walk, None, ui);
            }
            Command::Event(k) => {
                self.done(|w| w.visit(k))?;
                tell::position(&self.walk, None, ui);
            }
            Command::End => {
                self.done(|w| w.visit(usize::MAX))?;
                tell::position(&self.walk, None, ui);
            }
            Command::Continue => {
                let stopped = self.seek(Walk::forward)?;
                tell::position(&self.walk, stopped, ui);
            }
            Command::Reverse => {
                let stopped = self.seek(Walk::backward)?;
                tell::position(&self.walk, stopped, ui);
            }
            Command::Print(patterns) => self.print(&patterns)?,
            Command::Why => tell::why(&self.walk, ui),
            Command::Changes => {
                let here = self.walk.here();
                let changed = |k: &usize| {
                    here.before.as_ref().is_some_and(|b| b[*k].to_bits() != here.values[*k].to_bits())
                };
                let slots: Vec<usize> = (0..self.walk.watched().len()).filter(changed).collect();
                if slots.is_empty() {
                    ui.text("no value changed here\n");
                }
                tell::values(&self.walk, &slots, ui);
            }
            Command::Events(n) => tell::events(&self.walk, n, ui),
            Command::Break(b) => {
                tell::breakpoint(self.next_break, &b.text(), ui);
                self.breaks.push((self.next_break, b));
                self.next_break += 1;
            }
            Command::Breaks => {
                if self.breaks.is_empty() {
                    ui.text("there are no breakpoints\n");
                }
                self.breaks.iter().for_each(|(n, b)| tell::breakpoint(*n, &b.text(), ui));
            }
            Command::Delete(n) => {
                let before = self.breaks.len();
                self.breaks.retain(|(k, _)| *k != n);
                if self.breaks.len() == before {
                    ui.error(&format!("there is no breakpoint {n}"), Some("`breaks` lists them"));
                    return Err(Exit::Usage);
                }
            }
            Command::Where => tell::position(&self.walk, None, ui),
            Command::Help => ui.text(words::HELP),
            Command::Quit => {}
        }
        Ok(())
    }

    /// Moves the walk, or says why not.
    fn done<T>(&mut self, go: impl FnOnce(&mut Walk<'a>) -> Result<T, WalkError>) -> Result<T, Exit> {
        go(&mut self.walk).map_err(|e| {
            if matches!(e, WalkError::Interrupted) {
                return Exit::Interrupted;
            }
            self.ui.error(&e.to_string(), None);
            Exit::Simulation
        })
    }

    /// Events in one direction until a breakpoint says stop; its number.
    fn seek(&mut self, go: impl Fn(&mut Walk<'a>) -> Result<bool, WalkError>) -> Result<Option<usize>, Exit> {
        let mut held = self.hold();
        while self.done(&go)? {
            let now = self.hold();
            let here = self.walk.here();
            for (k, (_, b)) in self.breaks.iter().enumerate() {
                let stops = match b {
                    Break::Holds { .. } => now[k] && !held[k],
                    Break::Changed { slot, .. } => here
                        .before
                        .as_ref()
                        .is_some_and(|v| v[*slot].to_bits() != here.values[*slot].to_bits()),
                    Break::Mentions { text } => {
                        here.done.iter().any(|d| d.event.contains(text) || d.path.contains(text))
                    }
                };
                if stops {
                    return Ok(Some(k));
                }
            }
            held = now;
        }
        Ok(None)
    }

    /// By breakpoint, whether its condition holds here.
    fn hold(&self) -> Vec<bool> {
        let values = &self.walk.here().values;
        let of = |b: &Break| match b {
            Break::Holds { slot, op, value, .. } => op.holds(values[*slot], *value),
            _ => false,
        };
        self.breaks.iter().map(|(_, b)| of(b)).collect()
    }

    fn print(&self, patterns: &[String]) -> Result<(), Exit> {
        let watched = self.walk.watched();
        let all = ["*".to_owned()];
        let patterns = if patterns.is_empty() { &all[..] } else { patterns };
        let mut slots = Vec::new();
        for pattern in patterns {
            let before = slots.len();
            for (k, w) in watched.iter().enumerate() {
                if plot::matches(pattern, &w.path) && !slots.contains(&k) {
                    slots.push(k);
                }
            }
            if slots.len() == before && !watched.iter().any(|w| plot::matches(pattern, &w.path)) {
                let near =
                    twinml_compiler::diag::did_you_mean(pattern, watched.iter().map(|w| w.path.as_str()));
                self.ui.error(&format!("the model has no quantity `{pattern}`"), near.as_deref());
                return Err(Exit::Usage);
            }
        }
        tell::values(&self.walk, &slots, self.ui);
        Ok(())
    }
}
