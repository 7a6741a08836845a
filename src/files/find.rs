//! Finds what a path names: in the cache, or on the disk.

use std::io;
use std::rc::Rc;

use rustix::io::Errno;

use super::Files;
use super::open_file::OpenFile;
use super::resource::{Resource, Variant};
use super::rules::Rules;
use crate::exchange::{Representation, Response};
use crate::http::Error;
use crate::http::coding::Coding;
use crate::http::conditional::Conditions;

/// What a path names.
pub(super) enum Found {
    File(Rc<Resource>),
    /// A directory, and the path does not end in a slash.
    Directory,
    /// A directory whose names are listed.
    Listing(OpenFile),
}

/// How a path is looked up on the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The cache will keep the result.
    Cached,
    /// The cache is off: the result serves one request only.
    Uncached,
    /// Descriptors have run out: coded files that cannot be opened are left out, and the cache does not keep the
    /// result.
    OutOfDescriptors,
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

impl From<io::Error> for Missing {
    fn from(error: io::Error) -> Self {
        Errno::from_io_error(&error).unwrap_or(Errno::IO).into()
    }
}

#[diagnostic::do_not_recommend]
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
    pub(super) fn look_up(
        &self,
        path: &str,
        conditions: &Conditions<'_>,
        res: &Response<'_>,
    ) -> Result<Found, Missing> {
        let second = res.unix_second();
        let mut cache = self.cache.borrow_mut();
        let known = cache.get(path, second);
        if let Some((resource, true)) = &known
            && resource.select(conditions).is_unchanged()
        {
            return Ok(Found::File(Rc::clone(resource)));
        }
        let known = known.map(|(resource, _)| resource);
        // From here on, something may be kept open.
        if !self.in_upkeep.replace(true) {
            res.ask_timers();
        }
        let mode = if cache.is_on() { Mode::Cached } else { Mode::Uncached };
        let found = self.find(path, known.as_deref(), second, mode);
        if let Err(Missing::Exhausted(_)) = found {
            // Close the descriptors that no reply needs at the moment, and try once more.
            self.root.close();
            cache.close_files();
            let found = self.find(path, None, second, Mode::OutOfDescriptors);
            return match (found, known) {
                // The path cannot be opened now. The cached file is unchanged, so sending it is better than a 503.
                (Err(Missing::Exhausted(_)), Some(known)) if known.select(conditions).is_unchanged() => {
                    cache.put(path, &known, second);
                    Ok(Found::File(known))
                }
                (found, _) => found,
            };
        }
        match &found {
            Ok(Found::File(resource)) => cache.put(path, resource, second),
            _ => cache.remove(path),
        }
        found
    }

    /// Looks on the disk for what a path names. Variants that are the same as in `known` are taken from there.
    fn find(&self, path: &str, known: Option<&Resource>, second: u64, mode: Mode) -> Result<Found, Missing> {
        if !path.is_empty() && !path.ends_with('/') {
            return match self.root.open(path, second)? {
                file if file.is_regular() => self.resource(path, file, known, second, mode).map(Found::File),
                file if file.is_directory() => Ok(Found::Directory),
                _ => Err(Missing::NotFound),
            };
        }
        for index in &self.indexes {
            let path = format!("{path}{index}");
            match self.root.open(&path, second).map_err(Missing::from) {
                Ok(file) if file.is_regular() => {
                    return self.resource(&path, file, known, second, mode).map(Found::File);
                }
                Ok(_) | Err(Missing::NotFound) => {}
                Err(missing) => return Err(missing),
            }
        }
        if !self.listing {
            return Err(Missing::NotFound);
        }
        let directory = self.root.open(path, second)?;
        if !directory.is_directory() {
            return Err(Missing::NotFound);
        }
        Ok(Found::Listing(directory))
    }

    /// Makes the resource of a file that was just opened: the file itself, and the coded files beside it.
    fn resource(
        &self,
        path: &str,
        plain: OpenFile,
        known: Option<&Resource>,
        second: u64,
        mode: Mode,
    ) -> Result<Rc<Resource>, Missing> {
        let coded = self.open_coded(path, &plain, second, mode)?;
        // This includes `OutOfDescriptors`: once a small file is read into memory, its descriptor is free again.
        let in_memory = mode != Mode::Uncached;
        let varies = !coded.is_empty();
        let variant = |file: OpenFile, coding: Option<Coding>| -> Result<Rc<Variant>, Missing> {
            let same = known.filter(|known| known.coded.is_empty() != varies && *known.path == *path);
            let same = same.and_then(|known| known.variant(coding));
            if let Some(same) = same.filter(|same| same.is_of(&file, second)) {
                return Ok(Rc::clone(same));
            }
            let describe = |representation| self.describe(path, representation, coding, varies);
            let variant = Variant::new(file, second, in_memory, describe);
            Ok(Rc::new(variant?))
        };
        let plain = variant(plain, None)?;
        let coded = coded.into_iter().map(|(coding, file)| Ok((coding, variant(file, Some(coding))?)));
        Ok(Rc::new(Resource { path: path.into(), plain, coded: coded.collect::<Result<_, Missing>>()? }))
    }

    /// Opens the coded files beside a file that are not older than it.
    fn open_coded(
        &self,
        path: &str,
        plain: &OpenFile,
        second: u64,
        mode: Mode,
    ) -> Result<Vec<(Coding, OpenFile)>, Missing> {
        let modified = plain.metadata.modified();
        let mut coded = Vec::new();
        // A file that has a coding of its own has no further coded files.
        let looks_around = self.precompressed && Rules::coding(path, &self.rules.media_type(path)).is_none();
        for coding in Coding::ALL.into_iter().filter(|_| looks_around) {
            match self.root.open(&format!("{path}{}", coding.suffix()), second).map_err(Missing::from) {
                Ok(file) if file.is_regular() && file.metadata.modified() >= modified => coded.push((coding, file)),
                Err(missing @ Missing::Exhausted(_)) if mode != Mode::OutOfDescriptors => return Err(missing),
                _ => {}
            }
        }
        Ok(coded)
    }

    /// Adds the field lines that the rules give for a file.
    fn describe(&self, path: &str, plain: Representation, coding: Option<Coding>, varies: bool) -> Representation {
        let media_type = self.rules.media_type(path);
        let coding = coding.or_else(|| Rules::coding(path, &media_type));
        let mut described = plain.with("Content-Type", media_type);
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
