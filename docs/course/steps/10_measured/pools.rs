//! Buffers that are lent. An idle connection owns none, so ten thousand of them cost little; and a request that finds a
//! buffer here costs no allocation.

use crate::output::OutputQueue;
use crate::receive::Receive;

/// Buffers of each kind that are kept. The rest goes back to the allocator.
const KEPT: usize = 64;

/// Last in, first out: the buffer that is lent next is the one that the processor's cache is most likely to have.
#[derive(Debug, Default)]
pub struct Pools {
    receive: Vec<Receive>,
    output: Vec<OutputQueue>,
}

impl Pools {
    pub fn lend_receive(&mut self) -> Receive {
        self.receive.pop().unwrap_or_default()
    }

    pub fn lend_output(&mut self) -> OutputQueue {
        self.output.pop().unwrap_or_default()
    }

    /// Takes back the buffers that hold nothing.
    pub fn settle(&mut self, receive: &mut Option<Receive>, output: &mut Option<OutputQueue>) {
        if let Some(empty) = receive.take_if(|receive| receive.is_empty())
            && self.receive.len() < KEPT
        {
            self.receive.push(empty);
        }
        if let Some(empty) = output.take_if(|output| output.is_empty())
            && self.output.len() < KEPT
        {
            self.output.push(empty);
        }
    }
}
