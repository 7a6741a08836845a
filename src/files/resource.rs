//! What a path names when it names a file: the file itself and its coded variants, and which of them a request selects.

use std::io;
use std::os::fd::AsRawFd;
use std::rc::Rc;

use rustix::process::getrlimit;

use super::open_file::{Metadata, OpenFile};
use crate::exchange::Representation;
use crate::http::coding::{Coding, Wishes};
use crate::http::conditional::Conditions;
use crate::limits::{FILE_DESCRIPTORS, reserved_descriptors};

/// A file, and the same content in other codings.
#[derive(Debug)]
pub(super) struct Resource {
    /// The path of the file itself; for a directory, the path of its index.
    pub(super) path: Box<str>,
    pub(super) plain: Rc<Variant>,
    pub(super) coded: Vec<(Coding, Rc<Variant>)>,
}

/// One of the files of a resource: what is sent for it, and the state of the file from which that was made.
#[derive(Debug)]
pub(super) struct Variant {
    pub(super) representation: Representation,
    metadata: Metadata,
    /// The state of the file may not have told one content from another when this was made.
    uncertain: bool,
}

impl Resource {
    /// The variant that the client prefers.
    pub(super) fn select(&self, conditions: &Conditions<'_>) -> &Variant {
        if self.coded.is_empty() || conditions.accept_encoding.is_none() {
            return &self.plain;
        }
        let wanted = Wishes::read(&conditions.accept_encoding);
        wanted.in_order().find_map(|coding| self.variant(Some(coding))).unwrap_or(&self.plain)
    }

    /// The variant in this coding; with `None`, the plain file.
    pub(super) fn variant(&self, coding: Option<Coding>) -> Option<&Rc<Variant>> {
        match coding {
            None => Some(&self.plain),
            Some(coding) => self.coded.iter().find(|(known, _)| *known == coding).map(|(_, coded)| coded),
        }
    }

    fn variants(&self) -> impl Iterator<Item = &Rc<Variant>> {
        self.coded.iter().map(|(_, coded)| coded).chain([&self.plain])
    }

    /// Whether it holds a descriptor that no reply uses.
    pub(super) fn has_idle_file(&self) -> bool {
        self.variants().any(|variant| variant.representation.holds_alone())
    }

    /// Whether it holds a descriptor of those that are kept free for opening files. The kernel gives the lowest free
    /// number, so then nothing below the reserve was free.
    pub(super) fn takes_from_reserve(&self) -> bool {
        let files = self.variants().filter_map(|variant| variant.representation.file());
        files.map(AsRawFd::as_raw_fd).max().is_some_and(|highest| {
            let limit = getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
            u64::try_from(highest).is_ok_and(|highest| highest >= limit - reserved_descriptors(FILE_DESCRIPTORS, limit))
        })
    }

    /// Bytes that it takes in memory, about.
    pub(super) fn footprint(&self) -> usize {
        self.variants().map(|variant| size_of::<Variant>() + variant.representation.footprint()).sum()
    }
}

impl Variant {
    /// Makes a variant of a regular file, as [`OpenFile::into_representation`] does.
    pub(super) fn new(
        file: OpenFile,
        second: u64,
        in_memory: bool,
        describe: impl FnOnce(Representation) -> Representation,
    ) -> io::Result<Self> {
        let metadata = file.metadata;
        let representation = file.into_representation(second, in_memory, describe)?;
        Ok(Self { representation, metadata, uncertain: !metadata.is_certain(second) })
    }

    /// Whether a file that was opened now is certainly the one of which this was made.
    pub(super) fn is_of(&self, file: &OpenFile, second: u64) -> bool {
        self.metadata == file.metadata && !self.uncertain && self.metadata.is_certain(second)
    }

    /// Whether an open file is still in the same state. Content in memory does not change, so it always is.
    pub(super) fn is_unchanged(&self) -> bool {
        self.representation.file().is_none_or(|file| Metadata::of(file).is_ok_and(|now| now == self.metadata))
    }

    /// A variant in memory without a file.
    #[cfg(all(test, feature = "json"))]
    pub(super) fn of_bytes(bytes: usize) -> Self {
        use crate::http::conditional::Validators;
        let validators = Validators { tag: "", weak: false, modified: None };
        let representation = Representation::in_memory(vec![0; bytes].into(), &validators);
        let root = std::fs::File::open("/").expect("there is a root");
        Self { representation, metadata: Metadata::of(&root).expect("it is there"), uncertain: false }
    }
}
