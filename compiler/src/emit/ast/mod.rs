//! The syntax tree as text: TwinML again, one entry a line, every operation in parentheses, units in
//! brackets. What is printed parses to the same tree; error nodes print as `<error>`.

mod behavior;
mod expr;
mod scenario;
mod twin;

use crate::ast::*;
use expr::{name, path, ty};

/// A whole module.
pub fn module(m: &Module) -> String {
    let mut p = Printer::default();
    if let Some(d) = &m.doc {
        p.doc(Some(d));
        p.out.push('\n');
    }
    for i in &m.items {
        p.item(i);
    }
    p.out
}

/// One expression, for messages and tests.
pub fn expression(e: &Expr) -> String {
    expr::expr(e)
}

#[derive(Default)]
struct Printer {
    out: String,
    level: usize,
}

impl Printer {
    fn line(&mut self, text: &str) {
        for _ in 0..self.level {
            self.out.push_str("  ");
        }
        self.out.push_str(text);
        self.out.push('\n');
    }

    fn doc(&mut self, doc: Option<&Text>) {
        if let Some(d) = doc {
            for l in d.split('\n') {
                self.line(&format!("/// {l}"));
            }
        }
    }

    /// `head { … }` with the entries that `f` prints.
    fn block(&mut self, head: &str, f: impl FnOnce(&mut Printer)) {
        self.line(&format!("{head} {{"));
        self.level += 1;
        f(self);
        self.level -= 1;
        self.line("}");
    }

    fn error(&mut self) {
        self.line("<error>");
    }

    fn item(&mut self, i: &Item) {
        match i {
            Item::Use(u) => {
                let source = match &u.source {
                    UseSource::Path(p) => path(p),
                    UseSource::File(f, _) => format!("\"{}\"", expr::escape(f)),
                };
                let alias = u.alias.as_ref().map_or(String::new(), |a| format!(" as {}", name(a)));
                let one = |n: &UseName| match &n.alias {
                    None => name(&n.name),
                    Some(a) => format!("{} as {}", name(&n.name), name(a)),
                };
                let names =
                    u.names.as_ref().map_or(String::new(), |n| format!(" {{ {} }}", expr::join(n, one)));
                self.line(&format!("use {source}{alias}{names}"));
            }
            Item::Type(t) => {
                self.doc(t.doc.as_ref());
                let unit = in_unit(t.unit.as_ref());
                let range = t.range.as_ref().map_or(String::new(), range);
                self.line(&format!("type {} = {}{unit}{range}", name(&t.name), ty(&t.ty)));
            }
            Item::Enum(e) => {
                self.doc(e.doc.as_ref());
                self.line(&format!("enum {} {{ {} }}", name(&e.name), expr::names(&e.variants)));
            }
            Item::Record(r) => {
                self.doc(r.doc.as_ref());
                self.block(&format!("record {}", name(&r.name)), |p| {
                    r.fields.iter().for_each(|d| p.decl(d, ""))
                });
            }
            Item::Connector(c) => {
                self.doc(c.doc.as_ref());
                self.block(&format!("connector {}", name(&c.name)), |p| {
                    for f in &c.fields {
                        let word = match f.kind {
                            None => "",
                            Some(ConnectorKind::Potential) => "potential ",
                            Some(ConnectorKind::Flow) => "flow ",
                            Some(ConnectorKind::Stream) => "stream ",
                        };
                        p.decl(&f.decl, word);
                    }
                });
            }
            Item::Dimension(d) => {
                self.doc(d.doc.as_ref());
                let value = d.value.as_ref().map_or(String::new(), |e| format!(" = {}", expr::expr(e)));
                self.line(&format!("dimension {}{value}", name(&d.name)));
            }
            Item::Unit(u) => {
                self.doc(u.doc.as_ref());
                let dim = u.dimension.as_ref().map_or(String::new(), |p| format!(": {}", path(p)));
                let value = u.value.as_ref().map_or(String::new(), |e| format!(" = {}", expr::expr(e)));
                self.line(&format!("unit {}{dim}{value}", name(&u.name)));
            }
            Item::Func(f) => self.func(f),
            Item::Twin(t) => self.twin(t),
            Item::Scenario(s) => self.scenario(s),
            Item::Error(_) => self.error(),
        }
    }

    fn decl(&mut self, d: &Decl, word: &str) {
        self.doc(d.doc.as_ref());
        let mut s = String::from(word);
        if d.is_final.is_some() {
            s.push_str("final ");
        }
        if d.is_outer.is_some() {
            s.push_str("outer ");
        }
        s.push_str(&name(&d.name));
        if let Some(t) = &d.ty {
            s.push_str(&format!(": {}", ty(t)));
        }
        s.push_str(&in_unit(d.unit.as_ref()));
        if let Some(e) = &d.value {
            s.push_str(&format!(" = {}", expr::expr(e)));
        }
        if let Some(e) = &d.dist {
            s.push_str(&format!(" ~ {}", expr::expr(e)));
        }
        if let Some(w) = &d.range {
            s.push_str(&range(w));
        }
        if let Some(e) = &d.guess {
            s.push_str(&format!(" guess {}", expr::expr(e)));
        }
        if let Some(e) = &d.cond {
            s.push_str(&format!(" if {}", expr::expr(e)));
        }
        self.line(&s);
    }

    fn setting(&mut self, s: &Setting) {
        self.doc(s.doc.as_ref());
        self.line(&format!("{}: {}", name(&s.name), expr::join(&s.values, expr::expr)));
    }

    fn overrides(&mut self, list: &[Override]) {
        for o in list {
            match o {
                Override::Set { target, value, vars, .. } => {
                    self.line(&format!("{} = {}{}", expr::expr(target), expr::expr(value), index_vars(vars)));
                }
                Override::Draw { target, value, dist, vars, .. } => {
                    let value = value.as_ref().map_or(String::new(), |v| format!(" = {}", expr::expr(v)));
                    let (t, d) = (expr::expr(target), expr::expr(dist));
                    self.line(&format!("{t}{value} ~ {d}{}", index_vars(vars)));
                }
                Override::Guess { target, value, .. } => {
                    self.line(&format!("{} guess {}", expr::expr(target), expr::expr(value)));
                }
                Override::Meta(s) => self.setting(s),
                Override::Error(_) => self.error(),
            }
        }
    }
}

fn index_vars(vars: &[Name]) -> String {
    match vars {
        [] => String::new(),
        [one] => format!(" for {}", name(one)),
        many => format!(" for ({})", expr::names(many)),
    }
}

fn in_unit(u: Option<&UnitExpr>) -> String {
    u.map_or(String::new(), |u| format!(" in [{}]", super::unit(u)))
}

fn range(w: &Where) -> String {
    let action = match w.action {
        WhereAction::Event => "",
        WhereAction::Stop => " else stop",
        WhereAction::Clamp => " else clamp",
    };
    format!(" where {}{action}", expr::expr(&w.cond))
}

fn attrs(list: &[Attr]) -> String {
    expr::join(list, |a| format!("{}: {}", name(&a.name), expr::expr(&a.value)))
}
