//! Connections: signals, events and ports.

use std::rc::Rc;

use super::assign::Target;
use super::class::{Member, section_word};
use super::expr::Opened;
use super::place::{MemberPlace, Place, member_axes};
use super::ty::{shapes_fit, show_shape};
use super::{Checker, Cx, Mode};
use crate::ast::{self, ExprKind as A, LinkKind};
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::{self, ClassId, Connection, Ref, Section};
use crate::source::Span;

/// An end of a connection.
enum End<'a> {
    Place(Place<'a>),
    Event,
}

impl<'a> Checker<'a, '_> {
    pub(super) fn connections(&mut self, id: ClassId, class: &mut hir::Class, list: &'a [ast::Connection]) {
        let mut cx = self.class_cx(id, Mode::Equation);
        for c in list {
            if let Some(c) = self.connection(&mut cx, c) {
                class.connections.push(c);
            }
        }
    }

    fn connection(&mut self, cx: &mut Cx<'a>, c: &'a ast::Connection) -> Option<Connection> {
        match c {
            ast::Connection::Error(_) => None,
            ast::Connection::Link { kind, from, to, attrs, span, .. } => {
                for a in attrs {
                    self.expr(cx, &a.value);
                }
                match kind {
                    LinkKind::Causal => self.causal(cx, from, to, *span),
                    LinkKind::Acausal => self.acausal(cx, from, to, *span),
                }
            }
            ast::Connection::For { vars, iter, cond, body, span } => {
                let depth = cx.locals.len();
                let opened = self.open_loop(cx, vars, iter);
                let filter = match (&opened, cond) {
                    (Some(_), Some(c)) => Some(self.condition(cx, c)),
                    _ => None,
                };
                let out = match opened {
                    Some(Opened::Range(range, _)) => {
                        let mut inner: Vec<Connection> =
                            body.iter().filter_map(|b| self.connection(cx, b)).collect();
                        if let Some(f) = filter {
                            inner = vec![Connection::If { cond: f?.e, body: inner }];
                        }
                        Some(Connection::For { range, body: inner })
                    }
                    Some(Opened::Each(..) | Opened::Twins(..)) => {
                        self.misplaced(
                            *span,
                            "a loop over a collection",
                            "connections loop over ranges and arrays",
                        );
                        None
                    }
                    None => None,
                };
                cx.locals.truncate(depth);
                out
            }
            ast::Connection::If { arms, otherwise, span } => {
                // `if a {…} else if b {…} else {…}`: each branch with the conditions before it negated.
                let mut before: Option<hir::Expr> = None;
                let mut out = Vec::new();
                for (c, body) in arms {
                    let cond = self.condition(cx, c)?.e;
                    let inner: Vec<Connection> = body.iter().filter_map(|b| self.connection(cx, b)).collect();
                    let here = conjunction(before.as_ref().map(negated), cond.clone(), *span);
                    out.push(Connection::If { cond: here, body: inner });
                    before = Some(match before {
                        None => cond,
                        Some(b) => join(hir::BinOp::Or, b, cond, *span),
                    });
                }
                if let (Some(list), Some(b)) = (otherwise, &before) {
                    let inner: Vec<Connection> = list.iter().filter_map(|b| self.connection(cx, b)).collect();
                    out.push(Connection::If { cond: negated(b), body: inner });
                }
                if out.len() == 1 {
                    out.pop()
                } else {
                    Some(Connection::If { cond: truth(*span), body: out })
                }
            }
        }
    }

    /// What an end is; names that are no members may be events.
    fn end(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<End<'a>> {
        if let A::Field { base, name } = &e.kind {
            // `boiler.violated.below_limit`, `boiler.stale.T`
            if let A::Field { name: kind, base: owner } = &base.kind
                && matches!(kind.as_str(), "violated" | "stale" | "failed")
                && let Some(c) = self.class_of(cx, owner)
                && !self.class(c).members.contains_key(kind.as_str())
            {
                let known: Vec<String> = match kind.as_str() {
                    "violated" => self.class(c).requirements.keys().map(ToString::to_string).collect(),
                    _ => self.member_names(c),
                };
                if !known.iter().any(|k| k == name.as_str()) {
                    let message = format!(
                        "`{}` has no `{}` to be {}",
                        self.class(c).name,
                        name.as_str(),
                        kind.as_str()
                    );
                    let mut d = Diagnostic::new(codes::UNKNOWN_EVENT, name.span, message);
                    d.help = did_you_mean(name.as_str(), known.iter().map(String::as_str));
                    self.say_missing(name.as_str(), d);
                    return None;
                }
                return Some(End::Event);
            }
            if let Some(c) = self.class_of(cx, base)
                && !self.class(c).members.contains_key(name.as_str())
            {
                if self.class(c).events.contains(name.as_str()) {
                    return Some(End::Event);
                }
                let mut known = self.member_names(c);
                known.extend(self.class(c).events.iter().map(ToString::to_string));
                let message =
                    format!("`{}` has no member and no event `{}`", self.class(c).name, name.as_str());
                let mut d = Diagnostic::new(codes::UNKNOWN_MEMBER, name.span, message);
                d.help = did_you_mean(name.as_str(), known.iter().map(String::as_str));
                self.say_missing_member(c, name.as_str(), d);
                return None;
            }
        }
        if let A::Name(n) = &e.kind
            && let Some(c) = cx.class
            && !self.own_name(cx, n.as_str())
            && self.class(c).events.contains(n.as_str())
        {
            return Some(End::Event);
        }
        self.place(cx, e).map(End::Place)
    }

    /// The class of the part that an expression names, without messages about anything else.
    fn class_of(&mut self, cx: &mut Cx<'a>, e: &'a ast::Expr) -> Option<ClassId> {
        let mut names = Vec::new();
        let mut at = e;
        loop {
            match &at.kind {
                A::Name(n) => {
                    names.push(n.as_str());
                    break;
                }
                A::Field { base, name } => {
                    names.push(name.as_str());
                    at = base;
                }
                A::Index { base, .. } => at = base,
                _ => return None,
            }
        }
        let mut class = cx.class?;
        while let Some(n) = names.pop() {
            if !self.class(class).members.contains_key(n) {
                return None;
            }
            match self.member(class, n)? {
                Member::Part { class: c, .. } => class = c,
                _ => return None,
            }
        }
        Some(class)
    }

    fn causal(
        &mut self,
        cx: &mut Cx<'a>,
        from: &'a ast::Expr,
        to: &'a ast::Expr,
        span: Span,
    ) -> Option<Connection> {
        let target = self.end(cx, to);
        let source = match &from.kind {
            A::Name(_) | A::Field { .. } | A::Index { .. } => self.end(cx, from),
            _ => self.expr(cx, from).map(|v| End::Place(Place::Value(v))),
        };
        match (source?, target?) {
            (End::Event, End::Event) => {
                let (from, to) = (self.event_ref(cx, from)?, self.event_ref(cx, to)?);
                Some(Connection::Event { from, to, span })
            }
            (End::Event, End::Place(_)) | (End::Place(_), End::Event) => {
                let d = Diagnostic::new(codes::BAD_CONNECTION, span, "an event and a signal do not connect");
                self.say(d.help("events go to handlers, signals to inputs"));
                None
            }
            (End::Place(source), End::Place(Place::Member(to_place))) => {
                let source = match source {
                    Place::Member(m) if matches!(m.what, Member::Port { .. }) => {
                        let d = Diagnostic::new(codes::BAD_CONNECTION, span, "ports are joined by `--`");
                        self.say(d.help("`->` hands a signal from an output to an input"));
                        return None;
                    }
                    p => self.place_value(cx, p, from.span)?,
                };
                let ty = self.input_end(&to_place, to.span)?;
                let name = super::body::path_text(&to_place.r.steps);
                let target = Target { name: &name, span: Some(to.span) };
                let v = self.fits_type(source, &ty, target)?;
                let (x, y) = (&v.e.shape, &to_place.axes);
                if !x.is_empty() && !shapes_fit(x, y) {
                    let (x, y) = (show_shape(x), show_shape(y));
                    let message = format!("an array of shape {x} connected to `{name}`, whose shape is {y}");
                    self.say(Diagnostic::new(codes::SHAPE_MISMATCH, span, message));
                    return None;
                }
                Some(Connection::Causal { from: v.e, to: to_place.r, span })
            }
            (_, End::Place(_)) => {
                let d = Diagnostic::new(codes::BAD_CONNECTION, to.span, "a connection ends at an input");
                self.say(d.here("this is none"));
                None
            }
        }
    }

    /// The type of the input that a connection drives.
    fn input_end(&mut self, m: &MemberPlace<'a>, span: Span) -> Option<super::ty::Ty<'a>> {
        match &m.what {
            Member::Var { section: Section::Inputs, ty, .. } => Some(ty.clone()),
            Member::Var { section: Section::Outputs, ty, .. } if !m.foreign => {
                // An output handed on from a part: `tank.level -> level`.
                Some(ty.clone())
            }
            Member::Var { section, .. } => {
                let word = section_word(*section);
                let name = super::body::path_text(&m.r.steps);
                let message = format!(
                    "`{name}` is {} {word}, and a connection ends at an input",
                    super::words::article(word)
                );
                self.say(Diagnostic::new(codes::BAD_CONNECTION, span, message));
                None
            }
            Member::Port { .. } => {
                let d = Diagnostic::new(codes::BAD_CONNECTION, span, "a port is joined by `--`");
                self.say(d);
                None
            }
            _ => {
                let d = Diagnostic::new(codes::BAD_CONNECTION, span, "a connection ends at an input");
                self.say(d.here("this is none"));
                None
            }
        }
    }

    fn acausal(
        &mut self,
        cx: &mut Cx<'a>,
        a: &'a ast::Expr,
        b: &'a ast::Expr,
        span: Span,
    ) -> Option<Connection> {
        let (x, y) = (self.port_end(cx, a), self.port_end(cx, b));
        let ((ra, ca, sa), (rb, cb, sb)) = (x?, y?);
        let same = ca == cb || {
            let members = |c: hir::ConnectorId| -> Vec<(Rc<str>, hir::ConnectorRole, hir::Type)> {
                let c = &self.model.connectors[c.0 as usize];
                c.members.iter().map(|(n, m)| (n.clone(), m.role, m.decl.ty.clone())).collect()
            };
            members(ca) == members(cb)
        };
        if !same {
            let (na, nb) = (
                self.model.connectors[ca.0 as usize].name.clone(),
                self.model.connectors[cb.0 as usize].name.clone(),
            );
            let d = Diagnostic::new(
                codes::BAD_CONNECTION,
                span,
                format!("a port of `{na}` joined to a port of `{nb}`"),
            );
            self.say(d.label(a.span, format!("`{na}`")).label(b.span, format!("`{nb}`")));
            return None;
        }
        if !sa.is_empty() && !sb.is_empty() && !shapes_fit(&sa, &sb) {
            let message = format!("ports of shape {} and {} joined", show_shape(&sa), show_shape(&sb));
            self.say(Diagnostic::new(codes::SHAPE_MISMATCH, span, message));
            return None;
        }
        Some(Connection::Acausal { a: ra, b: rb, span })
    }

    fn port_end(
        &mut self,
        cx: &mut Cx<'a>,
        e: &'a ast::Expr,
    ) -> Option<(Ref, hir::ConnectorId, Vec<hir::Extent>)> {
        match self.place(cx, e)? {
            Place::Member(m) => match m.what {
                Member::Port { connector, .. } => {
                    let _ = member_axes(&m.what);
                    Some((m.r, connector, m.axes))
                }
                _ => {
                    let name = super::body::path_text(&m.r.steps);
                    let d = Diagnostic::new(codes::BAD_CONNECTION, e.span, format!("`{name}` is no port"));
                    self.say(d.help("`--` joins ports; a signal goes by `->` from an output to an input"));
                    None
                }
            },
            _ => {
                self.say(Diagnostic::new(
                    codes::BAD_CONNECTION,
                    e.span,
                    "`--` joins ports, and this is none",
                ));
                None
            }
        }
    }
}

fn truth(span: Span) -> hir::Expr {
    hir::Expr { kind: hir::ExprKind::Bool(true), ty: hir::Type::Bool, shape: Vec::new(), span }
}

fn negated(e: &hir::Expr) -> hir::Expr {
    let kind = hir::ExprKind::Unary(hir::UnOp::Not, Box::new(e.clone()));
    hir::Expr { kind, ty: hir::Type::Bool, shape: Vec::new(), span: e.span }
}

fn join(op: hir::BinOp, a: hir::Expr, b: hir::Expr, span: Span) -> hir::Expr {
    let kind = hir::ExprKind::Binary(op, Box::new(a), Box::new(b));
    hir::Expr { kind, ty: hir::Type::Bool, shape: Vec::new(), span }
}

fn conjunction(a: Option<hir::Expr>, b: hir::Expr, span: Span) -> hir::Expr {
    match a {
        None => b,
        Some(a) => join(hir::BinOp::And, a, b, span),
    }
}
