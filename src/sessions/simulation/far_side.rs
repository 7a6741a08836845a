//! The client's side of the kernel, and the transfer between the two sides.

use std::io::Read;

use super::kernel::{Flavour, Kernel, Received};

impl Kernel {
    /// Sends bytes of the client and returns how many were taken: 0 if the queue is full.
    pub(super) fn send(&mut self, number: usize, bytes: &[u8]) -> usize {
        let socket = &mut self.sockets[number];
        if socket.facts.closed.is_some() {
            // The server has closed the socket.
            self.trace.note(|| format!("client {number}: sends {} bytes too late", bytes.len()));
            if !self.sockets[number].broken {
                self.break_off(number);
            }
            return bytes.len();
        }
        let count = bytes.len().min(socket.client_room());
        if count > 0 {
            socket.received.extend(&bytes[..count]);
            socket.unread_since.get_or_insert(self.now);
            socket.pieces.push_back(count);
            socket.facts.sent += count;
            self.trace.note(|| format!("client {number}: sends {}", shown(&bytes[..count])));
            self.notify(number);
        }
        count
    }

    /// Marks the end of what was sent so far as urgent. There is at most one mark; a new one replaces the old one.
    pub(super) fn send_urgent(&mut self, number: usize) {
        let socket = &mut self.sockets[number];
        if socket.flavour == Flavour::Tcp && !socket.fin && socket.facts.closed.is_none() {
            socket.urgent = Some(socket.received.len());
            self.trace.note(|| format!("client {number}: urgent data"));
            self.notify(number);
        }
    }

    pub(super) fn client_fin(&mut self, number: usize) {
        self.trace.note(|| format!("client {number}: FIN"));
        self.sockets[number].fin = true;
        self.notify(number);
    }

    pub(super) fn client_reset(&mut self, number: usize) {
        self.trace.note(|| format!("client {number}: resets"));
        let socket = &mut self.sockets[number];
        socket.reset = true;
        socket.error = true;
        socket.sending.clear();
        socket.arrived.clear();
        self.notify(number);
    }

    /// Takes up to `most` bytes of what has arrived.
    pub(super) fn receive(&mut self, number: usize, most: usize) -> Received {
        self.transfer(number);
        let socket = &mut self.sockets[number];
        let count = socket.arrived.len().min(most);
        let received = match count {
            0 if socket.broken => Received::Reset,
            0 if socket.fin_sent => Received::End,
            0 => Received::Nothing,
            _ => {
                let mut bytes = vec![0; count];
                socket.arrived.read_exact(&mut bytes).expect("the queue has that many bytes");
                Received::Bytes(bytes)
            }
        };
        self.trace.note(|| match &received {
            Received::Bytes(bytes) => format!("client {number}: receives {}", shown(bytes)),
            other => format!("client {number}: receives {other:?}"),
        });
        self.transfer(number);
        self.tell_of_room(number);
        received
    }

    /// Moves the bytes that the server sent to the client, as far as the client has room for them.
    pub(super) fn transfer(&mut self, number: usize) {
        let socket = &mut self.sockets[number];
        let free = socket.sending.len().saturating_sub(socket.corked);
        let count = free.min(socket.sizes.arrived.saturating_sub(socket.arrived.len()));
        if count > 0 {
            socket.arrived.extend(socket.sending.drain(..count));
            self.trace.note(|| format!("kernel: connection {number}: {count} bytes reach the client"));
            self.tell_of_room(number);
        }
        let socket = &mut self.sockets[number];
        if socket.fin_sent && socket.sending.is_empty() && !socket.fin_acknowledged {
            socket.fin_acknowledged = true;
            self.notify(number);
        }
    }

    fn tell_of_room(&mut self, number: usize) {
        let socket = &mut self.sockets[number];
        if socket.will_tell_of_room() && socket.is_writable() {
            socket.nospace = false;
            self.notify(number);
        }
    }
}

/// The number of bytes, and the first of them, for the trace.
fn shown(bytes: &[u8]) -> String {
    let first = bytes[..bytes.len().min(70)].escape_ascii();
    format!("{} bytes: {first}{}", bytes.len(), if bytes.len() > 70 { "..." } else { "" })
}
