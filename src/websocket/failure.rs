//! Why a connection fails (RFC 6455 §7.1.7), and the codes that Close frames say it with.

/// The codes that the server sends by itself (RFC 6455 §7.4.1; 1013 is registered with IANA).
pub(crate) mod code {
    pub(crate) const GOING_AWAY: u16 = 1001;
    pub(crate) const PROTOCOL_ERROR: u16 = 1002;
    pub(crate) const INVALID_DATA: u16 = 1007;
    pub(crate) const TOO_BIG: u16 = 1009;
    pub(crate) const INTERNAL: u16 = 1011;
    pub(crate) const TRY_AGAIN_LATER: u16 = 1013;
}

/// What a Close frame without a code means, on the side that gets it (RFC 6455 §7.1.5).
pub(crate) const NO_CODE: u16 = 1005;

/// What an end without a Close frame means.
pub(crate) const NO_CLOSE: u16 = 1006;

/// Why the connection must fail: the code of the Close frame that says so, and a sentence for its reason and the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) code: u16,
    pub(crate) why: &'static str,
}

impl Failure {
    pub(crate) const fn protocol(why: &'static str) -> Self {
        Self { code: code::PROTOCOL_ERROR, why }
    }

    pub(crate) const fn invalid(why: &'static str) -> Self {
        Self { code: code::INVALID_DATA, why }
    }

    pub(crate) const fn too_big(why: &'static str) -> Self {
        Self { code: code::TOO_BIG, why }
    }

    pub(crate) const NOT_UTF8: Self = Self::invalid("text is not UTF-8");
    /// The length of a Close frame shows it already.
    pub(crate) const HALF_A_CODE: Self = Self::protocol("a Close frame has half a code");
    pub(crate) const TOO_LONG: Self = Self::too_big("a message is too long");
}
