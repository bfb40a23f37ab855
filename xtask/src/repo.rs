//! Where things are.

use std::path::{Path, PathBuf};

/// The repository's root, absolute.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a directory of the repository")
}

/// Everything that is built or fetched and may be deleted; `CARGO_TARGET_DIR` when cargo is told so.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// The tools that cargo installs and the ones that we write.
pub fn tools() -> PathBuf {
    target().join("tools")
}

/// The product, where `wrangler.toml` looks for it.
pub fn product() -> PathBuf {
    root().join("build")
}

/// The same code with the features that only tests may have.
pub fn test_worker() -> PathBuf {
    target().join("worker-test")
}

/// Where `cargo build` puts the programs of a profile.
pub fn programs(release: bool) -> PathBuf {
    target().join(if release { "release" } else { "debug" })
}
