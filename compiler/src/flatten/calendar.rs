//! `hour_of_day` and `weekday`: the calendar of a scenario in a time zone.
//!
//! Zones are the ones below with the rules in force since 1996 (Europe, EU directive 94/21/EC), 2007 (United
//! States and Canada, Energy Policy Act 2005) and 2008 (south-eastern Australia), and fixed offsets.

use super::Flattener;
use super::consts::{Const, Mode};
use super::expr::bin;
use super::scope::{InstId, R, Scope};
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::flat::{BinOp, Expr, StepFn};
use crate::hir::{self, Builtin};
use crate::source::Span;
use twinml_model::ids::TableId;
use twinml_model::program::{Outside, Table, TableMethod};

const DAY: i64 = 86_400;

/// When a zone's clocks change.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Rule {
    /// Never.
    None,
    /// Last Sunday of March to last Sunday of October, 01:00 UTC.
    Europe,
    /// Second Sunday of March 02:00 standard time to first Sunday of November 02:00 summer time.
    America,
    /// First Sunday of October 02:00 standard time to first Sunday of April 03:00 summer time.
    Australia,
}

/// Names, minutes of standard time east of Greenwich, rule.
const ZONES: &[(&str, i64, Rule)] = &[
    ("UTC", 0, Rule::None),
    ("Etc/UTC", 0, Rule::None),
    ("GMT", 0, Rule::None),
    ("Atlantic/Reykjavik", 0, Rule::None),
    ("Europe/London", 0, Rule::Europe),
    ("Europe/Dublin", 0, Rule::Europe),
    ("Europe/Lisbon", 0, Rule::Europe),
    ("Europe/Amsterdam", 60, Rule::Europe),
    ("Europe/Belgrade", 60, Rule::Europe),
    ("Europe/Berlin", 60, Rule::Europe),
    ("Europe/Bratislava", 60, Rule::Europe),
    ("Europe/Brussels", 60, Rule::Europe),
    ("Europe/Budapest", 60, Rule::Europe),
    ("Europe/Copenhagen", 60, Rule::Europe),
    ("Europe/Ljubljana", 60, Rule::Europe),
    ("Europe/Luxembourg", 60, Rule::Europe),
    ("Europe/Madrid", 60, Rule::Europe),
    ("Europe/Oslo", 60, Rule::Europe),
    ("Europe/Paris", 60, Rule::Europe),
    ("Europe/Prague", 60, Rule::Europe),
    ("Europe/Rome", 60, Rule::Europe),
    ("Europe/Stockholm", 60, Rule::Europe),
    ("Europe/Vienna", 60, Rule::Europe),
    ("Europe/Warsaw", 60, Rule::Europe),
    ("Europe/Zagreb", 60, Rule::Europe),
    ("Europe/Zurich", 60, Rule::Europe),
    ("Europe/Athens", 120, Rule::Europe),
    ("Europe/Bucharest", 120, Rule::Europe),
    ("Europe/Helsinki", 120, Rule::Europe),
    ("Europe/Kyiv", 120, Rule::Europe),
    ("Europe/Riga", 120, Rule::Europe),
    ("Europe/Sofia", 120, Rule::Europe),
    ("Europe/Tallinn", 120, Rule::Europe),
    ("Europe/Vilnius", 120, Rule::Europe),
    ("Asia/Dubai", 240, Rule::None),
    ("Asia/Kolkata", 330, Rule::None),
    ("Asia/Shanghai", 480, Rule::None),
    ("Asia/Singapore", 480, Rule::None),
    ("Asia/Hong_Kong", 480, Rule::None),
    ("Asia/Tokyo", 540, Rule::None),
    ("Asia/Seoul", 540, Rule::None),
    ("Australia/Brisbane", 600, Rule::None),
    ("Australia/Melbourne", 600, Rule::Australia),
    ("Australia/Sydney", 600, Rule::Australia),
    ("America/Halifax", -240, Rule::America),
    ("America/New_York", -300, Rule::America),
    ("America/Toronto", -300, Rule::America),
    ("America/Chicago", -360, Rule::America),
    ("America/Denver", -420, Rule::America),
    ("America/Phoenix", -420, Rule::None),
    ("America/Los_Angeles", -480, Rule::America),
    ("America/Vancouver", -480, Rule::America),
    ("America/Sao_Paulo", -180, Rule::None),
];

/// Days since 1970-01-01 of a date of the Gregorian calendar (Howard Hinnant, `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y - era * 400;
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468
}

/// The year of a day.
fn year_of(day: i64) -> i64 {
    let z = day + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z - era * 146_097;
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    yoe + era * 400 + i64::from(doy >= 306)
}

/// 0 for Monday.
fn weekday(day: i64) -> i64 {
    (day + 3).rem_euclid(7)
}

/// The n-th Sunday of a month, from 1.
fn sunday(year: i64, month: i64, n: i64) -> i64 {
    let first = days(year, month, 1);
    first + (6 - weekday(first)) + 7 * (n - 1)
}

/// The last Sunday of a month of 31 days.
fn last_sunday(year: i64, month: i64) -> i64 {
    let last = days(year, month, 31);
    last - (weekday(last) + 1) % 7
}

/// Changes of a zone's clock in a year: (instant in seconds since 1970 UTC, offset from then on).
fn changes(rule: Rule, standard: i64, year: i64) -> Vec<(i64, i64)> {
    let summer = standard + 3600;
    match rule {
        Rule::None => Vec::new(),
        Rule::Europe => {
            vec![(last_sunday(year, 3) * DAY + 3600, summer), (last_sunday(year, 10) * DAY + 3600, standard)]
        }
        Rule::America => vec![
            (sunday(year, 3, 2) * DAY + 7200 - standard, summer),
            (sunday(year, 11, 1) * DAY + 7200 - summer, standard),
        ],
        Rule::Australia => vec![
            (sunday(year, 4, 1) * DAY + 10_800 - summer, standard),
            (sunday(year, 10, 1) * DAY + 7200 - standard, summer),
        ],
    }
}

/// First year in which a rule holds.
fn since(rule: Rule) -> i64 {
    match rule {
        Rule::None => i64::MIN,
        Rule::Europe => 1996,
        Rule::America => 2007,
        Rule::Australia => 2008,
    }
}

/// A zone's name: of the table, or `+01:00`.
fn zone(name: &str) -> Option<(i64, Rule)> {
    if let Some((_, minutes, rule)) = ZONES.iter().find(|z| z.0 == name) {
        return Some((minutes * 60, *rule));
    }
    let (sign, rest) = match name.strip_prefix('-') {
        Some(r) => (-1, r),
        None => (1, name.strip_prefix('+')?),
    };
    let (h, m) = rest.split_once(':').unwrap_or((rest, "00"));
    let (h, m): (i64, i64) = (h.parse().ok()?, m.parse().ok()?);
    (h <= 14 && (0..60).contains(&m)).then_some((sign * (h * 3600 + m * 60), Rule::None))
}

impl<'a> Flattener<'a> {
    pub(super) fn calendar_call(
        &mut self,
        f: Builtin,
        args: &'a [hir::Expr],
        scope: &Scope<'a>,
        span: Span,
    ) -> R<Expr> {
        let Some((start_ns, own_offset)) = self.scenario().and_then(|s| s.calendar) else {
            let d = Diagnostic::new(codes::NO_CALENDAR, span, "the calendar's date is not known")
                .help("give the scenario a date: `calendar: 2026-01-05T00:00+01:00`");
            return Err(self.fail(d));
        };
        let start = i64::try_from(start_ns.div_euclid(1_000_000_000)).unwrap_or(i64::MAX / 4);
        let fraction = start_ns.rem_euclid(1_000_000_000) as f64 * 1e-9;
        let (standard, rule) = match args.first() {
            None => (i64::from(own_offset), Rule::None),
            Some(a) => match self.constant_of(a, scope, &[], Mode::Structural)? {
                Const::Str(name) => match zone(&name) {
                    Some(z) => z,
                    None => {
                        let mut d = Diagnostic::new(codes::UNKNOWN_ZONE, a.span, format!("the time zone `{name}` is not known"))
                            .note("known are the main zones of Europe, America, Asia and Australia, and fixed offsets such as `+01:00`");
                        if let Some(help) = did_you_mean(&name, ZONES.iter().map(|z| z.0)) {
                            d = d.help(help);
                        }
                        return Err(self.fail(d));
                    }
                },
                _ => return Err(self.internal(a.span, "a time zone that is no text")),
            },
        };
        let horizon = self.horizon();
        let first_year = year_of(start.div_euclid(DAY));
        if first_year < since(rule) {
            let d = Diagnostic::new(
                codes::UNKNOWN_ZONE,
                span,
                format!("the rules of this time zone are known from {} on", since(rule)),
            );
            return Err(self.fail(d));
        }
        let mut offset = standard;
        let mut steps: Vec<(f64, i64)> = Vec::new();
        let last_year = year_of(start.saturating_add(horizon as i64).div_euclid(DAY)) + 1;
        for year in first_year - 1..=last_year {
            for (at, to) in changes(rule, standard, year) {
                let after = (at - start) as f64 - fraction;
                if after <= 0.0 {
                    offset = to;
                } else if after <= horizon {
                    steps.push((after, to));
                }
            }
        }
        // Seconds since the local midnight before the start.
        let local = start + offset;
        let midnight = local.div_euclid(DAY);
        let mut clock = bin(BinOp::Add, Expr::Time, Expr::Num((local - midnight * DAY) as f64 + fraction));
        if !steps.is_empty() {
            let table = self.clock_table(offset, &steps);
            clock = bin(BinOp::Add, clock, Expr::Table(table, Box::new(Expr::Time)));
        }
        let day =
            Expr::Step(StepFn::Floor, Box::new(bin(BinOp::Div, clock.clone(), Expr::Num(DAY as f64))), span);
        if f == Builtin::HourOfDay {
            return Ok(bin(BinOp::Sub, clock, bin(BinOp::Mul, Expr::Num(DAY as f64), day)));
        }
        let day = bin(BinOp::Add, day, Expr::Num(weekday(midnight) as f64));
        let week = Expr::Step(StepFn::Floor, Box::new(bin(BinOp::Div, day.clone(), Expr::Num(7.0))), span);
        Ok(bin(BinOp::Sub, day, bin(BinOp::Mul, Expr::Num(7.0), week)))
    }

    /// Seconds by which the local clock is ahead of where it would be without changes.
    fn clock_table(&mut self, first: i64, steps: &[(f64, i64)]) -> TableId {
        let mut x = vec![0.0];
        let mut y = vec![0.0];
        for (at, to) in steps {
            x.push(*at);
            y.push((to - first) as f64);
        }
        let table = Table {
            name: String::from("clock changes"),
            x,
            y,
            method: TableMethod::Step,
            outside: Outside::Hold,
            of_time: true,
        };
        if let Some(k) = self.system.tables.iter().position(|t| *t == table) {
            return TableId::new(k);
        }
        self.system.tables.push(table);
        TableId::new(self.system.tables.len() - 1)
    }

    /// How far the clock must be known, in seconds: the duration, else 50 years.
    fn horizon(&mut self) -> f64 {
        const LONG: f64 = 50.0 * 365.25 * 86_400.0;
        let Some(e) = self.scenario().and_then(|s| s.duration.as_ref()) else { return LONG };
        let scope =
            Scope { inst: InstId(0), at: std::rc::Rc::new([]), locals: super::scope::Locals::default() };
        match self.real(e, &scope) {
            Ok(d) if d.is_finite() && d >= 0.0 => d.min(LONG),
            _ => LONG,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn dates_and_clock_changes() {
        assert_eq!(days(1970, 1, 1), 0);
        assert_eq!(days(2000, 3, 1), 11_017);
        assert_eq!(weekday(days(2026, 1, 5)), 0);
        for y in [1970, 1999, 2000, 2024, 2026, 2100] {
            assert_eq!(year_of(days(y, 1, 1)), y);
            assert_eq!(year_of(days(y, 12, 31)), y);
            assert_eq!(year_of(days(y, 2, 28)), y);
        }
        // 2026: 29 March and 25 October in Europe, 8 March and 1 November in America, 5 April and 4 October.
        assert_eq!(
            changes(Rule::Europe, 3600, 2026),
            vec![(days(2026, 3, 29) * DAY + 3600, 7200), (days(2026, 10, 25) * DAY + 3600, 3600)]
        );
        assert_eq!(
            changes(Rule::America, -18_000, 2026),
            vec![(days(2026, 3, 8) * DAY + 25_200, -14_400), (days(2026, 11, 1) * DAY + 21_600, -18_000)]
        );
        assert_eq!(changes(Rule::Australia, 36_000, 2026)[0], (days(2026, 4, 4) * DAY + 57_600, 36_000));
        assert_eq!(last_sunday(2024, 3), days(2024, 3, 31));
        assert_eq!(zone("+05:30"), Some((19_800, Rule::None)));
        assert_eq!(zone("Europe/Berlin"), Some((3600, Rule::Europe)));
        assert_eq!(zone("Mars/Base"), None);
    }
}
