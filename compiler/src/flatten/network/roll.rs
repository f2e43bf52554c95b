//! From points back to loops: places that go on in equal steps become one family.

/// Places `start + k·stride` for every `k` of one or two loops.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Run {
    /// Where all indices are 0.
    pub start: Vec<i64>,
    /// By loop, outermost first: how many rounds, and how far each place moves in one.
    pub loops: Vec<(i64, Vec<i64>)>,
}

/// Few rounds are not worth a loop: single equations can be matched and ordered apart.
const FEWEST: i64 = 4;

/// The points in their order, as few runs; two neighbours that go on in equal steps are one.
pub(super) fn roll(points: &[Vec<i64>]) -> Vec<Run> {
    let lines = runs(points.iter().map(|p| Run { start: p.clone(), loops: Vec::new() }).collect());
    let mut out = Vec::new();
    // Lines of equal shape that go on in equal steps make a plane.
    let mut k = 0;
    while k < lines.len() {
        let alike = lines[k..].iter().take_while(|l| l.loops == lines[k].loops).count();
        let part = lines[k..k + alike].to_vec();
        out.extend(if lines[k].loops.is_empty() { part } else { runs(part) });
        k += alike;
    }
    out
}

/// Neighbours that go on in equal steps get one loop more.
fn runs(list: Vec<Run>) -> Vec<Run> {
    let mut out: Vec<Run> = Vec::new();
    let mut k = 0;
    while k < list.len() {
        let stride = match list.get(k + 1) {
            Some(next) => difference(&next.start, &list[k].start),
            None => Vec::new(),
        };
        let mut count = 1;
        while k + count < list.len()
            && difference(&list[k + count].start, &list[k + count - 1].start) == stride
        {
            count += 1;
        }
        if (count as i64) < FEWEST {
            out.push(list[k].clone());
            k += 1;
            continue;
        }
        let mut loops = vec![(count as i64, stride)];
        loops.extend(list[k].loops.iter().cloned());
        out.push(Run { start: list[k].start.clone(), loops });
        k += count;
    }
    out
}

fn difference(a: &[i64], b: &[i64]) -> Vec<i64> {
    a.iter().zip(b).map(|(x, y)| x - y).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_is_one_run() {
        let points: Vec<Vec<i64>> = (0..9).map(|k| vec![k, k + 1]).collect();
        assert_eq!(roll(&points), [Run { start: vec![0, 1], loops: vec![(9, vec![1, 1])] }]);
    }

    #[test]
    fn a_plane_is_one_run() {
        let points: Vec<Vec<i64>> =
            (0..5).flat_map(|i| (0..6).map(move |j| vec![10 * i + j, 10 * i + j + 1])).collect();
        let loops = vec![(5, vec![10, 10]), (6, vec![1, 1])];
        assert_eq!(roll(&points), [Run { start: vec![0, 1], loops }]);
    }

    #[test]
    fn what_goes_on_otherwise_stands_alone() {
        let points: Vec<Vec<i64>> = [7, 0, 2, 4, 6, 8, 3, 9].iter().map(|&k| vec![k]).collect();
        let single = |k: i64| Run { start: vec![k], loops: Vec::new() };
        let run = Run { start: vec![0], loops: vec![(5, vec![2])] };
        assert_eq!(roll(&points), [single(7), run, single(3), single(9)]);
    }
}
