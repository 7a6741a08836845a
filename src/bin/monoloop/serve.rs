//! The application that serves the files of a directory.

use std::ffi::OsString;
use std::fs;
use std::ops::ControlFlow;
#[cfg(feature = "live")]
use std::path::Path;
use std::path::{self, PathBuf};

use monoloop::files::{Files, Symlinks};
use monoloop::limits::CACHE_BYTES;
use monoloop::middleware::Cors;
use monoloop::{Method, Router};

use crate::health;
use crate::options::{FileSettings, Settings};

/// A directory, and how the server serves it. Each event loop makes its own application from it.
#[derive(Debug)]
pub(crate) struct Site {
    directory: PathBuf,
    settings: FileSettings,
    /// The path of the health check.
    health: Option<String>,
}

impl Site {
    /// # Errors
    /// One sentence, when the directory cannot be read.
    pub(crate) fn new(directory: OsString, settings: &Settings) -> Result<Self, String> {
        let directory = PathBuf::from(directory);
        // A relative path would lead from the working directory, which may be the one that is removed and made anew.
        let directory = path::absolute(&directory).unwrap_or(directory);
        match fs::read_dir(&directory) {
            Ok(_) => Ok(Self { directory, settings: settings.files.clone(), health: settings.health.clone() }),
            Err(error) => Err(format!("Cannot serve {}: {error}", directory.display())),
        }
    }

    /// The directory, as an absolute path.
    #[cfg(feature = "live")]
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn app(&self) -> Router<()> {
        let FileSettings { cors, headers, .. } = &self.settings;
        let mut app = Router::new(());
        for (name, value) in headers.clone() {
            let (its_name, its_value) = (name.clone(), value.clone());
            app.when_not_understood(move |_, res| res.append_header(&its_name, &its_value));
            app.with(move |_, _, res| ControlFlow::Continue(res.append_header(&name, &value)));
        }
        if let Some(origins) = cors {
            let cors = if origins.is_empty() { Cors::any() } else { Cors::list(origins.clone()) };
            let exposed = ["Accept-Ranges", "Content-Encoding", "Content-Range", "ETag"];
            cors.methods([Method::Get, Method::Head]).expose(exposed).apply(&mut app);
        }
        health::add(&mut app, self.health.as_deref());
        app.mount("/", self.files());
        app
    }

    fn files(&self) -> Files {
        let settings = &self.settings;
        let files = Files::lazy(&self.directory)
            .index(settings.index.clone())
            .listing(settings.listing)
            .single_page(settings.single_page)
            .hidden(settings.hidden)
            .symlinks(settings.symlinks)
            .precompressed(settings.precompressed)
            .cache(settings.cached, CACHE_BYTES);
        let rules = settings.cache_control.iter();
        let files = rules.fold(files, |files, (pattern, value)| files.cache_control(pattern, value));
        let types = settings.media_types.iter();
        types.fold(files, |files, (extension, media_type)| files.media_type(extension, media_type))
    }

    /// The lines that are printed at the start: the directory, and the options that are on.
    pub(crate) fn describe(&self) -> Vec<String> {
        let settings = &self.settings;
        let directory = fs::canonicalize(&self.directory).unwrap_or_else(|_| self.directory.clone());
        let mut lines = vec![format!("Serving {}", directory.display())];
        lines.push(format!("  index: {}", settings.index.join(", ")));
        let switches = [
            (settings.listing, "listing"),
            (settings.single_page, "single page"),
            (settings.hidden, "hidden files"),
            (settings.precompressed, "precompressed files"),
            (settings.symlinks == Symlinks::Inside, "symbolic links inside"),
            (settings.symlinks == Symlinks::Follow, "all symbolic links"),
            (settings.cached > 0, "cache"),
            (settings.cors.is_some(), "CORS"),
        ];
        let on: Vec<&str> = switches.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect();
        lines.push(format!("  on: {}", if on.is_empty() { "nothing".to_owned() } else { on.join(", ") }));
        lines.extend(
            settings.cache_control.iter().map(|(pattern, value)| format!("  cache-control of {pattern}: {value}")),
        );
        lines.extend(self.health.iter().map(|path| format!("  health check: {path}")));
        lines.extend(settings.headers.iter().map(|(name, value)| format!("  header: {name}: {value}")));
        lines.extend(settings.media_types.iter().map(|(extension, kind)| format!("  type of .{extension}: {kind}")));
        lines
    }
}
