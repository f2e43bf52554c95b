//! What became of one run, and its bytes in the files of a job that is under way.

use crate::monitor::Verdict;

/// How a run of a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// At its end.
    Complete,
    /// The model itself ended it: `stop`.
    Stopped,
    /// A range was left that says `else stop`.
    Range,
    /// It could not go on, or nothing could be drawn for it.
    Failed,
    /// Every verdict was decided, and nothing else was asked for.
    Decided,
}

impl Status {
    /// All, in the order of their numbers in files.
    pub const ALL: [Status; 5] =
        [Status::Complete, Status::Stopped, Status::Range, Status::Failed, Status::Decided];

    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Status::Complete => "complete",
            Status::Stopped => "stopped",
            Status::Range => "range",
            Status::Failed => "failed",
            Status::Decided => "decided",
        }
    }
}

/// Of one requirement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// The verdict; none: it is not judged.
    pub verdict: Option<Verdict>,
    /// Signed distance to violation in the requirement's unit; NaN where there is none.
    pub robustness: f64,
}

/// What became of one run.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Its index.
    pub run: u32,
    /// How it ended.
    pub status: Status,
    /// Code of the failure (`E0801`); empty where it did not fail.
    pub code: String,
    /// Why it failed.
    pub message: String,
    /// Simulated time reached, in seconds.
    pub time: f64,
    /// Draws that were repeated because they fell outside of their range.
    pub repeated: u32,
    /// What was drawn, in SI.
    pub drawn: Vec<f64>,
    /// Last values of what is recorded, in SI; NaN where there are none.
    pub last: Vec<f64>,
    /// Figures, in SI; NaN where they are not known.
    pub kpis: Vec<f64>,
    /// Of each requirement.
    pub judged: Vec<Judged>,
    /// Rows of what is traced over time, in SI, one after the other; empty where nothing is.
    pub trace: Vec<f64>,
}

impl Outcome {
    /// Appends its bytes.
    pub fn put(&self, out: &mut Vec<u8>) {
        out.extend(self.run.to_le_bytes());
        out.push(self.status as u8);
        for text in [&self.code, &self.message] {
            out.extend((text.len() as u32).to_le_bytes());
            out.extend(text.as_bytes());
        }
        out.extend(self.time.to_bits().to_le_bytes());
        out.extend(self.repeated.to_le_bytes());
        for list in [&self.drawn, &self.last, &self.kpis, &self.trace] {
            out.extend((list.len() as u32).to_le_bytes());
            list.iter().for_each(|x| out.extend(x.to_bits().to_le_bytes()));
        }
        out.extend((self.judged.len() as u32).to_le_bytes());
        for j in &self.judged {
            out.push(match j.verdict {
                None => 0,
                Some(Verdict::Holds) => 1,
                Some(Verdict::Violated) => 2,
                Some(Verdict::Inconclusive) => 3,
            });
            out.extend(j.robustness.to_bits().to_le_bytes());
        }
    }

    /// Reads one from the front of `bytes`, which is moved on; `None` where they are no outcome.
    #[must_use]
    pub fn get(bytes: &mut &[u8]) -> Option<Outcome> {
        let run = number(bytes)?;
        let status = *Status::ALL.get(usize::from(take::<1>(bytes)?[0]))?;
        let mut text = || -> Option<String> {
            let n = number(bytes)? as usize;
            let (own, rest) = bytes.split_at_checked(n)?;
            *bytes = rest;
            String::from_utf8(own.to_vec()).ok()
        };
        let (code, message) = (text()?, text()?);
        let time = real(bytes)?;
        let repeated = number(bytes)?;
        let mut list = || -> Option<Vec<f64>> {
            let n = number(bytes)? as usize;
            if bytes.len() < n.checked_mul(8)? {
                return None;
            }
            (0..n).map(|_| real(bytes)).collect()
        };
        let (drawn, last, kpis, trace) = (list()?, list()?, list()?, list()?);
        let n = number(bytes)? as usize;
        if bytes.len() < n.checked_mul(9)? {
            return None;
        }
        let mut judged = Vec::with_capacity(n);
        for _ in 0..n {
            let verdict = match take::<1>(bytes)?[0] {
                0 => None,
                1 => Some(Verdict::Holds),
                2 => Some(Verdict::Violated),
                3 => Some(Verdict::Inconclusive),
                _ => return None,
            };
            judged.push(Judged { verdict, robustness: real(bytes)? });
        }
        Some(Outcome { run, status, code, message, time, repeated, drawn, last, kpis, judged, trace })
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (own, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*own)
}

fn number(bytes: &mut &[u8]) -> Option<u32> {
    take::<4>(bytes).map(u32::from_le_bytes)
}

fn real(bytes: &mut &[u8]) -> Option<f64> {
    take::<8>(bytes).map(|b| f64::from_bits(u64::from_le_bytes(b)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_read_back() {
        let o = Outcome {
            run: 711,
            status: Status::Failed,
            code: "E0801".to_owned(),
            message: "größer".to_owned(),
            time: 1.5,
            repeated: 2,
            drawn: vec![1.0, -0.0, f64::INFINITY],
            last: vec![],
            kpis: vec![2.5],
            judged: vec![
                Judged { verdict: Some(Verdict::Holds), robustness: 0.25 },
                Judged { verdict: None, robustness: 1.0 },
            ],
            trace: vec![0.0, 1.0],
        };
        let mut bytes = Vec::new();
        o.put(&mut bytes);
        o.put(&mut bytes);
        let mut rest = &bytes[..];
        assert_eq!(Outcome::get(&mut rest), Some(o.clone()));
        assert_eq!(Outcome::get(&mut rest), Some(o));
        assert!(rest.is_empty());
        for cut in 0..bytes.len() / 2 {
            assert_eq!(Outcome::get(&mut &bytes[..cut]), None, "{cut} bytes");
        }
    }
}
