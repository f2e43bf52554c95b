//! What a run recorded, read from its CSV file.
#![allow(dead_code, reason = "each test that has this needs some of it")]

/// Its columns, in SI.
pub struct Rows {
    pub names: Vec<String>,
    pub rows: Vec<Vec<f64>>,
}

impl Rows {
    /// The rows of a CSV file; truth values are 0 and 1.
    pub fn of_csv(text: &str) -> Rows {
        let mut lines = text.lines();
        // Elements of matrices have a comma in their names, in quotes.
        let mut quoted = false;
        let names = lines.next().unwrap().split(|c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        });
        let names = names.map(str::to_owned).collect();
        let value = |x: &str| match x {
            "true" => 1.0,
            "false" => 0.0,
            x => x.parse().unwrap_or(f64::NAN),
        };
        Rows { names, rows: lines.map(|l| l.split(',').map(value).collect()).collect() }
    }

    /// Times and values of a column.
    #[track_caller]
    pub fn of(&self, name: &str) -> Vec<(f64, f64)> {
        let k = self.names.iter().position(|n| n == name);
        let k = k.unwrap_or_else(|| panic!("no {name}: {:?}", self.names));
        self.rows.iter().map(|r| (r[0], r[k])).collect()
    }
}
