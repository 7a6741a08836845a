//! A path and its handlers and protocols.

use super::callback::{BoxedFactory, Callback, ProtocolFactory};
use super::path::Pattern;
use super::route::{MethodFilter, RouteSettings};
use super::unhandled::Unhandled;
use crate::exchange::{Protocol, Request, Response};
use crate::http::{Error, Method, MethodSet, Result, is_token};

/// A path, and the handler for each method.
pub(super) struct Endpoint<S> {
    pub(super) pattern: Pattern,
    /// The index of the table that registered the path first. It answers where no handler does.
    pub(super) table: usize,
    pub(super) handlers: Vec<Handler<S>>,
    /// Which of the handlers answers each method that the server knows by itself; [`NO_HANDLER`] if none does.
    by_method: [u8; Method::ALL.len()],
    /// Whether something else may answer a request whose path leads here: see `locate`.
    pub(super) may_yield: bool,
    pub(super) upgrades: Vec<Upgrade<S>>,
    /// The answers for methods without a handler. They are boxed, so that the fields that each request uses are close
    /// together in memory.
    pub(super) unhandled: Box<Unhandled>,
}

/// The handler of one route.
pub(super) struct Handler<S> {
    pub(super) methods: MethodFilter,
    pub(super) callback: Callback<S>,
    pub(super) settings: RouteSettings<S>,
}

/// What a client gets that does not offer the protocol of a path, beside the name of the protocol (RFC 9110 §15.5.22).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) message: &'static str,
    pub(crate) fields: &'static [(&'static str, &'static str)],
}

impl Wanted {
    pub(super) const ANY: Self = Self { message: "This is served by another protocol", fields: &[] };

    /// The 426, which names the protocols.
    pub(crate) fn refusal(
        message: &'static str,
        protocols: String,
        fields: impl IntoIterator<Item = &'static (&'static str, &'static str)>,
    ) -> Error {
        let error = Error::new(426, message).with_header("Upgrade", protocols).with_header("Connection", "upgrade");
        fields.into_iter().fold(error, |error, &(name, value)| error.with_header(name, value))
    }
}

/// A protocol to which a client can switch at a path.
pub(super) struct Upgrade<S> {
    pub(super) protocol: Box<str>,
    /// What the reply to a client says that does not offer it.
    pub(super) wanted: Wanted,
    pub(super) factory: ProtocolFactory<S>,
    pub(super) settings: RouteSettings<S>,
}

const NO_HANDLER: u8 = u8::MAX;

impl<S> Handler<S> {
    pub(super) fn new(methods: MethodFilter, callback: Callback<S>) -> Self {
        Self { methods, callback, settings: RouteSettings::new() }
    }
}

impl<S> Endpoint<S> {
    pub(super) fn new(pattern: Pattern, table: usize) -> Self {
        Self {
            pattern,
            table,
            handlers: Vec::new(),
            by_method: [NO_HANDLER; Method::ALL.len()],
            may_yield: false,
            upgrades: Vec::new(),
            unhandled: Box::new(Unhandled::new(MethodSet::EMPTY, None)),
        }
    }

    /// Adds a handler.
    ///
    /// # Panics
    /// If the path has a handler for the same methods already.
    pub(super) fn add(&mut self, handler: Handler<S>) {
        let (path, methods) = (self.pattern.as_str(), handler.methods);
        assert!(
            self.handlers.iter().all(|known| known.methods != methods),
            "{path} has a route for {methods:?} already"
        );
        self.handlers.push(handler);
        self.by_method = Method::ALL.map(|method| self.find(method).map_or(NO_HANDLER, |at| at as u8));
        *self.unhandled = Unhandled::new(self.allowed(), self.upgrade_required());
    }

    /// Adds a protocol to which clients can switch.
    ///
    /// # Panics
    /// If the path has a protocol of this name already.
    pub(super) fn add_upgrade(&mut self, upgrade: Upgrade<S>) {
        let (path, protocol) = (self.pattern.as_str(), &upgrade.protocol);
        let known = self.upgrades.iter().any(|known| known.protocol.eq_ignore_ascii_case(protocol));
        assert!(!known, "{path} can be upgraded to {protocol} already");
        self.upgrades.push(upgrade);
        *self.unhandled = Unhandled::new(self.allowed(), self.upgrade_required());
    }

    /// The handler for `method`.
    #[inline]
    pub(super) fn handler(&self, method: Method) -> Option<&Handler<S>> {
        match self.by_method.get(usize::from(method.index())) {
            Some(&at) => self.handlers.get(usize::from(at)),
            None => self.extension_handler(method),
        }
    }

    /// Whether a request with this method is answered: by a handler, or by a protocol, which also answers each GET
    /// that does not offer it, with a 426.
    #[inline]
    pub(super) fn answers(&self, method: Method) -> bool {
        self.handler(method).is_some() || (!self.upgrades.is_empty() && matches!(method, Method::Get | Method::Head))
    }

    /// Whether another endpoint answers a method that this one does not.
    pub(super) fn lacks_method_of(&self, other: &Self) -> bool {
        // `Any` takes more methods than can be listed.
        let takes_any = |endpoint: &Self| endpoint.handlers.iter().any(|known| known.methods == MethodFilter::Any);
        let only = other.handlers.iter().filter_map(|known| match known.methods {
            MethodFilter::Only(method) => Some(method),
            _ => None,
        });
        (takes_any(other) && !takes_any(self))
            || Method::ALL.into_iter().chain(only).any(|method| other.answers(method) && !self.answers(method))
    }

    /// The handler for an extension method. They are rare, so nothing is prepared for them.
    #[cold]
    fn extension_handler(&self, method: Method) -> Option<&Handler<S>> {
        self.find(method).map(|at| &self.handlers[at])
    }

    /// What answers a request.
    #[inline(always)]
    pub(super) fn callback(&self, request: &Request<'_>) -> Option<&Callback<S>> {
        self.handler(request.method()).map(|handler| &handler.callback)
    }

    /// The index of the handler for `method`: its own one; for HEAD also that of GET; else the one for any method.
    fn find(&self, method: Method) -> Option<usize> {
        let find = |methods| self.handlers.iter().position(|known| known.methods == methods);
        match (find(MethodFilter::Only(method)), method) {
            (_, Method::Trace) => None,
            (Some(at), _) => Some(at),
            (None, Method::Head) => find(MethodFilter::Only(Method::Get)).or_else(|| find(MethodFilter::Any)),
            (None, _) => find(MethodFilter::Any),
        }
    }

    /// The methods that are answered, for the `Allow` field.
    pub(super) fn allowed(&self) -> MethodSet {
        let mut allowed = MethodSet::EMPTY.with(Method::Options);
        for method in Method::ALL {
            if self.handler(method).is_some() || (method == Method::Get && !self.upgrades.is_empty()) {
                allowed = allowed.with(method);
            }
        }
        for handler in &self.handlers {
            if let MethodFilter::Only(method @ Method::Extension(_)) = handler.methods {
                allowed = allowed.with(method);
            }
        }
        allowed
    }

    /// The protocol that the client offers and this path supports; if there are several, the first one that was
    /// registered.
    pub(super) fn offered(&self, request: &Request<'_>) -> Option<&Upgrade<S>> {
        if !request.offers_upgrade() || request.method() != Method::Get {
            return None;
        }
        self.upgrades.iter().find(|upgrade| {
            let offers = request.headers().all("upgrade").flat_map(|value| value.split(|&byte| byte == b','));
            offers.map(<[u8]>::trim_ascii).any(|offer| is_named(offer, &upgrade.protocol))
        })
    }

    /// The reply to a GET that offers none of the protocols of this path, if it has any (RFC 9110 §15.5.22).
    fn upgrade_required(&self) -> Option<Error> {
        let names: Vec<&str> = self.upgrades.iter().map(|upgrade| &*upgrade.protocol).collect();
        let fields = self.upgrades.iter().flat_map(|upgrade| upgrade.wanted.fields);
        Some(Wanted::refusal(self.upgrades.first()?.wanted.message, names.join(", "), fields))
    }
}

impl<S> Upgrade<S> {
    /// # Panics
    /// If `protocol` is not the name of one.
    pub(super) fn new<T: Protocol<S> + 'static>(
        protocol: &str,
        wanted: Wanted,
        factory: impl for<'r> Fn(&mut S, &Request<'_>, Response<'r>) -> Result<(Response<'r>, T)> + 'static,
    ) -> Self {
        assert!(protocol.split('/').all(|part| is_token(part.as_bytes())), "not the name of a protocol: {protocol:?}");
        let settings = RouteSettings::new();
        Self { protocol: protocol.into(), wanted, factory: BoxedFactory(factory).into_boxed(), settings }
    }
}

/// Whether an offer names this protocol: with the same version, or with any version if `protocol` has none.
fn is_named(offer: &[u8], protocol: &str) -> bool {
    let name = offer.split(|&byte| byte == b'/').next().unwrap_or_default();
    offer.eq_ignore_ascii_case(protocol.as_bytes()) || name.eq_ignore_ascii_case(protocol.as_bytes())
}
