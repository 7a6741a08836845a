//! How a table of routes becomes a part of another.

use super::callback::{Callback, Whole};
use super::endpoint::Handler;
use super::host::{ANY_HOST, Site};
use super::path::Pattern;
use super::route::MethodFilter;
use super::routes::{Mount, Routes};
use crate::http::Method;

impl<S> Mount<S> for Routes<S> {
    fn mount_at(self, prefix: &str, routes: &mut Routes<S>) {
        self.mount_for(ANY_HOST, &Pattern::parse(prefix), routes);
    }
}

impl<S> Routes<S> {
    /// Adds all of this table to `routes`, below `prefix`, for a host.
    pub(super) fn mount_for(mut self, site: Site, prefix: &Pattern, routes: &mut Self) {
        let first_table = routes.tables.append(self.tables, prefix, site);
        routes.note_answers_inside();
        let mut parts: Vec<_> = self
            .endpoints
            .into_iter()
            .map(|endpoint| (prefix.join(&endpoint.pattern), endpoint.handlers, endpoint.upgrades.into_iter()))
            .collect();
        let mut at_prefix = None;
        // The routes keep the order in which they were registered.
        for (methods, endpoint) in self.listed {
            let (pattern, handlers, upgrades) = &mut parts[endpoint];
            if methods == MethodFilter::Upgrade {
                let mut upgrade = upgrades.next().expect("a listed upgrade is there");
                upgrade.settings.table += first_table;
                routes.add_upgrade(pattern.clone(), upgrade);
            } else {
                let at =
                    handlers.iter().position(|known| known.methods == methods).expect("a listed route has a handler");
                let mut handler = handlers.remove(at);
                handler.settings.table += first_table;
                // Without a prefix, it waits for the table around this one to be mounted.
                if prefix.depth() > 0
                    && pattern.depth_of_rest() == Some(prefix.depth())
                    && let Some(answer) = handler.settings.at_prefix.take()
                {
                    at_prefix = Some((answer, handler.settings.table));
                }
                routes.add(pattern.clone(), handler);
            }
        }
        if let Some((answer, table)) = at_prefix {
            routes.add_at_prefix(prefix, answer, table);
        }
        routes.timers.append(&mut self.timers);
        routes.keepers.append(&mut self.keepers);
        routes.reserve = routes.reserve.max(self.reserve);
        routes.upkeep.append(&mut self.upkeep);
    }

    /// Adds what answers at the prefix of a mounted table, unless something does already.
    fn add_at_prefix(&mut self, prefix: &Pattern, answer: Whole<S>, table: usize) {
        let site = self.tables.site(table);
        let is_taken = self.endpoints.iter().any(|known| {
            let is_there = known.pattern.as_str() == prefix.as_str() && self.tables.site(known.table) == site;
            is_there && known.handler(Method::Get).is_some()
        });
        if !is_taken {
            let mut handler = Handler::new(MethodFilter::Only(Method::Get), Callback::Whole(answer));
            handler.settings.table = table;
            self.add(prefix.join(&Pattern::root()), handler);
        }
    }
}
