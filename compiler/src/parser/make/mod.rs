//! Actions of the grammar: they build nodes and check what the grammar leaves open.

use crate::ast::*;
use crate::diag::{Code, Diagnostic, codes};
use crate::source::{FileId, Span};

mod behavior;
mod decl;
mod expr;
mod sections;
mod twin;

pub use behavior::*;
pub use decl::*;
pub use expr::*;
pub use sections::*;
pub use twin::*;

/// What the actions of one parse share.
#[derive(Debug)]
pub struct Cx<'a> {
    file: FileId,
    docs: &'a [(u32, Text)],
    /// Messages of this parse; dropped where it fails and is tried again.
    diags: Vec<Diagnostic>,
    deep: bool,
    /// `(a, b)` that no arrow follows so far.
    tuples: Vec<Span>,
}

impl<'a> Cx<'a> {
    /// For one parse of a piece of `file`.
    pub fn new(file: FileId, docs: &'a [(u32, Text)]) -> Cx<'a> {
        Cx { file, docs, diags: Vec::new(), deep: false, tuples: Vec::new() }
    }

    /// The messages of a parse that succeeded.
    pub fn finish(mut self) -> Vec<Diagnostic> {
        for span in std::mem::take(&mut self.tuples) {
            let help = "an array stands in `[…]`, a record has a name: `Job(id: 1)`";
            self.error(codes::UNEXPECTED, span, "there are no tuples", help);
        }
        self.diags
    }

    /// The place of bytes `l..r`.
    pub fn span(&self, l: u32, r: u32) -> Span {
        Span::new(self.file, l, r.max(l))
    }

    /// The doc comment before the token at byte `l`.
    pub fn doc(&self, l: u32) -> Option<Text> {
        let i = self.docs.binary_search_by_key(&l, |(at, _)| *at).ok()?;
        Some(self.docs[i].1.clone())
    }

    /// An expression; one that is too deep is reported once and becomes an error node.
    pub fn expr(&mut self, kind: ExprKind, l: u32, r: u32) -> Expr {
        let span = self.span(l, r);
        let e = Expr::new(kind, span);
        if !e.too_deep() {
            return e;
        }
        if !self.deep {
            self.deep = true;
            let text = format!("this expression is nested more than {MAX_DEPTH} levels deep");
            self.diags.push(
                Diagnostic::new(codes::TOO_DEEP, span, text)
                    .help("give names to its parts, or write a long sum as `sum(x[i] for i in 0..n)`"),
            );
        }
        Expr::error(span)
    }

    /// A type; one that is too deep is reported once and becomes an error node.
    pub fn ty(&mut self, kind: TypeKind, l: u32, r: u32) -> TypeExpr {
        let t = TypeExpr { kind, span: self.span(l, r) };
        if type_fits(&t, MAX_TYPE_DEPTH) {
            return t;
        }
        if !self.deep {
            self.deep = true;
            let text = format!("this type is nested more than {MAX_TYPE_DEPTH} levels deep");
            self.diags.push(Diagnostic::new(codes::TOO_DEEP, t.span, text));
        }
        TypeExpr { kind: TypeKind::Error, span: t.span }
    }

    /// A statement.
    pub fn stmt(&mut self, kind: StmtKind, l: u32, r: u32) -> Stmt {
        Stmt { kind, span: self.span(l, r) }
    }

    fn error(&mut self, code: Code, span: Span, text: impl Into<String>, help: &str) {
        let d = Diagnostic::new(code, span, text);
        self.diags.push(if help.is_empty() { d } else { d.help(help) });
    }
}

const MAX_TYPE_DEPTH: u32 = 32;

/// Whether a type has at most `levels` levels.
fn type_fits(t: &TypeExpr, levels: u32) -> bool {
    let Some(left) = levels.checked_sub(1) else { return false };
    match &t.kind {
        TypeKind::Real { .. } | TypeKind::Error => true,
        TypeKind::Named { args, .. } => args.iter().all(|a| match &a.value {
            GenericValue::Type(t) => type_fits(t, left),
            GenericValue::Expr(_) => true,
        }),
        TypeKind::Array { elem, .. } | TypeKind::Optional(elem) => type_fits(elem, left),
        TypeKind::Of { shape, elem } => type_fits(shape, left) && type_fits(elem, left),
    }
}

/// Lists of lists, in order.
pub fn flat<T>(lists: Vec<Vec<T>>) -> Vec<T> {
    lists.into_iter().flatten().collect()
}

fn modifiers(cx: &mut Cx<'_>, mods: Vec<Modifier>) -> (Option<Span>, Option<Span>) {
    let (mut is_final, mut is_outer) = (None, None);
    for m in mods {
        let (slot, span, word) = match m {
            Modifier::Final(s) => (&mut is_final, s, "final"),
            Modifier::Outer(s) => (&mut is_outer, s, "outer"),
        };
        if slot.replace(span).is_some() {
            cx.error(codes::BAD_CLAUSE, span, format!("`{word}` stands twice"), "");
        }
    }
    (is_final, is_outer)
}

/// Puts a clause into its slot; a second one of its kind is an error.
fn fill<T>(cx: &mut Cx<'_>, slot: &mut Option<T>, value: T, span: Span, what: &str) {
    if slot.replace(value).is_some() {
        cx.error(codes::BAD_CLAUSE, span, format!("this has two {what}"), "keep one of them");
    }
}

fn is_place(e: &Expr) -> bool {
    match &e.kind {
        ExprKind::Name(_) | ExprKind::Error => true,
        ExprKind::Field { base, .. } | ExprKind::Index { base, .. } => is_place(base),
        _ => false,
    }
}

/// Reports a left side or an end that is no path.
fn want_place(cx: &mut Cx<'_>, e: &Expr, what: &str, help: &str) {
    if !is_place(e) {
        cx.error(codes::BAD_LEFT_SIDE, e.span, what, help);
    }
}

/// The elements of a list whose elements travelled boxed.
pub fn unboxed<T>(list: Vec<Box<T>>) -> Vec<T> {
    list.into_iter().map(|x| *x).collect()
}
