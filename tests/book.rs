//! The language book: every block marked `twinml` compiles without an error, every block marked
//! `twinml,run` runs.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::path::Path;
use std::process::Command;

/// What the book shows of the command line is what it prints.
#[test]
fn what_the_book_shows_is_printed() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/book/16-requirements.md");
    let text = std::fs::read_to_string(page).unwrap();
    let work = tempfile::tempdir().unwrap();
    let block = |after: &str| {
        let (_, rest) = text.split_once(after).unwrap();
        rest.split_once("\n```").unwrap().0.to_owned()
    };
    std::fs::write(work.path().join("tank.twinml"), block("```twinml\n") + "\n").unwrap();
    let twinc = |args: &[&str]| {
        let out =
            Command::new(env!("CARGO_BIN_EXE_twinc")).current_dir(work.path()).args(args).output().unwrap();
        String::from_utf8(out.stdout).unwrap()
    };
    twinc(&["run", "tank.twinml", "--no-plot", "--out", "out"]);
    let mut shown = 0;
    for part in text.split("```console\n").skip(1) {
        for one in part.split_once("\n```").unwrap().0.split("$ twinc ").skip(1) {
            let (line, output) = one.split_once('\n').unwrap();
            // A formula stands between quotes.
            let words: Vec<&str> = match line.split_once(" '").zip(line.split_once("' ")) {
                Some(((first, _), (_, rest))) => {
                    let formula = line.split('\'').nth(1).unwrap();
                    [first, formula].into_iter().chain(rest.split(' ')).collect()
                }
                None => line.split(' ').collect(),
            };
            assert_eq!(twinc(&words).trim_end(), output.trim_end(), "{line}");
            shown += 1;
        }
    }
    assert_eq!(shown, 3);
}

#[test]
fn every_block_of_the_book_and_the_readme_compiles() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let work = tempfile::tempdir().unwrap();
    let book = std::fs::read_dir(root.join("docs/book")).unwrap().map(|f| f.unwrap().path());
    let mut pages: Vec<_> = book.chain([root.join("README.md")]).collect();
    pages.sort();
    let (mut blocks, mut failures) = (0, Vec::new());
    for page in pages.iter().filter(|p| p.extension().is_some_and(|e| e == "md")) {
        let text = std::fs::read_to_string(page).unwrap();
        let name = page.file_stem().unwrap().to_string_lossy().into_owned();
        for (k, part) in text.split("```twinml").skip(1).enumerate() {
            let (info, rest) = part.split_once('\n').unwrap();
            let (body, _) = rest.split_once("\n```").expect("a closed block");
            let file = work.path().join(format!("{name}_{k}.twinml"));
            std::fs::write(&file, format!("{body}\n")).unwrap();
            blocks += 1;
            let runs = info.contains("run");
            let mut command = Command::new(env!("CARGO_BIN_EXE_twinc"));
            command.args([if runs { "run" } else { "check" }, "--color", "never"]).arg(&file);
            if runs {
                command.arg("--out").arg(work.path().join(format!("{name}_{k}.csv")));
            }
            let output = command.output().unwrap();
            // A block may show a requirement that is violated or stays open.
            let fine: &[i32] = if runs { &[0, 1, 4] } else { &[0] };
            if !output.status.code().is_some_and(|code| fine.contains(&code)) {
                failures.push(format!("{name}, block {k}:\n{}", String::from_utf8_lossy(&output.stderr)));
            }
        }
    }
    assert!(blocks >= 15, "{blocks} blocks");
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}
