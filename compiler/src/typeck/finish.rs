//! The model put together from what was checked.

use super::missing::{Nameless, Owner};
use super::opinion::Doubt;
use super::{Checked, Checker, ItemId};
use crate::ast;
use crate::diag::{Diagnostic, codes};
use crate::hir::{self, ClassId};
use crate::source::Span;

impl Checker<'_, '_> {
    pub(super) fn finish(mut self) -> (Checked, Vec<Doubt>) {
        let root = self.modules.list.first();
        let mut main = None;
        for (i, item) in root.iter().flat_map(|m| &m.ast.items).enumerate() {
            let (ast::Item::Twin(t), ItemId::Class(id)) = (item, self.item_ids[0][i]) else { continue };
            let generic = t.params.iter().any(|p| p.default.is_none());
            if t.is_partial.is_none() && !generic {
                main = Some(id);
            }
        }
        self.model.main = main;
        if let Some(scope) = self.scopes.first() {
            for (name, b) in scope {
                if let ItemId::Class(id) = self.item_of(b.def) {
                    self.model.class_names.insert(std::rc::Rc::from(&**name), id);
                }
            }
        }
        for c in 0..self.declared() {
            let id = ClassId(c as u32);
            let built = self.class_mut(id).hir.take();
            // Every class was built by `check_classes`; one in a circle of `extends` has an error.
            let class = built.unwrap_or_else(|| empty_class(self.class(id)));
            self.model.classes.push(class);
        }
        let classes = std::mem::take(&mut self.model.classes);
        self.emits_reach(&classes);
        self.model.classes = classes;
        for span in super::population::mark(&mut self.model) {
            let name = super::population::PRESENT;
            let message = format!("a population of twins that have a member `{name}` of their own");
            let d = Diagnostic::new(codes::LATER_POPULATION, span, message);
            self.say(d.help(format!("give that member another name: `{name}` tells who is there")));
        }
        let nameless = self.nameless();
        self.missing.together(&self.model.classes, &nameless, self.diags);
        (Checked { model: self.model, units: self.units }, self.doubts)
    }

    /// What was given up and may have declared a name.
    fn nameless(&self) -> Vec<Nameless> {
        let mut out = Vec::new();
        for m in &self.modules.list {
            let heads = m.ast.items.iter().filter_map(|i| match i {
                ast::Item::Twin(t) if t.name.as_str().is_empty() => Some(t.head),
                _ => None,
            });
            out.extend(heads.map(|span| Nameless { of: Owner::File(span.file), span }));
        }
        for (k, class) in self.classes.iter().enumerate() {
            let mut add = |span: &Span| {
                out.push(Nameless { of: Owner::Class(ClassId(k as u32)), span: *span });
            };
            for m in &class.ast.members {
                match m {
                    ast::Member::Decls(ast::DeclSection { entries, .. }) | ast::Member::Ports(entries, _) => {
                        for e in entries {
                            if let ast::DeclEntry::Error(s) = e {
                                add(s);
                            }
                        }
                    }
                    ast::Member::Twins(parts, _) => {
                        for p in parts {
                            if let ast::PartEntry::Error(s) = p {
                                add(s);
                            }
                        }
                    }
                    _ => {}
                }
            }
        }
        out
    }
}

fn empty_class(item: &super::class::ClassItem<'_>) -> hir::Class {
    hir::Class {
        name: item.name.clone(),
        kind: None,
        partial: true,
        units_off: item.units_off,
        doc: None,
        metadata: Vec::new(),
        type_params: Vec::new(),
        members: Default::default(),
        own_overrides: Vec::new(),
        equations: Vec::new(),
        initial_equations: Vec::new(),
        connections: Vec::new(),
        behavior: hir::behavior::Behavior::default(),
        later: Vec::new(),
        requirements: Vec::new(),
        formulas: Vec::new(),
        correlations: Vec::new(),
        kpis: Vec::new(),
        span: item.ast.name.span,
        ancestors: Vec::new(),
    }
}
