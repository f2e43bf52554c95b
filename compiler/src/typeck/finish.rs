//! The model put together from what was checked.

use super::opinion::Doubt;
use super::{Checked, Checker, ItemId};
use crate::ast;
use crate::diag::{Diagnostic, codes};
use crate::hir::{self, ClassId};

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
        self.missing.together(&self.model.classes, self.diags);
        (Checked { model: self.model, units: self.units }, self.doubts)
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
