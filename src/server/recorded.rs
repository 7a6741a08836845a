//! What is recorded of a loop: which connections, and from when on.

use super::error::{Error, Result};
use super::event_loop::{EventLoop, Parts};
use super::socket::{Shelved, Socket};
use crate::exchange::Endpoint;

impl Parts {
    /// Begins the recording, if there is to be one.
    pub(super) fn begin_recording(mut self) -> Result<Self> {
        if let Some(recorder) = self.recorder.take() {
            let tape = recorder.begin(&self.config, &mut *self.clock).map_err(Error::Recording)?;
            self.clock = tape.clock(self.clock);
            self.observers.push(tape.observer());
            self.tape = Some(tape);
        }
        Ok(self)
    }
}

impl EventLoop {
    /// The socket, or one whose calls are recorded, if those of this peer are.
    pub(super) fn taped(&mut self, socket: Socket, peer: &Endpoint) -> Socket {
        let Some(tape) = &mut self.tape else { return socket };
        match tape.wants(peer) {
            true => Socket::Recorded(Shelved::new(tape.transport(socket))),
            false => socket,
        }
    }
}
