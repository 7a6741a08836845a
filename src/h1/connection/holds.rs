//! What a connection holds of the pools, for tests.

use super::Connection;
use super::context::Pools;
use super::exchange::Exchange;
use super::phase::Phase;
use super::states::ContentState;
use crate::buffer::Pooled;

/// The boxes that a connection holds, each as bytes in it and bytes of its memory.
#[derive(Debug)]
pub(crate) struct Holds {
    pub(crate) receive: Option<(usize, usize)>,
    pub(crate) output: Option<(usize, usize)>,
    /// Bytes of memory of the exchange, beside the box itself.
    pub(crate) exchange: Option<usize>,
    /// Content so far, without the head.
    pub(crate) collecting: Option<(usize, usize)>,
}

impl Holds {
    /// Bytes of memory for input, for output, and for the content that comes.
    #[cfg(feature = "json")]
    pub(crate) fn memory(&self) -> [usize; 3] {
        let [input, output, content] =
            [self.receive, self.output, self.collecting].map(|held| held.map_or(0, |(_, memory)| memory));
        [input, output, content + self.exchange.unwrap_or(0)]
    }
}

impl Connection {
    /// The exchange that goes on, or that was cut short.
    fn exchange(&self) -> Option<&Exchange> {
        match &self.phase {
            Phase::Exchange(exchange) | Phase::Closed { unfinished: Some(exchange), .. } => Some(exchange),
            _ => None,
        }
    }

    pub(crate) fn holds(&self) -> Holds {
        let collecting = match self.exchange().map(|exchange| &exchange.content) {
            Some(ContentState::Collected(collecting)) => {
                Some((collecting.content.bytes().len(), collecting.footprint()))
            }
            _ => None,
        };
        Holds {
            receive: self.buffers.input.as_deref().map(|input| (input.bytes().len(), input.footprint())),
            output: self.buffers.output.as_deref().map(|output| (output.len(), output.footprint())),
            exchange: self.exchange().map(|exchange| exchange.content.footprint()),
            collecting,
        }
    }

    /// What is owed, together with what the observer keeps until it has left.
    #[cfg(test)]
    pub(crate) fn weight(&self) -> usize {
        self.buffers.weight()
    }

    /// Whether content is coming, or would come if the application had not paused it.
    #[cfg(test)]
    pub(crate) fn has_open_content(&self) -> bool {
        let is_over = |exchange: &Exchange| matches!(exchange.content, ContentState::Done | ContentState::Unread);
        self.exchange().is_some_and(|exchange| !is_over(exchange))
    }
}

impl Pools {
    /// How many boxes each pool has lent: of input, output, exchanges and collected content.
    pub(crate) const fn lent(&self) -> [usize; 4] {
        [self.receive.lent(), self.output.lent(), self.exchange.lent(), self.collecting.lent()]
    }

    /// Bytes of the idle boxes in all pools.
    pub(crate) const fn idle_bytes(&self) -> usize {
        self.receive.idle_bytes() + self.output.idle_bytes() + self.exchange.idle_bytes() + self.collecting.idle_bytes()
    }
}
