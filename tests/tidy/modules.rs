//! [`Modules`] finds which file of a crate names which. It reads `use` declarations and paths as text.
//!
//! A name that a file re-exports leads on to the file that defines it. So nothing depends on a `mod.rs` that only
//! re-exports. The look-up cannot see that a file calls a method which another file has added to a type.
//!
//! The same look-up finds names that are public in two modules.

use std::collections::{BTreeMap, BTreeSet};

/// Holds the path of a module from the root of its crate. The path of the root is empty.
type Module = Vec<String>;

/// Holds the files of a crate.
pub(crate) struct Modules {
    files: BTreeMap<Module, File>,
}

/// Holds what a file says about other modules.
struct File {
    name: String,
    uses: Vec<Use>,
    /// These paths are outside of `use` declarations.
    paths: Vec<Vec<String>>,
    /// The file declares these modules with `pub mod`.
    public_modules: Vec<String>,
    /// The file has more than declarations of modules and re-exports.
    has_code: bool,
}

/// Holds a name that a `use` declaration brings into a file.
struct Use {
    path: Vec<String>,
    name: String,
    is_public: bool,
    /// The declaration is a re-export, and the rest of the file does not use the name.
    only_reexports: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Visibility {
    Private,
    /// The declaration has `pub(crate)` or the like.
    Crate,
    Public,
}

/// Holds files that know each other in a circle, and which of them names which.
#[derive(Debug)]
pub(crate) struct Circle {
    pub(crate) files: BTreeSet<String>,
    pub(crate) links: Vec<(String, String)>,
}

impl Modules {
    /// Reads a crate from the name and the code of each file. A name begins at the folder of the crate's root, as in
    /// `server/mod.rs`.
    pub(crate) fn read<'a>(files: impl IntoIterator<Item = (&'a str, String)>) -> Self {
        let files = files.into_iter().map(|(name, code)| (module(name), File::read(name, &code)));
        Self { files: files.collect() }
    }

    /// Finds the circles between files that are in the same folder of the crate, or in folders below it.
    pub(crate) fn circles(&self) -> Vec<Circle> {
        let links: BTreeMap<&Module, BTreeSet<&Module>> =
            self.files.iter().map(|(module, file)| (module, self.links(module, file))).collect();
        let reach: BTreeMap<&Module, BTreeSet<&Module>> =
            self.files.keys().map(|module| (module, reachable(module, &links))).collect();
        let mut circles = Vec::new();
        let mut told = BTreeSet::new();
        for module in self.files.keys() {
            let mutual = |other: &&&Module| reach[**other].contains(module);
            let circle: BTreeSet<&Module> = reach[module].iter().filter(mutual).copied().collect();
            if circle.is_empty() || !told.insert(circle.clone()) {
                continue;
            }
            let name = |module: &Module| self.files[module].name.clone();
            let inner = |from: &Module| links[from].iter().filter(|to| circle.contains(*to)).map(|to| name(to));
            circles.push(Circle {
                files: circle.iter().map(|module| name(module)).collect(),
                links: circle.iter().flat_map(|from| inner(from).map(|to| (name(from), to))).collect(),
            });
        }
        circles
    }

    /// Finds the names that more than one public module of the crate has, and these modules.
    pub(crate) fn public_twice(&self) -> Vec<(String, BTreeSet<String>)> {
        let public = &self.files[&Module::new()].public_modules;
        let mut owners: BTreeMap<(&Module, &String), BTreeSet<String>> = BTreeMap::new();
        for owner in public {
            let module = vec![owner.clone()];
            for used in self.files[&module].uses.iter().filter(|used| used.is_public) {
                let (Some(home), Some(name)) = (self.home(&module, &used.path, 0), used.path.last()) else { continue };
                let owners = owners.entry((home, name)).or_default();
                owners.insert(owner.clone());
                // A public module that defines the name itself has it, too.
                owners.extend(public.iter().filter(|public| home.as_slice() == [(*public).clone()]).cloned());
            }
        }
        let twice = owners.into_iter().filter(|(_, owners)| owners.len() > 1);
        twice.map(|((_, name), owners)| (name.clone(), owners)).collect()
    }

    /// Finds the files of the same folder that a file names.
    fn links(&self, module: &Module, file: &File) -> BTreeSet<&Module> {
        if !file.has_code {
            return BTreeSet::new();
        }
        let used = file.uses.iter().filter(|used| !used.only_reexports).map(|used| used.path.clone());
        let paths = file.paths.iter().map(|path| file.imported(path).unwrap_or_else(|| path.clone()));
        let homes = used.chain(paths).filter_map(|path| self.home(module, &path, 0));
        let is_near = |home: &&Module| *home != module && home.first() == module.first() && self.files[*home].has_code;
        homes.filter(is_near).collect()
    }

    /// Finds the module that defines what `path` names in the module `from`. It finds none if another crate
    /// defines that.
    fn home(&self, from: &Module, path: &[String], depth: usize) -> Option<&Module> {
        assert!(depth < 32, "re-exports lead in a circle: {path:?} in {from:?}");
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.walk(Module::new(), rest, depth),
            "self" => self.walk(from.clone(), rest, depth),
            "super" => {
                let (mut at, mut rest) = (from.split_last()?.1.to_vec(), rest);
                while let Some(("super", further)) = rest.split_first().map(|(first, rest)| (first.as_str(), rest)) {
                    (at, rest) = (at.split_last()?.1.to_vec(), further);
                }
                self.walk(at, rest, depth)
            }
            _ if self.child(from, first).is_some() => self.walk(from.clone(), path, depth),
            _ => None,
        }
    }

    /// Follows `path` from a module to its children, and from a re-export to what it names.
    fn walk(&self, mut at: Module, mut path: &[String], depth: usize) -> Option<&Module> {
        while let Some((first, rest)) = path.split_first() {
            let Some(child) = self.child(&at, first) else { break };
            (at, path) = (child, rest);
        }
        let (module, file) = self.files.get_key_value(&at)?;
        match file.imported(path) {
            Some(path) => self.home(module, &path, depth + 1),
            None => Some(module),
        }
    }

    fn child(&self, module: &Module, name: &str) -> Option<Module> {
        let child: Module = module.iter().cloned().chain([name.to_owned()]).collect();
        self.files.contains_key(&child).then_some(child)
    }
}

impl File {
    fn read(name: &str, code: &str) -> Self {
        let tokens = tokens(code);
        let mut file = Self {
            name: name.to_owned(),
            uses: Vec::new(),
            paths: Vec::new(),
            public_modules: Vec::new(),
            has_code: false,
        };
        let mut words = BTreeSet::new();
        let (mut at, mut seen) = (0, Visibility::Private);
        while let Some(token) = tokens.get(at) {
            match token.as_str() {
                // `use<'a>` is a bound.
                "use" if tokens.get(at + 1).is_none_or(|token| token != "<") => {
                    let end = find(&tokens, at, ";");
                    leaves(&tokens[at + 1..end], &[], seen, &mut file.uses);
                    at = end;
                }
                "mod" if tokens.get(at + 2).is_some_and(|token| token == ";") => {
                    let is_public = seen == Visibility::Public;
                    file.public_modules.extend(is_public.then(|| tokens[at + 1].clone()));
                    at += 2;
                }
                "#" => at = find(&tokens, at, "]"),
                "pub" => {
                    seen = Visibility::Public;
                    // A visibility may hold a path, but does not use it.
                    if tokens.get(at + 1).is_some_and(|token| token == "(") {
                        at = find(&tokens, at, ")");
                        seen = Visibility::Crate;
                    }
                    at += 1;
                    continue;
                }
                word if is_word(word) => {
                    file.has_code = true;
                    words.insert(word.to_owned());
                    let mut path = vec![word.to_owned()];
                    while let (Some("::"), Some(next)) = (tokens.get(at + 1).map(String::as_str), tokens.get(at + 2))
                        && is_word(next)
                    {
                        path.push(next.clone());
                        at += 2;
                    }
                    if path.len() > 1 {
                        file.paths.push(path);
                    }
                }
                _ => {}
            }
            seen = Visibility::Private;
            at += 1;
        }
        file.uses.iter_mut().for_each(|used| used.only_reexports &= !words.contains(&used.name));
        file
    }

    /// Puts the whole path of a name from a `use` declaration in place of that name at the start of `path`.
    fn imported(&self, path: &[String]) -> Option<Vec<String>> {
        let (first, rest) = path.split_first()?;
        let used = self.uses.iter().find(|used| used.name == *first && used.path != path)?;
        Some(used.path.iter().chain(rest).cloned().collect())
    }
}

/// Adds all names of a `use` declaration, which may have braces.
fn leaves(tree: &[String], before: &[String], seen: Visibility, found: &mut Vec<Use>) {
    let mut path = before.to_vec();
    let mut at = 0;
    while let Some(token) = tree.get(at) {
        match token.as_str() {
            "::" => {}
            "{" => {
                for branch in branches(&tree[at + 1..tree.len() - 1]) {
                    leaves(branch, &path, seen, found);
                }
                return;
            }
            "self" if !path.is_empty() => {}
            "as" => break,
            segment => path.push(segment.to_owned()),
        }
        at += 1;
    }
    let name = tree.last().filter(|name| *name != "self").or(path.last());
    let name = name.cloned().unwrap_or_default();
    let (is_public, only_reexports) = (seen == Visibility::Public, seen != Visibility::Private);
    found.push(Use { path, name, is_public, only_reexports });
}

/// Splits a list at the commas outside of further braces.
fn branches(list: &[String]) -> Vec<&[String]> {
    let mut depth = 0;
    let branches = list.split(|token| {
        match token.as_str() {
            "{" => depth += 1,
            "}" => depth -= 1,
            _ => {}
        }
        token == "," && depth == 0
    });
    branches.filter(|branch| !branch.is_empty()).collect()
}

/// Finds all modules to which links lead from `from`, in any number of steps.
fn reachable<'a>(from: &'a Module, links: &BTreeMap<&'a Module, BTreeSet<&'a Module>>) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut open = vec![from];
    while let Some(at) = open.pop() {
        open.extend(links[at].iter().copied().filter(|to| reached.insert(*to)));
    }
    reached
}

/// Turns the name of a file into the path of its module.
fn module(name: &str) -> Module {
    let path = name.trim_end_matches(".rs").trim_end_matches("mod").trim_end_matches('/');
    path.split('/').filter(|part| !matches!(*part, "" | "lib" | "main")).map(str::to_owned).collect()
}

/// Splits code into words, `::`, and single characters of anything else. It leaves out text in quotes.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            '"' => {
                let end = rest[1..].match_indices('"').find(|(at, _)| !rest[..at + 1].ends_with('\\'));
                rest = end.map_or("", |(at, _)| &rest[at + 2..]);
                continue;
            }
            ':' if rest.starts_with("::") => 2,
            c if is_letter(c) => rest.find(|c| !is_letter(c)).unwrap_or(rest.len()),
            c => c.len_utf8(),
        };
        if !first.is_whitespace() {
            tokens.push(rest[..length].to_owned());
        }
        rest = &rest[length..];
    }
    tokens
}

/// Finds the place of the next `token` that belongs to no inner brackets of its kind.
fn find(tokens: &[String], from: usize, token: &str) -> usize {
    let opening = match token {
        "]" => "[",
        ")" => "(",
        _ => "",
    };
    let mut depth = 0;
    for (at, found) in tokens.iter().enumerate().skip(from) {
        if found == opening {
            depth += 1;
        } else if found == token {
            depth -= 1;
            if depth <= 0 {
                return at;
            }
        }
    }
    tokens.len()
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

#[test]
fn a_circle_is_found_through_re_exports_braces_and_imported_modules() {
    let crate_of = |low: &str| {
        let files = [
            ("lib.rs", "mod ink; pub use ink::Pen;"),
            (
                "ink/mod.rs",
                "//! Writes.\nmod pen; pub(crate) mod low; pub use self::pen::Pen; pub(crate) use low::{Drop as Dot};",
            ),
            (
                "ink/pen.rs",
                "use std::fmt; use super::{low::{self, Blot}, Dot}; pub struct Pen(Blot, low::Rest, fmt::Error);",
            ),
            ("ink/low.rs", low),
        ];
        let files = files.map(|(name, code)| (name, code.replace("//! Writes.\n", "")));
        Modules::read(files).circles().into_iter().map(|circle| circle.files).collect::<Vec<_>>()
    };
    let circle = ["ink/low.rs", "ink/pen.rs"].map(str::to_owned);
    for low in [
        "use super::Pen;",
        "use crate::{ink::Pen as P};",
        "fn f(_: crate::Pen) {}",
        "use super::pen; fn f(_: pen::Pen) {}",
    ] {
        assert_eq!(
            crate_of(&format!("{low} struct Drop; struct Blot; struct Rest;")),
            [BTreeSet::from(circle.clone())],
            "{low}"
        );
    }
    for low in ["use super::Dot;", "pub(in crate::ink::pen) fn f() {}", "fn f() -> &'static str { \"super::Pen\" }"] {
        assert_eq!(crate_of(low), [], "{low}");
    }
}

#[test]
fn a_name_that_two_public_modules_have_is_found() {
    let twice = |pens: &str| {
        let files = [
            ("lib.rs", "pub mod ink; pub mod pens; mod inner; pub use ink::Blot;"),
            ("ink.rs", "pub use crate::inner::Drop; pub struct Blot;"),
            ("inner.rs", "pub struct Drop;"),
            ("pens.rs", pens),
        ];
        Modules::read(files.map(|(name, code)| (name, code.to_owned()))).public_twice()
    };
    let both = BTreeSet::from(["ink", "pens"].map(str::to_owned));
    for (pens, name) in [("pub use crate::inner::{Drop as Dot};", "Drop"), ("pub use crate::Blot;", "Blot")] {
        assert_eq!(twice(pens), [(name.to_owned(), both.clone())], "{pens}");
    }
    for pens in ["pub(crate) use crate::inner::Drop;", "use crate::ink::Blot;", "pub use crate::inner::Other;"] {
        assert_eq!(twice(pens), [], "{pens}");
    }
}
