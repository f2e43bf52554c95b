//! Synchronisation: checked only.

use super::assign::Target;
use super::class::Member;
use super::place::Place;
use super::ty::Temp;
use super::{Checker, Cx, Mode};
use crate::ast::{self, ExprKind as A};
use crate::diag::{Diagnostic, codes, did_you_mean};
use crate::hir::{ClassId, Section, Type};

impl<'a> Checker<'a, '_> {
    /// `sync { mqtt("plant") { … } }`
    pub(super) fn sync(&mut self, id: ClassId, items: &'a [ast::SyncItem]) {
        const PROTOCOLS: &[&str] = &[
            "mqtt",
            "opcua",
            "modbus",
            "http",
            "kafka",
            "ros",
            "csv",
            "serial",
            "amqp",
            "coap",
            "sparkplug",
        ];
        let mut cx = self.class_cx(id, Mode::Constraint);
        for i in items {
            match i {
                ast::SyncItem::Error(_) => {}
                ast::SyncItem::Setting(s) => self.sync_setting(s),
                ast::SyncItem::Link(l) => {
                    if !PROTOCOLS.contains(&l.protocol.as_str()) {
                        let message = format!("unknown protocol `{}`", l.protocol.as_str());
                        let mut d = Diagnostic::new(codes::BAD_SYNC, l.protocol.span, message);
                        d.help = did_you_mean(l.protocol.as_str(), PROTOCOLS.iter().copied());
                        self.say(d);
                    }
                    for b in l.bindings.iter().filter(|b| !b.is_error) {
                        self.binding(&mut cx, b);
                    }
                }
            }
        }
    }

    fn sync_setting(&mut self, s: &'a ast::Setting) {
        let word = s.values.first().and_then(|v| match &v.kind {
            A::Call { callee, .. } => callee.as_name(),
            _ => v.as_name(),
        });
        let known: &[&str] = match s.name.as_str() {
            "conflict" => &["kalman", "physical_wins", "twin_wins", "newest", "blend"],
            "mode" => &["shadow", "control"],
            _ => return,
        };
        if let Some(w) = word
            && !known.contains(&w.as_str())
        {
            let message = format!("`{}` is no `{}`", w.as_str(), s.name.as_str());
            let mut d = Diagnostic::new(codes::BAD_SYNC, w.span, message);
            d.help = did_you_mean(w.as_str(), known.iter().copied())
                .or_else(|| Some(format!("one of `{}`", known.join("`, `"))));
            self.say(d);
        }
    }

    fn binding(&mut self, cx: &mut Cx<'a>, b: &'a ast::Binding) {
        let Some(place) = self.place(cx, &b.target) else { return };
        let Place::Member(m) = place else {
            self.say(Diagnostic::new(codes::BAD_SYNC, b.target.span, "only a member can be bound"));
            return;
        };
        let Member::Var { section, ty, .. } = m.what else {
            self.say(Diagnostic::new(codes::BAD_SYNC, b.target.span, "only a quantity can be bound"));
            return;
        };
        if section == Section::Parameters && b.direction == ast::Direction::Out {
            // Reporting a parameter to the plant is harmless.
        }
        let mut ty = ty.shaped(m.axes);
        if let Some(u) = &b.unit {
            self.with_unit(&mut ty, u, cx.units_off);
        }
        if let Some(n) = &b.noise
            && let Type::Real(_) = ty.base
        {
            let mut noise = ty.clone();
            if noise.temp == Temp::Point {
                noise.temp = Temp::Difference;
                noise.unit = None;
                noise.shown = false;
            }
            self.value_for(cx, n, &noise, Target { name: "noise", span: None });
        }
        for t in b.stale.iter().chain(&b.every) {
            self.duration(cx, t);
        }
    }
}
