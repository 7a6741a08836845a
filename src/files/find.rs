//! Finds what a path names: in the cache, or on the disk.

use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::fs::FileType;
use rustix::io::Errno;

use super::Files;
use super::cache::Entry;
use super::listing::Listing;
use super::rules::Rules;
use super::stored::{Item, Metadata, Opened};
use crate::exchange::Representation;
use crate::http::Error;
use crate::http::coding::Coding;
use crate::http::conditional::Conditions;

/// What a path names.
pub(super) enum Found {
    File(Rc<Entry>),
    /// A directory, and the path does not end in a slash.
    Directory,
    Listing(Listing),
}

/// How the result of a look-up is used, and whether descriptors are available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Means {
    /// The cache will keep the result.
    Ample,
    /// The cache is off: the result serves one request only.
    Uncached,
    /// Descriptors have run out: coded files that cannot be opened are left out, and the cache does not keep the
    /// result.
    Scarce,
}

/// Why nothing can be sent.
pub(super) enum Missing {
    /// There is no such file, or it must not be served.
    NotFound,
    Denied,
    /// The system is out of descriptors or memory.
    Exhausted(Errno),
    Failed(Errno),
}

impl From<Errno> for Missing {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL => Self::NotFound,
            // A link that leads outside, is part of a loop, or is not followed; a socket; a device without a driver.
            Errno::XDEV | Errno::LOOP | Errno::NXIO | Errno::NODEV => Self::NotFound,
            Errno::ACCESS | Errno::PERM => Self::Denied,
            Errno::MFILE | Errno::NFILE | Errno::NOMEM => Self::Exhausted(errno),
            errno => Self::Failed(errno),
        }
    }
}

impl From<Missing> for Error {
    fn from(missing: Missing) -> Self {
        match missing {
            Missing::NotFound => Self::not_found("Not found"),
            Missing::Denied => Self::new(403, "Forbidden"),
            Missing::Exhausted(errno) => Self::new(503, "Try again later").with_source(errno),
            Missing::Failed(errno) => Self::internal(errno),
        }
    }
}

impl Files {
    /// Finds what a path names: as the cache saw it in this second, or else as it is on the disk now.
    pub(super) fn look_up(&self, path: &str, conditions: &Conditions<'_>, second: u64) -> Result<Found, Missing> {
        let mut cache = self.cache.borrow_mut();
        let known = cache.get(path, second);
        if let Some((entry, true)) = &known
            && entry.choose(conditions).is_unchanged()
        {
            return Ok(Found::File(Rc::clone(entry)));
        }
        let known = known.map(|(entry, _)| entry);
        let means = if cache.is_on() { Means::Ample } else { Means::Uncached };
        let found = self.find(path, known.as_deref(), second, means);
        if let Err(Missing::Exhausted(_)) = found {
            // Close the descriptors that no reply needs at the moment, and try once more.
            self.root.close();
            cache.close_files();
            let found = self.find(path, None, second, Means::Scarce);
            return match (found, known) {
                // The path cannot be opened now. The cached entry is unchanged, so sending it is better than a 503.
                (Err(Missing::Exhausted(_)), Some(known)) if known.choose(conditions).is_unchanged() => {
                    cache.put(path, &known, second);
                    Ok(Found::File(known))
                }
                (found, _) => found,
            };
        }
        match &found {
            Ok(Found::File(entry)) => cache.put(path, entry, second),
            _ => cache.remove(path),
        }
        found
    }

    /// Looks on the disk for what a path names. Items that are the same as in `known` are taken from there.
    fn find(&self, path: &str, known: Option<&Entry>, second: u64, means: Means) -> Result<Found, Missing> {
        if !path.is_empty() && !path.ends_with('/') {
            let (file, metadata) = self.open(path, second)?;
            return match metadata.kind {
                FileType::RegularFile => {
                    let opened = Opened::new(file, metadata);
                    self.entry(path, opened, known, second, means).map(Found::File)
                }
                FileType::Directory => Ok(Found::Directory),
                _ => Err(Missing::NotFound),
            };
        }
        for index in &self.indexes {
            let path = format!("{path}{index}");
            match self.open(&path, second) {
                Ok((file, metadata)) if metadata.kind == FileType::RegularFile => {
                    let opened = Opened::new(file, metadata);
                    return self.entry(&path, opened, known, second, means).map(Found::File);
                }
                Ok(_) | Err(Missing::NotFound) => {}
                Err(missing) => return Err(missing),
            }
        }
        if !self.listing {
            return Err(Missing::NotFound);
        }
        let (directory, metadata) = self.open(path, second)?;
        if metadata.kind != FileType::Directory {
            return Err(Missing::NotFound);
        }
        let is_shown = |name: &str| self.is_served(name, path.is_empty());
        let look_behind = |name: &str| self.open(&format!("{path}{name}"), second).ok().map(|(_, metadata)| metadata);
        Ok(Found::Listing(Listing::read(directory, is_shown, look_behind)?))
    }

    fn open(&self, path: &str, second: u64) -> Result<(OwnedFd, Metadata), Missing> {
        let file = self.root.open(path, second)?;
        let metadata = Metadata::of(&file)?;
        Ok((file, metadata))
    }

    /// Makes the entry of a file that was just opened: the file itself, and the coded files beside it.
    fn entry(
        &self,
        path: &str,
        plain: Opened,
        known: Option<&Entry>,
        second: u64,
        means: Means,
    ) -> Result<Rc<Entry>, Missing> {
        let modified = plain.metadata.modified();
        let mut coded = Vec::new();
        // A file that has a coding of its own has no further coded files.
        let looks_around = self.precompressed && Rules::coding(path, &self.rules.media_type(path)).is_none();
        for coding in Coding::ALL.into_iter().filter(|_| looks_around) {
            match self.open(&format!("{path}{}", coding.suffix()), second) {
                Ok((file, metadata)) if metadata.kind == FileType::RegularFile && metadata.modified() >= modified => {
                    coded.push((coding, Opened::new(file, metadata)));
                }
                Err(missing @ Missing::Exhausted(_)) if means != Means::Scarce => return Err(missing),
                _ => {}
            }
        }
        // This includes `Scarce`: once a small file is read into memory, its descriptor is free again.
        let in_memory = means != Means::Uncached;
        let varies = !coded.is_empty();
        let item = |opened: Opened, coding: Option<Coding>| -> Result<Rc<Item>, Missing> {
            let same = known.filter(|known| known.coded.is_empty() != varies && *known.path == *path);
            let same = same.and_then(|known| known.coded(coding));
            if let Some(same) = same.filter(|same| opened.is(same, second)) {
                return Ok(Rc::clone(same));
            }
            let item = opened.into_item(second, in_memory, |stored| self.describe(path, stored, coding, varies));
            item.map(Rc::new).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO).into())
        };
        let plain = item(plain, None)?;
        let coded = coded.into_iter().map(|(coding, opened)| Ok((coding, item(opened, Some(coding))?)));
        Ok(Rc::new(Entry { path: path.into(), plain, coded: coded.collect::<Result<_, Missing>>()? }))
    }

    /// Adds the field lines that the rules give for a file.
    fn describe(&self, path: &str, stored: Representation, coding: Option<Coding>, varies: bool) -> Representation {
        let media_type = self.rules.media_type(path);
        let coding = coding.or_else(|| Rules::coding(path, &media_type));
        let mut described = stored.with("Content-Type", media_type);
        described = described.with("X-Content-Type-Options", "nosniff".to_owned());
        if let Some(coding) = coding {
            described = described.with("Content-Encoding", coding.name().to_owned());
        }
        if varies {
            described = described.with_kept("Vary", "Accept-Encoding".to_owned());
        }
        if let Some(value) = self.rules.cache_control(path) {
            described = described.with_kept("Cache-Control", value.to_owned());
        }
        described
    }

    /// Whether a file or directory of this name may be served.
    pub(super) fn is_served(&self, name: &str, is_first: bool) -> bool {
        let is_hidden = name.starts_with('.') && !(is_first && name == ".well-known");
        !name.contains(['/', '\\', '\0']) && (self.hidden || !is_hidden)
    }
}
