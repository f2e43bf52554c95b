//! Twins with their type arguments: `P<K: Leaky>` has the members of `Leaky` where `P` itself knows only those of `K`'s bound.
//!
//! Such a twin is a class of its own here, which has the declarations of the one that it is made of; only what its members of a
//! parameter's type are is looked up again. Nothing of it goes further: what follows knows declared classes and their arguments.

use std::rc::Rc;

use super::class::{ClassItem, Member};
use super::{Checker, Cx, ItemId};
use crate::ast;
use crate::hir::{ClassId, ClassTarget};

/// A use of a twin as written: parameters of the twin around it are open.
#[derive(Clone, Debug)]
pub(super) struct TypeUse {
    target: ClassTarget,
    /// The class, or the parameter's bound.
    class: ClassId,
    args: Rc<[TypeUse]>,
}

/// What a class with type arguments is made of.
#[derive(Debug)]
pub(super) struct Special {
    of: ClassId,
    args: Vec<ClassId>,
}

impl<'a> Checker<'a, '_> {
    /// How many classes are declared; those after them are made of them.
    pub(super) fn declared(&self) -> usize {
        self.classes.iter().take_while(|c| c.special.is_none()).count()
    }

    /// The declared class.
    pub(super) fn real(&self, id: ClassId) -> ClassId {
        self.class(id).special.as_ref().map_or(id, |s| s.of)
    }

    /// What the type arguments of a use of `class` within `around` are; those that are wrong or missing are as the bound says,
    /// and are told where arguments are checked.
    pub(super) fn type_uses(
        &self,
        around: Option<ClassId>,
        module: crate::resolve::ModuleId,
        class: ClassId,
        args: &'a [ast::GenericArg],
    ) -> Rc<[TypeUse]> {
        let item = self.class(self.real(class));
        if item.type_params.is_empty() {
            return Rc::new([]);
        }
        let params = &item.ast.params;
        let given = |name: &str| {
            args.iter().enumerate().find_map(|(i, a)| {
                let of = match &a.name {
                    Some(n) => n.as_str(),
                    None => params.get(i)?.name.as_str(),
                };
                match &a.value {
                    ast::GenericValue::Type(t) if of == name => Some(t),
                    _ => None,
                }
            })
        };
        let uses = item.type_params.iter().enumerate().map(|(n, (name, bound))| {
            let plain = |class| TypeUse { target: ClassTarget::Class(class), class, args: Rc::new([]) };
            match given(name) {
                Some(t) => self.type_use(around, module, t).filter(|u| self.is_a(u.class, *bound)),
                None => item.type_defaults.get(n).copied().flatten().map(plain),
            }
            .unwrap_or_else(|| plain(*bound))
        });
        uses.collect()
    }

    fn type_use(
        &self,
        around: Option<ClassId>,
        module: crate::resolve::ModuleId,
        t: &'a ast::TypeExpr,
    ) -> Option<TypeUse> {
        let ast::TypeKind::Named { path, args } = &t.kind else { return None };
        if let ([one], Some(around)) = (path.names.as_slice(), around)
            && let Some(n) = self.class(around).type_params.iter().position(|(p, _)| **p == *one.text)
        {
            let class = self.class(around).type_params[n].1;
            return Some(TypeUse { target: ClassTarget::Param(n as u32), class, args: Rc::new([]) });
        }
        let ItemId::Class(class) = self.item_of(self.find_def(module, path)?) else { return None };
        let args = self.type_uses(around, module, class, args);
        Some(TypeUse { target: ClassTarget::Class(class), class, args })
    }

    /// The class of a use where the parameters of the twin around it stand for `given`.
    fn concrete(&mut self, u: &TypeUse, given: &[ClassId]) -> ClassId {
        match u.target {
            ClassTarget::Param(n) => given.get(n as usize).copied().unwrap_or(u.class),
            ClassTarget::Class(class) => self.special_of(class, &u.args, given),
        }
    }

    /// The same for a class and its arguments.
    pub(super) fn special_of(&mut self, class: ClassId, args: &[TypeUse], given: &[ClassId]) -> ClassId {
        let args: Vec<ClassId> = args.iter().map(|u| self.concrete(u, given)).collect();
        self.special(class, args)
    }

    /// A declared class with type arguments; itself where they say no more than the bounds.
    fn special(&mut self, of: ClassId, args: Vec<ClassId>) -> ClassId {
        let item = self.class(of);
        if item.type_params.len() != args.len()
            || item.type_params.iter().zip(&args).all(|((_, b), a)| b == a)
        {
            return of;
        }
        if let Some(known) = self.specials.get(&(of, args.clone())) {
            return *known;
        }
        let special = ClassItem::special(item, Special { of, args: args.clone() });
        let id = ClassId(self.classes.len() as u32);
        self.classes.push(special);
        self.specials.insert((of, args), id);
        id
    }

    /// What the type parameters of `owner` stand for in `id`, which is it or extends it.
    fn stands_for(&mut self, id: ClassId, owner: ClassId) -> Vec<ClassId> {
        let of = self.real(id);
        let given = self.given(id);
        if of == owner {
            return given;
        }
        let bases = self.class(of).bases.clone();
        let Some((base, e)) = bases.into_iter().find(|(b, _)| self.is_a(*b, owner)) else {
            return self.given(owner);
        };
        let module = self.class(of).module;
        let uses = self.type_uses(Some(of), module, base, &e.args);
        let base = self.special_of(base, &uses, &given);
        self.stands_for(base, owner)
    }

    /// What the type parameters of a class stand for: its arguments, or their bounds.
    pub(super) fn given(&self, id: ClassId) -> Vec<ClassId> {
        let item = self.class(id);
        match &item.special {
            Some(s) => s.args.clone(),
            None => item.type_params.iter().map(|(_, bound)| *bound).collect(),
        }
    }

    /// A member that `owner` declares, as `id` has it.
    pub(super) fn seen_in(&mut self, id: ClassId, owner: ClassId, member: Member<'a>) -> Member<'a> {
        let Member::Part { target, class, args, shape, population } = member else { return member };
        let class = match target {
            ClassTarget::Class(_) if args.is_empty() => class,
            ClassTarget::Class(declared) => {
                let given = self.stands_for(id, owner);
                self.special_of(declared, &args, &given)
            }
            ClassTarget::Param(n) => self.stands_for(id, owner).get(n as usize).copied().unwrap_or(class),
        };
        Member::Part { target, class, args, shape, population }
    }

    /// The class that a twin is in the use `class<args>` in a context.
    pub(super) fn used_class(&mut self, cx: &Cx<'a>, class: ClassId, args: &'a [ast::GenericArg]) -> ClassId {
        let around = cx.class.map(|c| self.real(c));
        let uses = self.type_uses(around, cx.module, class, args);
        let given = around.map(|c| self.given(c)).unwrap_or_default();
        self.special_of(class, &uses, &given)
    }
}
