//! Where two runs took different ways: events of one only, at different instants, or with another outcome.

use std::collections::BTreeMap;

/// An event of a run's log.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Seconds.
    pub time: f64,
    /// The quantity or the instance.
    pub path: String,
    /// The comparison, the action or the handler, or the name of what was emitted.
    pub event: String,
    /// What kind of row it is.
    pub kind: String,
    /// The value afterwards; NaN where there is none.
    pub post: f64,
}

/// What differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Only the first run has it.
    OnlyA,
    /// Only the second has it.
    OnlyB,
    /// Both have it, at different instants.
    Moved,
    /// Both have it at one instant, with different values.
    Value,
}

impl What {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            What::OnlyA => "only_a",
            What::OnlyB => "only_b",
            What::Moved => "moved",
            What::Value => "value",
        }
    }
}

/// A point at which the runs part.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// What differs.
    pub what: What,
    /// Of which kind of event, of which quantity or instance.
    pub kind: String,
    /// The quantity or the instance.
    pub path: String,
    /// The event.
    pub event: String,
    /// Its instant in the first run, and the value there.
    pub a: Option<(f64, f64)>,
    /// Its instant in the second run, and the value there.
    pub b: Option<(f64, f64)>,
}

impl Decision {
    /// Its first instant in either run.
    pub fn time(&self) -> f64 {
        let of = |side: Option<(f64, f64)>| side.map_or(f64::INFINITY, |(t, _)| t);
        of(self.a).min(of(self.b))
    }
}

/// What differs between two logs, each in the order of time; in the order of time.
///
/// Events of one kind, path and name are the same event where they happen at the same instant. Those that are left pair
/// up in their order; what then has no partner is in one run only.
pub fn decisions(a: &[Event], b: &[Event]) -> Vec<Decision> {
    type Key<'k> = (&'k str, &'k str, &'k str);
    type Lists = (Vec<(f64, f64)>, Vec<(f64, f64)>);
    let mut lists: BTreeMap<Key<'_>, Lists> = BTreeMap::new();
    for e in a {
        lists.entry((&e.kind, &e.path, &e.event)).or_default().0.push((e.time, e.post));
    }
    for e in b {
        lists.entry((&e.kind, &e.path, &e.event)).or_default().1.push((e.time, e.post));
    }
    let mut out = Vec::new();
    for ((kind, path, event), (a, b)) in lists {
        let mut say = |what: What, a: Option<(f64, f64)>, b: Option<(f64, f64)>| {
            out.push(Decision { what, kind: kind.into(), path: path.into(), event: event.into(), a, b });
        };
        let (mut rest_a, mut rest_b) = (Vec::new(), Vec::new());
        let (mut i, mut j) = (0, 0);
        while i < a.len() || j < b.len() {
            match (a.get(i), b.get(j)) {
                (Some(x), Some(y)) if x.0 == y.0 => {
                    if x.1.to_bits() != y.1.to_bits() && !(x.1.is_nan() && y.1.is_nan()) && x.1 != y.1 {
                        say(What::Value, Some(*x), Some(*y));
                    }
                    (i, j) = (i + 1, j + 1);
                }
                (Some(x), Some(y)) if x.0 < y.0 => {
                    rest_a.push(*x);
                    i += 1;
                }
                (Some(x), None) => {
                    rest_a.push(*x);
                    i += 1;
                }
                (_, Some(y)) => {
                    rest_b.push(*y);
                    j += 1;
                }
                (None, None) => break,
            }
        }
        let both = rest_a.len().min(rest_b.len());
        for (x, y) in rest_a.iter().zip(&rest_b) {
            say(What::Moved, Some(*x), Some(*y));
        }
        rest_a[both..].iter().for_each(|x| say(What::OnlyA, Some(*x), None));
        rest_b[both..].iter().for_each(|y| say(What::OnlyB, None, Some(*y)));
    }
    // Stable: what happens at one instant stays in the order of its names.
    out.sort_by(|x, y| x.time().total_cmp(&y.time()));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(time: f64, path: &str, post: f64) -> Event {
        Event { time, path: path.into(), event: "h > 1 m".into(), kind: "crossing".into(), post }
    }

    #[test]
    fn events_of_one_only_moved_and_with_another_outcome() {
        let a = [event(1.0, "x", 1.0), event(2.0, "x", 0.0), event(3.0, "y", 1.0), event(5.0, "z", 1.0)];
        let b = [event(1.0, "x", 1.0), event(2.5, "x", 0.0), event(3.0, "y", 0.0), event(6.0, "w", f64::NAN)];
        let said: Vec<(What, &str, f64)> = decisions(&a, &b)
            .iter()
            .map(|d| (d.what, if d.path == "x" { "x" } else { "-" }, d.time()))
            .collect();
        let wanted = [
            (What::Moved, "x", 2.0),
            (What::Value, "-", 3.0),
            (What::OnlyA, "-", 5.0),
            (What::OnlyB, "-", 6.0),
        ];
        assert_eq!(said, wanted);
        assert_eq!(decisions(&a, &a), []);
    }

    #[test]
    fn one_more_event_does_not_move_the_others() {
        let a: Vec<Event> = (0..10).map(|k| event(f64::from(k), "x", 1.0)).collect();
        let mut b = a.clone();
        b.insert(4, event(3.5, "x", 1.0));
        let found = decisions(&a, &b);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].what, found[0].time()), (What::OnlyB, 3.5));
    }
}
