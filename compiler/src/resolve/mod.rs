//! Files into modules: which file uses which, and which names each one sees.
//!
//! In: the root text and a [`Loader`]. Out: [`Modules`], parsed, with every `use` followed, and for
//! each module a table of names. Nothing is looked up inside twins here.
//!
//! Never reads a file itself; never follows a circle.

mod loader;
mod lost;

pub use loader::{LoadError, Loaded, Loader, MemoryLoader, join};

use std::collections::{BTreeMap, BTreeSet};

use crate::map::IndexMap;

use crate::ast;
use crate::diag::{Diagnostic, Diagnostics, codes, did_you_mean};
use crate::source::{FileId, SourceMap, Span};

/// A module of one compilation; 0 is the root file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ModuleId(pub u32);

/// A parsed file.
#[derive(Debug)]
pub struct Module {
    /// Its tree.
    pub ast: ast::Module,
    /// What its `use` declarations lead to, in the order of the text; `None` where that failed.
    pub uses: Vec<Option<Used>>,
}

/// What a `use` leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Used {
    /// A file.
    Module(ModuleId),
    /// A library of functions that the run time provides (`std.agents`).
    Native,
}

/// All modules, root first.
#[derive(Debug, Default)]
pub struct Modules {
    /// By [`ModuleId`].
    pub list: Vec<Module>,
    /// Words of text that the parser gave up, and names that a failed `use` was to bring: what is not found may have
    /// been declared there.
    pub lost: BTreeSet<String>,
    /// Files of which a failed `use` was to bring everything, whatever that is.
    pub blind: BTreeSet<FileId>,
}

impl Modules {
    /// The module of an id.
    pub fn get(&self, id: ModuleId) -> &Module {
        // Ids are only made by `load`, for modules that it then pushes.
        &self.list[id.0 as usize]
    }
}

/// What a module's name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Def {
    /// Item number `n` of a module.
    Item(ModuleId, u32),
    /// A whole module (`use … as th`).
    Module(ModuleId),
    /// A function that the run time provides.
    Native,
}

/// A name of a module and where it was introduced.
#[derive(Clone, Debug)]
pub struct Binding {
    /// What it stands for.
    pub def: Def,
    /// Where.
    pub span: Span,
}

/// Names of a module.
pub type Scope = IndexMap<ast::Text, Binding>;

/// Functions of `std.agents` that the run time provides: the interaction protocols.
pub const AGENT_PROTOCOLS: &[&str] = &[
    "contract_net",
    "request",
    "query",
    "subscribe",
    "auction",
    "english_auction",
    "dutch_auction",
    "accept",
    "reject",
];

/// Most files of one compilation.
const MAX_FILES: usize = 4096;
/// Longest chain of files that use one another.
const MAX_CHAIN: usize = 64;

/// Parses the root text and all that it uses.
pub fn load(root: FileId, map: &mut SourceMap, loader: &dyn Loader, diags: &mut Diagnostics) -> Modules {
    let mut l = Load { map, loader, diags, modules: Vec::new(), by_name: BTreeMap::new(), stack: Vec::new() };
    let name = l.map.get(root).map_or(String::new(), |f| f.name.to_string());
    l.module(root, name);
    let list: Vec<Module> = l.modules.into_iter().flatten().collect();
    let mut lost = lost::lost_names(&list, map);
    let blind = lost::not_brought(&list, &mut lost);
    Modules { list, lost, blind }
}

struct Load<'a> {
    map: &'a mut SourceMap,
    loader: &'a dyn Loader,
    diags: &'a mut Diagnostics,
    /// `None` while a module's uses are being followed.
    modules: Vec<Option<Module>>,
    by_name: BTreeMap<String, ModuleId>,
    stack: Vec<(ModuleId, String)>,
}

impl Load<'_> {
    fn module(&mut self, file: FileId, name: String) -> ModuleId {
        let id = ModuleId(self.modules.len() as u32);
        self.modules.push(None);
        self.by_name.insert(name.clone(), id);
        self.stack.push((id, name.clone()));
        let text = self.map.get(file).map(|f| f.text.clone()).unwrap_or_default();
        let ast = crate::parser::parse(file, &text, self.diags);
        let mut uses = Vec::new();
        for item in &ast.items {
            if let ast::Item::Use(u) = item {
                uses.push(self.follow(u, &name));
            }
        }
        self.stack.pop();
        self.modules[id.0 as usize] = Some(Module { ast, uses });
        id
    }

    fn follow(&mut self, u: &ast::Use, from: &str) -> Option<Used> {
        let (name, text, span) = match &u.source {
            ast::UseSource::Path(p) => {
                let path = p.dotted();
                if path == "std.agents" {
                    return Some(Used::Native);
                }
                let Some(text) = twinml_stdlib::module(&path) else {
                    let known = twinml_stdlib::modules().chain(["std.agents"]);
                    let offer = did_you_mean(&path, known);
                    let mut d = Diagnostic::new(
                        codes::UNKNOWN_MODULE,
                        p.span,
                        format!("there is no module `{path}`"),
                    )
                    .here("not in the standard library");
                    d.help = Some(offer.unwrap_or_else(|| {
                        "a file is used by its name in quotes: use \"parts/pump.twinml\"".into()
                    }));
                    self.diags.push(d);
                    return None;
                };
                (path, Some(text.to_owned()), p.span)
            }
            ast::UseSource::File(path, span) => match self.loader.load(from, path) {
                Ok(loaded) => (loaded.name, Some(loaded.text), *span),
                Err(e) => {
                    let d = Diagnostic::new(
                        codes::UNKNOWN_MODULE,
                        *span,
                        format!("`{path}` cannot be used: {e}"),
                    );
                    self.diags.push(d.here("looked for beside this file"));
                    return None;
                }
            },
        };
        if let Some(at) = self.stack.iter().position(|(_, n)| *n == name) {
            let mut circle: Vec<&str> = self.stack[at..].iter().map(|(_, n)| n.as_str()).collect();
            circle.push(&name);
            let d = Diagnostic::new(
                codes::CYCLIC_USE,
                span,
                format!("`{name}` uses itself: {}", circle.join(" -> ")),
            );
            self.diags
                .push(d.here("this closes the circle").help("move what both need into a file of its own"));
            return None;
        }
        if let Some(id) = self.by_name.get(&name) {
            return Some(Used::Module(*id));
        }
        if self.modules.len() >= MAX_FILES || self.stack.len() >= MAX_CHAIN {
            let message =
                format!("more than {MAX_FILES} files are used, or a chain of more than {MAX_CHAIN}");
            self.diags.push(Diagnostic::new(codes::UNKNOWN_MODULE, span, message));
            return None;
        }
        let file = self.map.add(name.clone(), text.unwrap_or_default());
        Some(Used::Module(self.module(file, name)))
    }
}

/// The names of every module: own items, then what it uses. A name declared twice is an error.
pub fn scopes(modules: &Modules, diags: &mut Diagnostics) -> Vec<Scope> {
    let mut own: Vec<Scope> = Vec::new();
    for (m, module) in modules.list.iter().enumerate() {
        let mut scope = Scope::default();
        for (i, item) in module.ast.items.iter().enumerate() {
            // Scenarios and units live in name spaces of their own.
            let Some(name) =
                item.name().filter(|_| !matches!(item, ast::Item::Scenario(_) | ast::Item::Unit(_)))
            else {
                continue;
            };
            let binding = Binding { def: Def::Item(ModuleId(m as u32), i as u32), span: name.span };
            match scope.get(&name.text) {
                // A head that is never closed, and once more: the second one has the text.
                Some(old) if module.ast.is_tainted(old.span) => {
                    scope.insert(name.text.clone(), binding);
                }
                _ => declare(&mut scope, name, binding, diags),
            }
        }
        own.push(scope);
    }
    let mut all = own.clone();
    for (m, module) in modules.list.iter().enumerate() {
        let uses = module.ast.items.iter().filter_map(|i| match i {
            ast::Item::Use(u) => Some(u),
            _ => None,
        });
        for (u, used) in uses.zip(&module.uses) {
            if let Some(used) = used {
                import(u, *used, &own, &mut all[m], diags);
            }
        }
    }
    all
}

fn declare(scope: &mut Scope, name: &ast::Name, binding: Binding, diags: &mut Diagnostics) {
    if let Some(old) = scope.get(&name.text) {
        if old.def == binding.def {
            return;
        }
        diags.push(
            Diagnostic::new(
                codes::DUPLICATE_NAME,
                name.span,
                format!("`{}` is declared twice", name.as_str()),
            )
            .here("declared again here")
            .label(old.span, "first declared here"),
        );
        return;
    }
    scope.insert(name.text.clone(), binding);
}

/// What there is, where that is not too much for a line or two.
fn listed(known: &[&str]) -> Option<String> {
    const MOST: usize = 16;
    if known.is_empty() {
        return None;
    }
    let shown: Vec<String> = known.iter().take(MOST).map(|n| format!("`{n}`")).collect();
    let more = if known.len() > MOST { format!(" and {} more", known.len() - MOST) } else { String::new() };
    Some(format!("it has {}{more}", shown.join(", ")))
}

fn import(u: &ast::Use, used: Used, own: &[Scope], scope: &mut Scope, diags: &mut Diagnostics) {
    let found = |name: &str| match used {
        Used::Module(m) => own[m.0 as usize].get(name).map(|b| b.def),
        Used::Native => AGENT_PROTOCOLS.contains(&name).then_some(Def::Native),
    };
    if let (Some(alias), Used::Module(m)) = (&u.alias, used) {
        declare(scope, alias, Binding { def: Def::Module(m), span: alias.span }, diags);
    }
    match &u.names {
        Some(names) => {
            for n in names {
                let here = n.alias.as_ref().unwrap_or(&n.name);
                match found(n.name.as_str()) {
                    Some(def) => declare(scope, here, Binding { def, span: here.span }, diags),
                    None => {
                        let known: Vec<&str> = match used {
                            Used::Module(m) => own[m.0 as usize].keys().map(|k| &**k).collect(),
                            Used::Native => AGENT_PROTOCOLS.to_vec(),
                        };
                        let mut d = Diagnostic::new(
                            codes::NOT_IN_MODULE,
                            n.name.span,
                            format!("there is no `{}` in the module that is used here", n.name.as_str()),
                        );
                        d.help =
                            did_you_mean(n.name.as_str(), known.iter().copied()).or_else(|| listed(&known));
                        diags.push(d);
                    }
                }
            }
        }
        None if u.alias.is_some() => {}
        None => match used {
            Used::Module(m) => {
                for (name, b) in &own[m.0 as usize] {
                    let name = ast::Name { text: name.clone(), span: u.span };
                    // A name of one's own wins over one that came with everything.
                    if !scope.contains_key(&name.text) {
                        scope.insert(name.text, Binding { def: b.def, span: u.span });
                    }
                }
            }
            Used::Native => {
                for name in AGENT_PROTOCOLS {
                    let text: ast::Text = (*name).into();
                    scope.entry(text).or_insert(Binding { def: Def::Native, span: u.span });
                }
            }
        },
    }
}
