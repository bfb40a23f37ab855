//! Builds the worker: the product, and the same code with what only tests may use.
//!
//! A panic in a Durable Object must cost one request and not the object, so the worker unwinds, and for that
//! the standard library is rebuilt. `worker-build` asks for a nightly toolchain to do it. We pin a stable one,
//! so three small scripts in front of `PATH` answer to `nightly` with the pinned toolchain and its sources.
//!
//! ```text
//! sources --worker-build--> build/ or target/worker-test/ { index.js, index_bg.wasm, .fingerprint }
//! ```

use std::fmt::Write as _;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hasher as _};
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Doing as _, Error, Result};
use crate::tools::{Tools, WorkerTools};
use crate::{repo, run};

/// Everything that a build of the worker reads.
const SOURCES: [&str; 6] =
    ["src", "migrations", "Cargo.toml", "Cargo.lock", "rust-toolchain.toml", ".cargo"];

/// Counts up when this file builds differently from the same sources.
const RECIPE: &str = "2";

/// The two builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variant {
    /// What is deployed.
    Product,
    /// With the features `bench` and `faults`.
    Test,
}

impl Variant {
    /// Where it is built to.
    pub fn dir(self) -> PathBuf {
        match self {
            Self::Product => repo::product(),
            Self::Test => repo::test_worker(),
        }
    }

    fn features(self) -> &'static [&'static str] {
        match self {
            Self::Product => &[],
            Self::Test => &["--features", "bench,faults"],
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Product => "worker",
            Self::Test => "worker for tests",
        }
    }
}

/// Builds a variant unless it is up to date, says how big it is, and answers with its directory.
pub fn build(variant: Variant) -> Result<PathBuf> {
    let dir = variant.dir();
    let mark = dir.join(".fingerprint");
    let wasm = dir.join("index_bg.wasm");
    // The variants share cargo's output, so one build at a time.
    let _lock = lock()?;
    if is_built(variant) && is_fresh(variant)? {
        eprintln!("{}: up to date", variant.name());
        return Ok(dir);
    }
    let tools = Tools::prepare()?;
    let worker_tools = WorkerTools::prepare()?;
    // Of the sources before the build: an edit while it runs makes the result stale, not fresh.
    let fingerprint = fingerprint(variant)?;
    fs::remove_file(&mark).ok();
    let mut command = worker_build(variant, &tools, &worker_tools)?;
    let what = format!("building the {} (the first time takes minutes)", variant.name());
    run::step(&what, &variant.name().replace(' ', "-"), &mut command)?;
    if !wasm.is_file() {
        return Err(Error::new(format!("worker-build made no {}", wasm.display())));
    }
    let bytes = fs::read(&wasm).doing_to("read", &wasm)?;
    let bytes = without_names(&bytes)
        .ok_or_else(|| Error::new(format!("{} is no wasm", wasm.display())))?;
    fs::write(&wasm, bytes).doing_to("write", &wasm)?;
    fs::write(&mark, fingerprint).doing_to("write", &mark)?;
    eprintln!("{}: {}", variant.name(), size(&wasm)?);
    Ok(dir)
}

/// Whether there is a build of it, of whatever age.
pub fn is_built(variant: Variant) -> bool {
    ["index.js", "index_bg.wasm", ".fingerprint"]
        .iter()
        .all(|file| variant.dir().join(file).is_file())
}

/// Whether its build is of the sources as they are.
pub fn is_fresh(variant: Variant) -> Result<bool> {
    let mark = fs::read_to_string(variant.dir().join(".fingerprint")).unwrap_or_default();
    Ok(mark == fingerprint(variant)?)
}

fn lock() -> Result<File> {
    let dir = repo::target().join("xtask");
    fs::create_dir_all(&dir).doing_to("create", &dir)?;
    let path = dir.join("worker.lock");
    let file = File::create(&path).doing_to("create", &path)?;
    file.lock().doing_to("lock", &path)?;
    Ok(file)
}

fn worker_build(variant: Variant, tools: &Tools, worker: &WorkerTools) -> Result<Command> {
    let shims = shims()?;
    let node = tools.node.parent().expect("a program is in a directory");
    let out = variant.dir();
    // Relative to the crate's root, which an absolute path overrides.
    let mut command = Command::new(&worker.worker_build);
    command
        .args(["--release", "--panic-unwind", "--out-dir"])
        .arg(&out)
        .args(variant.features())
        .current_dir(repo::root())
        .env("PATH", run::path_with(&[&shims, node]))
        .env("WASM_BINDGEN_BIN", &worker.wasm_bindgen)
        .env("ESBUILD_BIN", &tools.esbuild)
        .env("WASM_OPT_BIN", &tools.wasm_opt)
        .env_remove("CARGO")
        .env_remove("RUSTFLAGS");
    Ok(command)
}

/// Leaves the names of functions out, a quarter of the bytes: `worker-build` keeps them whatever it is told, and
/// what went wrong is in a panic's text.
fn without_names(wasm: &[u8]) -> Option<Vec<u8>> {
    // The head, then sections: a kind, a length, and what it holds; kind 0 begins with a name of its own.
    let (head, mut rest) = wasm.split_at_checked(8)?;
    let mut out = head.to_vec();
    while let Some((kind, after)) = rest.split_first() {
        let (length, body) = leb128(after)?;
        let (body, next) = body.split_at_checked(length)?;
        if *kind != 0 || !body.starts_with(b"\x04name") {
            out.extend_from_slice(&rest[..rest.len() - next.len()]);
        }
        rest = next;
    }
    Some(out)
}

/// A length, and what follows it.
fn leb128(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let end = bytes.iter().take(5).position(|byte| byte & 0x80 == 0)?;
    let length =
        bytes[..=end].iter().rev().fold(0, |all, byte| (all << 7) | usize::from(byte & 0x7f));
    Some((length, &bytes[end + 1..]))
}

/// Scripts that map `nightly` to the pinned toolchain, which may then use `-Zbuild-std`.
fn shims() -> Result<PathBuf> {
    let sysroot = run::answer("rustc", &["--print", "sysroot"])?;
    let rustup = run::find("rustup")
        .ok_or_else(|| Error::new("rustup is not found: install Rust from https://rustup.rs"))?;
    let rustup = rustup.display();
    let toolchain = Path::new(&sysroot).file_name().unwrap_or_default().to_string_lossy();
    if !Path::new(&sysroot).join("lib/rustlib/src/rust/library/Cargo.lock").is_file() {
        let hint = format!("rustup component add rust-src --toolchain {toolchain}");
        return Err(Error::new(format!("the sources of the standard library are missing: {hint}")));
    }
    let dir = repo::tools().join("shims");
    fs::create_dir_all(&dir).doing_to("create", &dir)?;
    for program in ["cargo", "rustc"] {
        let text = format!(
            "#!/bin/sh\n\
             if [ \"$1\" = +nightly ]; then shift; export RUSTC_BOOTSTRAP=1; fi\n\
             exec '{sysroot}/bin/{program}' \"$@\"\n"
        );
        script(&dir.join(program), &text)?;
    }
    let text = format!(
        "#!/bin/sh\n\
         for arg in \"$@\"; do\n  \
           shift\n  \
           if [ \"$arg\" = nightly ]; then arg='{toolchain}'; fi\n  \
           set -- \"$@\" \"$arg\"\n\
         done\n\
         exec '{rustup}' \"$@\"\n"
    );
    script(&dir.join("rustup"), &text)?;
    Ok(dir)
}

/// Writes an executable file, in one move, and only when it differs.
fn script(path: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    let new = path.with_extension("new");
    fs::write(&new, text).doing_to("write", &new)?;
    fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).doing_to("chmod", &new)?;
    fs::rename(&new, path).doing_to("rename", &new)
}

/// A hash of everything that the build reads, and of how it is built.
fn fingerprint(variant: Variant) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    for part in [RECIPE, env!("CARGO_PKG_VERSION")].iter().chain(variant.features()) {
        hasher.write(part.as_bytes());
    }
    for source in SOURCES {
        hash(&repo::root().join(source), &mut hasher)?;
    }
    let mut text = String::new();
    write!(text, "{:016x}", hasher.finish()).expect("a string takes everything");
    Ok(text)
}

fn hash(path: &Path, hasher: &mut DefaultHasher) -> Result<()> {
    if path.is_dir() {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path).doing_to("read", path)? {
            entries.push(entry.doing_to("read", path)?.path());
        }
        entries.sort();
        return entries.iter().try_for_each(|entry| hash(entry, hasher));
    }
    if path.is_file() {
        let bytes = fs::read(path).doing_to("read", path)?;
        hasher.write(path.as_os_str().as_encoded_bytes());
        hasher.write_usize(bytes.len());
        hasher.write(&bytes);
    }
    Ok(())
}

/// "640 KB of wasm, 220 KB gzipped".
pub fn size(wasm: &Path) -> Result<String> {
    let bytes = fs::read(wasm).doing_to("read", wasm)?;
    let raw = bytes.len() / 1024;
    Ok(match gzipped(bytes) {
        Some(zipped) => format!("{raw} KB of wasm, {} KB gzipped", zipped / 1024),
        None => format!("{raw} KB of wasm"),
    })
}

/// Its size as it counts against the limit of a deployment; `None` without a gzip to ask.
fn gzipped(bytes: Vec<u8>) -> Option<usize> {
    let mut gzip = Command::new("gzip");
    gzip.args(["-9", "-c"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = gzip.spawn().ok()?;
    let mut stdin = child.stdin.take()?;
    let feed = std::thread::spawn(move || stdin.write_all(&bytes));
    let output = child.wait_with_output().ok()?;
    feed.join().ok()?.ok()?;
    output.status.success().then_some(output.stdout.len())
}

#[cfg(test)]
mod tests {
    use super::without_names;

    #[test]
    fn only_the_names_are_left_out() {
        let head = b"\0asm\x01\0\0\0";
        let long = [b"\x01\x80\x01".as_slice(), &[7; 128]].concat();
        let (names, other) = (b"\0\x06\x04nameX", b"\0\x06\x04nurkX");
        let wasm = [head.as_slice(), &long, names, other].concat();
        let rest = [head.as_slice(), &long, other].concat();
        assert_eq!(without_names(&wasm), Some(rest));
        assert_eq!(without_names(&wasm[..20]), None);
    }
}
