//! The example programs, built from the sources as they are now.

use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;

/// Where the examples are. `cargo test` has built them, and cargo finds nothing to do; `cargo test --test NAME` has
/// not.
#[track_caller]
pub(crate) fn folder_of_examples() -> &'static PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let this = std::env::current_exe().expect("it runs");
        let profile = this.ancestors().nth(2).expect("it is in the folder `deps` of a profile");
        let name = match profile.file_name().and_then(|name| name.to_str()).expect("a profile has a name") {
            "debug" => "dev",
            name => name,
        };
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--examples", "--profile", name]).current_dir(env!("CARGO_MANIFEST_DIR"));
        cargo.arg("--target-dir").arg(profile.parent().expect("a profile is in the target folder"));
        let built = cargo.status().expect("cargo runs");
        assert!(built.success(), "the examples do not build");
        profile.join("examples")
    })
}
