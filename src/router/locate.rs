//! From a request to the endpoint that answers it.
//!
//! The path leads to one endpoint, and nearly always that one answers. It yields in two cases:
//!
//! - It ends in `*rest`, and a table that is mounted below its prefix answers where it has no route itself.
//! - It has no route for the method, and another endpoint that ends in `*rest` matches the path and has one. So a
//!   `DELETE /files/:name` does not hide the `GET /files/*path` of files.
//!
//! All that happens here and nowhere else, because each later step has to see the same endpoint: the admission of the
//! content, the guards, the handler, and what sees the reply.

use super::endpoint::Endpoint;
use super::routes::Routes;
use super::trie::Trie;
use crate::exchange::{Params, Request, Spans};
use crate::http::{Method, MethodSet};

impl<S> Routes<S> {
    /// The endpoint that answers a request, and the request with the parameters of that route.
    #[inline(always)]
    pub(super) fn locate<'a>(
        &'a self,
        request: Request<'a>,
        spans: &'a mut Spans,
    ) -> (Option<&'a Endpoint<S>>, Request<'a>) {
        self.locate_in(self.trie_for(&request), request, spans)
    }

    /// The routes that a request is looked up in: those of its host, if it has any.
    #[inline]
    pub(super) fn trie_for(&self, request: &Request<'_>) -> &Trie {
        self.hosts.trie(self.hosts.of(request)).unwrap_or(&self.trie)
    }

    /// As [`locate`](Self::locate), in these routes.
    #[inline(always)]
    pub(super) fn locate_in<'a>(
        &'a self,
        trie: &Trie,
        request: Request<'a>,
        spans: &'a mut Spans,
    ) -> (Option<&'a Endpoint<S>>, Request<'a>) {
        let Some(index) = trie.find(request.raw_path(), spans) else { return (None, request) };
        let mut endpoint = &self.endpoints[index];
        if endpoint.may_yield {
            match self.yielded_to(endpoint, request.raw_path(), request.method(), spans) {
                Some(answering) => endpoint = answering,
                None => return (None, request),
            }
        }
        (Some(endpoint), request.with_params(Params { names: endpoint.pattern.names(), spans }))
    }

    /// Notes which endpoints may yield after this one has got a route. So all others cost a request one check.
    pub(super) fn note_yielding(&mut self, changed: usize) {
        let is_rest = self.endpoints[changed].pattern.depth_of_rest().is_some();
        let inside = is_rest && self.tables.answer_inside();
        self.endpoints[changed].may_yield = inside || self.rests.iter().any(|&rest| self.may_yield_to(changed, rest));
        if is_rest {
            for index in 0..self.endpoints.len() {
                self.endpoints[index].may_yield |= self.may_yield_to(index, changed);
            }
        }
    }

    /// Notes that the endpoints that end in `*rest` may yield, if a mounted table answers where it has no route.
    pub(super) fn note_answers_inside(&mut self) {
        if self.tables.answer_inside() {
            self.rests.iter().for_each(|&rest| self.endpoints[rest].may_yield = true);
        }
    }

    /// Whether there can be a request that leads to one endpoint, and that another one answers, which ends in `*rest`.
    fn may_yield_to(&self, index: usize, rest: usize) -> bool {
        let (endpoint, rest) = (&self.endpoints[index], &self.endpoints[rest]);
        endpoint.pattern.can_hide(&rest.pattern)
            && self.tables.site(endpoint.table) == self.tables.site(rest.table)
            && endpoint.lacks_method_of(rest)
    }

    /// The endpoint that answers a request which leads to one that may yield: that one, or another, the positions of
    /// whose parameters are written to `spans`. `None` if a mounted table answers.
    #[cold]
    fn yielded_to<'a>(
        &'a self,
        endpoint: &'a Endpoint<S>,
        path: &[u8],
        method: Method,
        spans: &mut Spans,
    ) -> Option<&'a Endpoint<S>> {
        if self.tables.come_before(endpoint.table, &endpoint.pattern, path) {
            return None;
        }
        if endpoint.answers(method) {
            return Some(endpoint);
        }
        let Some((rest, found)) = self.rests_beside(endpoint, path).find(|(rest, _)| rest.answers(method)) else {
            return Some(endpoint);
        };
        *spans = found;
        Some(rest)
    }

    /// The methods that other endpoints answer at a path that leads to this one.
    pub(super) fn allowed_beside(&self, endpoint: &Endpoint<S>, path: &[u8]) -> MethodSet {
        let beside = self.rests_beside(endpoint, path);
        beside.fold(MethodSet::EMPTY, |allowed, (rest, _)| allowed.union(rest.allowed()))
    }

    /// The endpoints of the same host that end in `*rest` and match this path, the one with the longest prefix first,
    /// with the positions of their parameters. Those are left out in whose place a mounted table answers.
    fn rests_beside<'a>(
        &'a self,
        endpoint: &'a Endpoint<S>,
        path: &[u8],
    ) -> impl Iterator<Item = (&'a Endpoint<S>, Spans)> {
        let site = self.tables.site(endpoint.table);
        let others = self
            .rests
            .iter()
            .map(|&index| &self.endpoints[index])
            .filter(move |rest| self.tables.site(rest.table) == site && !std::ptr::eq(*rest, endpoint));
        others.filter_map(move |rest| {
            let spans = rest.pattern.match_rest(path)?;
            (!self.tables.come_before(rest.table, &rest.pattern, path)).then_some((rest, spans))
        })
    }
}
