//! An exchange in memory that costs as little as it can beside the exchange itself.

use super::TestClient;
use crate::exchange::Service;

/// Sends requests and lets the server answer; gives the length of the replies. They stay in the buffer they came in, and
/// the next ones take their place: so nothing is allocated for the client's sake.
#[inline(never)]
pub fn exchange<A: Service>(client: &mut TestClient<A>, requests: &[u8]) -> usize {
    client.act(|wire| {
        wire.outbound.clear();
        wire.inbound.extend(requests);
    });
    client.connection.link.wire().outbound.len()
}
