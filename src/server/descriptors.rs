//! The descriptors of the process: how many may be open, and what helps when none is free.

use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, getrlimit, setrlimit};

use crate::exchange::{Service, guard};

/// Whether a call failed because no descriptor is free.
pub(super) fn ran_out(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// Asks the application to close descriptors that it only keeps. Returns whether it closed any.
pub(super) fn free(service: &mut dyn Service) -> bool {
    guard(|| service.free_descriptors()).unwrap_or_else(|panic| {
        log::error!("the application's free_descriptors {panic}");
        false
    })
}

/// Raises the soft limit of open descriptors to the hard limit. If the kernel refuses, the soft limit stays.
pub(super) fn raise_limit() {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        if let Err(error) = setrlimit(Resource::Nofile, limit) {
            log::debug!("cannot raise the descriptor limit: {error}");
        }
    }
}
