//! Everything outside of the server: the kernel and the clients. The server's sockets call it in the middle of a turn,
//! and during each call anything can happen there.

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::rc::Rc;

use super::affairs::{Shared, lock};
use super::client::Client;
use super::errands;
use super::kernel::{Flavour, Kernel};
use crate::buffer::FileRange;
use crate::exchange::{CloseReason, Endpoint};
use crate::http::Moment;
use crate::sessions::{Transport, send_by_reading};

pub(super) struct Outside {
    pub(super) kernel: Kernel,
    pub(super) clients: Vec<Client>,
    /// What other threads of the server's process do.
    pub(super) affairs: Shared,
    /// How often something happens outside during a call of the server, in percent.
    pub(super) bustle: usize,
}

impl Outside {
    /// The clients that have something to do now.
    pub(super) fn due(&self) -> Vec<usize> {
        let is_due = |client: &&Client| client.next_action(&self.kernel).is_some_and(|at| at <= self.kernel.now);
        self.clients.iter().filter(is_due).map(|client| client.number).collect()
    }

    /// When the next client will do something.
    pub(super) fn next_action(&self) -> Option<Moment> {
        self.clients.iter().filter_map(|client| client.next_action(&self.kernel)).min()
    }

    pub(super) fn step(&mut self, number: usize) {
        self.clients[number].step(&mut self.kernel);
    }

    /// Runs an errand.
    pub(super) fn run_errand(&mut self) {
        errands::act(&self.affairs);
        self.tell();
    }

    /// Moves the lines of the application to the trace.
    pub(super) fn tell(&mut self) {
        let lines = std::mem::take(&mut lock(&self.affairs).lines);
        lines.into_iter().for_each(|line| self.kernel.trace.note(|| line));
    }

    /// Lets something happen while the server is in the kernel.
    fn meanwhile(&mut self) {
        let random = &mut self.kernel.random;
        if !random.percent(self.bustle) {
            return;
        }
        let number = random.below(self.clients.len());
        if random.percent(30) {
            self.kernel.transfer(number);
        }
        if self.kernel.random.percent(30) {
            self.run_errand();
        }
        if self.clients[number].next_action(&self.kernel).is_some_and(|at| at <= self.kernel.now) {
            self.step(number);
        }
    }
}

/// The server's side of a socket.
pub(super) struct SimulatedSocket {
    pub(super) outside: Rc<RefCell<Outside>>,
    pub(super) number: usize,
    /// The server closed its side with the last bytes, and only has to drop the socket.
    pub(super) wrote_last: bool,
}

impl SimulatedSocket {
    fn call<R>(&self, call: impl FnOnce(&mut Kernel, usize) -> R) -> R {
        let mut outside = self.outside.borrow_mut();
        outside.meanwhile();
        let result = call(&mut outside.kernel, self.number);
        outside.meanwhile();
        result
    }
}

impl Transport for SimulatedSocket {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        self.call(|kernel, number| kernel.read(number, room))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_last(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.write(bytes)?;
        if count == bytes.len() {
            self.wrote_last = true;
            self.half_close()?;
        }
        Ok(count)
    }

    fn write_ahead(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.call(|kernel, number| kernel.write_ahead(number, bytes))
    }

    /// Now and then the file is one that sendfile(2) cannot send.
    fn send_file(&mut self, range: &FileRange, most: usize) -> io::Result<usize> {
        let refused = self.outside.borrow_mut().kernel.random.percent(15);
        let sent = match refused {
            true => send_by_reading(self, range, most)?,
            false => self.call(|kernel, number| kernel.send_file(number, range, most))?,
        };
        self.outside.borrow_mut().kernel.sockets[self.number].facts.file_bytes += sent;
        Ok(sent)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.call(|kernel, number| kernel.write(number, slices))
    }

    fn half_close(&mut self) -> io::Result<()> {
        self.call(Kernel::half_close)
    }

    fn reset(&mut self) {
        self.outside.borrow_mut().kernel.break_off(self.number);
    }

    fn local(&self) -> Endpoint {
        Endpoint::Unix
    }

    fn short_means_exhausted(&self) -> bool {
        self.outside.borrow().kernel.sockets[self.number].flavour == Flavour::Tcp
    }

    fn ended(&mut self, reason: CloseReason) {
        self.call(|kernel, number| kernel.ended(number, reason));
    }
}

impl Drop for SimulatedSocket {
    fn drop(&mut self) {
        // When a check has failed, the world may be dropped in the middle of a call.
        if let Ok(mut outside) = self.outside.try_borrow_mut() {
            outside.kernel.close(self.number);
        }
    }
}
