//! The tables of an application: each has its middleware and its answer where it has no route.
//!
//! A mounted table keeps to itself. Its middleware sees the requests that its own routes answer, and those below its
//! prefix that no route answers. Two tables can have one prefix, and neither sees the requests of the other.
//!
//! One rule more keeps guards safe. Say that a table with a guard is mounted at `/private`, and files at `/`. Then the
//! files answer `/x/../private/y`, and `/private/y` if the table has no such route and no answer for that. Both paths
//! are below the prefix of the guard, so it sees them: a route does not lead past a table that is mounted in its own
//! table, nor past one with a longer prefix. It does not matter whether the files are in the outermost table or in one
//! beside that of the guard.

use std::ops::ControlFlow;

use super::callback::{After, Whole};
use super::host::{ANY_HOST, Site};
use super::middleware::{Middleware, Next, run_middleware};
use super::path::{Pattern, RequestPath};
use crate::exchange::{Outgoing, Request, Response};

/// A table of routes that was mounted, or the outermost one.
pub(super) struct Table<S> {
    /// The index of the table that it is mounted in. Only the outermost one has none.
    pub(super) parent: Option<usize>,
    /// The host whose requests it sees. Its tables are mounted in the outermost one.
    pub(super) site: Site,
    pub(super) prefix: Pattern,
    pub(super) middleware: Vec<Middleware<S>>,
    /// What sees the replies.
    pub(super) after: Vec<After<S>>,
    /// What answers where no route does.
    pub(super) not_found: Option<Whole<S>>,
}

impl<S> Table<S> {
    /// A table that is not mounted.
    pub(super) fn outermost() -> Self {
        Self {
            parent: None,
            site: ANY_HOST,
            prefix: Pattern::root(),
            middleware: Vec::new(),
            after: Vec::new(),
            not_found: None,
        }
    }

    /// Whether nothing depends on whether the table sees a request.
    fn is_bare(&self) -> bool {
        self.middleware.is_empty() && self.after.is_empty() && self.not_found.is_none()
    }
}

/// The tables of an application, the outermost one first.
pub(super) struct Tables<S> {
    all: Vec<Table<S>>,
    /// Whether the middleware of a request depends on its route, or something happens after the handler.
    are_involved: bool,
    /// Whether something sees replies.
    pub(super) see_replies: bool,
    /// Whether errors are rendered with their requests.
    pub(super) render_errors: bool,
    /// Whether a mounted table answers where it has no route.
    answer_inside: bool,
}

/// The index of the outermost table.
pub(super) const OUTERMOST: usize = 0;

impl<S> Tables<S> {
    pub(super) fn new() -> Self {
        Self {
            all: vec![Table::outermost()],
            are_involved: false,
            see_replies: false,
            render_errors: false,
            answer_inside: false,
        }
    }

    /// Notes that a route has something of its own.
    pub(super) const fn involve(&mut self) {
        self.are_involved = true;
    }

    /// Notes that errors are rendered with their requests.
    pub(super) const fn note_renderer(&mut self) {
        (self.are_involved, self.render_errors) = (true, true);
    }

    /// Notes that something sees replies.
    pub(super) const fn note_after(&mut self) {
        (self.are_involved, self.see_replies) = (true, true);
    }

    /// Whether a mounted table answers where it has no route.
    pub(super) const fn answer_inside(&self) -> bool {
        self.answer_inside
    }

    pub(super) fn outermost(&mut self) -> &mut Table<S> {
        &mut self.all[OUTERMOST]
    }

    /// Takes over the tables of a part that is mounted at `prefix` for a host. Returns the index of the first one.
    pub(super) fn append(&mut self, part: Self, prefix: &Pattern, site: Site) -> usize {
        let first = self.all.len();
        self.are_involved = true;
        self.see_replies |= part.see_replies;
        self.answer_inside |= part.all.iter().any(|table| table.not_found.is_some());
        self.all.extend(part.all.into_iter().map(|table| Table {
            parent: Some(table.parent.map_or(OUTERMOST, |parent| first + parent)),
            prefix: prefix.join(&table.prefix),
            site,
            ..table
        }));
        first
    }

    /// The table that answers for a path without a route: the one with the longest prefix, and the first of several.
    #[cold]
    pub(super) fn owner(&self, path: &[u8], site: Site) -> usize {
        let path = RequestPath::new(path);
        let covering = (OUTERMOST + 1..self.all.len()).filter(|&index| {
            let table = &self.all[index];
            table.site == site && !table.is_bare() && table.prefix.covers(&path)
        });
        // `max_by_key` would return the last of several.
        covering.rev().max_by_key(|&index| self.all[index].prefix.segments().len()).unwrap_or(OUTERMOST)
    }

    /// The host that a table belongs to.
    pub(super) fn site(&self, table: usize) -> Site {
        self.all[table].site
    }

    /// Whether a table answers in place of a route of `table` with this pattern: if the route ends in `*rest`, and its
    /// prefix is shorter. So files at `/` do not take what is missing in an API at `/api`.
    pub(super) fn come_before(&self, table: usize, pattern: &Pattern, path: &[u8]) -> bool {
        self.answer_inside
            && pattern.depth_of_rest().is_some_and(|depth| self.answer_below(depth, path, self.site(table)))
    }

    /// Whether what answers for a path without a route is of a table whose prefix has more than `depth` segments.
    #[cold]
    fn answer_below(&self, depth: usize, path: &[u8], site: Site) -> bool {
        let mut table = Some(self.owner(path, site));
        while let Some(index) = table {
            if self.all[index].not_found.is_some() {
                return self.all[index].prefix.segments().len() > depth;
            }
            table = self.all[index].parent;
        }
        false
    }

    /// What answers where no route does: that of the table, or else of one around it.
    pub(super) fn not_found(&self, mut table: usize) -> Option<&Whole<S>> {
        loop {
            match (&self.all[table].not_found, self.all[table].parent) {
                (Some(answer), _) => return Some(answer),
                (None, Some(parent)) => table = parent,
                (None, None) => return None,
            }
        }
    }

    /// Whether a request needs more than the middleware of the outermost table and its handler.
    #[inline(always)]
    pub(super) const fn are_involved(&self) -> bool {
        self.are_involved
    }

    /// The middleware of the outermost table.
    #[inline(always)]
    pub(super) fn middleware(&self) -> &[Middleware<S>] {
        &self.all[OUTERMOST].middleware
    }

    /// Passes the response through the middleware of all tables that see the request.
    pub(super) fn run<'r>(
        &self,
        table: usize,
        state: &mut S,
        request: &Request<'_>,
        mut response: Response<'r>,
    ) -> Next<'r> {
        response = self.run_from_outermost(table, state, request, response)?;
        let path = RequestPath::new(request.raw_path());
        for inner in self.below(table, &path, |inner| !inner.middleware.is_empty()) {
            response = run_middleware(&inner.middleware, state, request, response)?;
        }
        ControlFlow::Continue(response)
    }

    /// Shows a reply to all tables that see its request, the innermost one first.
    pub(super) fn show(&self, table: usize, state: &mut S, request: &Request<'_>, reply: &mut Outgoing<'_>) {
        let path = RequestPath::new(request.raw_path());
        for inner in self.below(table, &path, |inner| !inner.after.is_empty()).rev() {
            inner.after.iter().for_each(|after| after(state, request, reply));
        }
        let mut around = Some(table);
        while let Some(table) = around {
            self.all[table].after.iter().for_each(|after| after(state, request, reply));
            around = self.all[table].parent;
        }
    }

    /// Passes the response through the middleware of a table, after that of the tables around it.
    fn run_from_outermost<'r>(
        &self,
        table: usize,
        state: &mut S,
        request: &Request<'_>,
        mut response: Response<'r>,
    ) -> Next<'r> {
        let Table { parent, middleware, .. } = &self.all[table];
        if let Some(parent) = *parent {
            response = self.run_from_outermost(parent, state, request, response)?;
        }
        run_middleware(middleware, state, request, response)
    }

    /// The tables below this one that see a path, and that are `concerned`.
    fn below(
        &self,
        table: usize,
        path: &RequestPath<'_>,
        concerned: fn(&Table<S>) -> bool,
    ) -> impl DoubleEndedIterator<Item = &Table<S>> {
        let tables = self.all.iter().enumerate();
        let below = tables.filter(move |&(index, inner)| {
            concerned(inner) && self.is_below(index, table) && inner.prefix.covers(path)
        });
        below.map(|(_, inner)| inner)
    }

    /// Whether `inner` is for the same host as `outer`, and has a longer prefix or is mounted in it at any depth.
    fn is_below(&self, mut inner: usize, outer: usize) -> bool {
        if self.site(inner) != self.site(outer) {
            return false;
        }
        let depth = |table: usize| self.all[table].prefix.segments().len();
        if depth(inner) > depth(outer) {
            return true;
        }
        while let Some(parent) = self.all[inner].parent {
            if parent == outer {
                return true;
            }
            inner = parent;
        }
        false
    }
}
