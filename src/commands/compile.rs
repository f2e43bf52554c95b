//! What `check` and `run` share: a session, its intermediate forms, its diagnostics.

use std::io::ErrorKind;
use std::path::Path;

use twinml_compiler::driver::{Compiled, Session};
use twinml_compiler::lexer;
use twinml_compiler::{emit, flat};
use twinml_model::passes::{self, Level};

use crate::args::{Compile, Emit};
use crate::exit::Exit;
use crate::model::{self, Place, Unread};
use crate::ui::Ui;
use crate::world;

/// Parses and checks a file.
///
/// # Errors
///
/// The exit code, after saying why.
pub fn open(path: &Path, ui: &Ui) -> Result<Session, Exit> {
    open_in(&Place::Disk, path, ui)
}

/// [`open`], from wherever the files are.
///
/// # Errors
///
/// As [`open`].
pub fn open_in(place: &Place, path: &Path, ui: &Ui) -> Result<Session, Exit> {
    model::open(place, path).map_err(|e| {
        let name = world::shown(path);
        match e {
            Unread::Io(e) if e.kind() == ErrorKind::NotFound => {
                ui.error(&format!("there is no file `{name}`"), None);
                Exit::Outside
            }
            Unread::Io(e) if e.kind() == ErrorKind::IsADirectory => {
                let models = world::files(path, "twinml").unwrap_or_default();
                let help = match models.first() {
                    Some(model) => format!("name a model in it, such as `{}`", world::shown(model)),
                    None => "name the file of a model".to_owned(),
                };
                ui.error(&format!("`{name}` is a folder"), Some(&help));
                Exit::Outside
            }
            Unread::Io(e) => {
                ui.error(&format!("could not read `{name}`: {e}"), None);
                Exit::Outside
            }
            Unread::NotText(at) => {
                let result = path.extension().is_some_and(|e| e == "parquet" || e == "arrow");
                let help = result.then(|| format!("it is a result, which `twinc plot {name}` draws"));
                ui.error(
                    &format!("`{name}` is not UTF-8 text: byte {at} is no part of a character"),
                    Some(help.as_deref().unwrap_or("a model is a text, by custom `NAME.twinml`")),
                );
                Exit::Usage
            }
        }
    })
}

/// Prints the forms that come before flattening; true if that was all that was asked.
pub fn emit_early(session: &Session, args: &Compile, ui: &Ui) -> bool {
    let text = match args.emit {
        Some(Emit::Tokens) => {
            let Some(file) = session.sources.get(session.root) else { return true };
            // The session has said already what is wrong.
            let mut unheard = twinml_compiler::diag::Diagnostics::new();
            emit::tokens(&lexer::lex(session.root, &file.text, &mut unheard).tokens)
        }
        Some(Emit::Ast) => session.tree().map(emit::ast::module).unwrap_or_default(),
        Some(Emit::Hir) => emit::hir::model(session.model()),
        _ => return false,
    };
    ui.form(form_name(args.emit), &text);
    true
}

/// Prints the forms of a compiled program; true if that was all that was asked.
pub fn emit_late(compiled: &Compiled, args: &Compile, ui: &Ui) -> bool {
    let text = match args.emit {
        Some(Emit::Flat) => {
            let flat = |s| flat::print::print(s, flat::print::Options::default());
            compiled.system.as_ref().map(flat).unwrap_or_default()
        }
        Some(Emit::Ir) => {
            let mut program = compiled.program.clone();
            passes::prepare(&mut program, Level::O2, true);
            twinml_model::text::program_text(&program)
        }
        Some(Emit::Clif | Emit::Asm) => {
            let Ok(isa) = super::doctor::isa(ui) else { return true };
            let mut program = compiled.program.clone();
            passes::prepare(&mut program, Level::O2, true);
            let text = twinml_engine::run::machine_text(program, 2, args.emit == Some(Emit::Clif), isa);
            let Some(text) = text else {
                ui.error(
                    "there is no code generator for this processor; kernels run in the interpreter",
                    None,
                );
                return true;
            };
            text
        }
        _ => return false,
    };
    ui.form(form_name(args.emit), &text);
    true
}

fn form_name(emit: Option<Emit>) -> &'static str {
    match emit {
        Some(Emit::Tokens) => "tokens",
        Some(Emit::Ast) => "ast",
        Some(Emit::Hir) => "hir",
        Some(Emit::Flat) => "flat",
        Some(Emit::Ir) => "ir",
        Some(Emit::Clif) => "clif",
        Some(Emit::Asm) => "asm",
        None => "",
    }
}
