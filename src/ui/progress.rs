//! The bar over simulated time.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::numbers;

/// A bar on standard error; nothing where that is no terminal.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    until: f64,
}

/// Parts that the bar is divided into.
const PARTS: u64 = 1000;

impl Progress {
    pub(super) fn new(show: bool, color: bool, until: f64) -> Progress {
        let bar = show.then(|| {
            let bar = ProgressBar::with_draw_target(Some(PARTS), ProgressDrawTarget::stderr_with_hz(10));
            // The template is a constant that indicatif accepts; without it the bar has its default look.
            let look =
                if color { "            [{bar:30.cyan}] {msg}" } else { "            [{bar:30}] {msg}" };
            if let Ok(style) = ProgressStyle::with_template(look) {
                bar.set_style(style.progress_chars("━╸ "));
            }
            bar
        });
        Progress { bar, until }
    }

    /// No bar at all.
    pub fn none() -> Progress {
        Progress { bar: None, until: 0.0 }
    }

    /// Simulated time has reached `time` seconds.
    pub fn at(&self, time: f64) {
        if let Some(bar) = &self.bar {
            let part = if self.until > 0.0 { time / self.until } else { 1.0 };
            bar.set_position((part * PARTS as f64) as u64);
            let (time, until) = (numbers::duration(time), numbers::duration(self.until));
            bar.set_message(format!("{time} of {until}"));
        }
    }

    /// Takes the bar away.
    pub fn done(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

/// A bar over runs, with the time that is left.
#[derive(Debug)]
pub struct Counter(Option<ProgressBar>);

impl Counter {
    pub(super) fn new(show: bool, color: bool, runs: u64) -> Counter {
        Counter(show.then(|| {
            let bar = ProgressBar::with_draw_target(Some(runs), ProgressDrawTarget::stderr_with_hz(10));
            let ink = if color { ".cyan" } else { "" };
            // The template is a constant that indicatif accepts; without it the bar has its default look.
            let look = format!("            [{{bar:30{ink}}}] {{pos}} of {{len}}, {{eta}} left{{msg}}");
            if let Ok(style) = ProgressStyle::with_template(&look) {
                bar.set_style(style.progress_chars("━╸ "));
            }
            bar
        }))
    }

    /// Another run is over; so many have failed up to now.
    pub fn at(&self, failed: u64) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
            if failed > 0 {
                bar.set_message(format!(", {failed} failed"));
            }
        }
    }

    /// Takes the bar away.
    pub fn done(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
