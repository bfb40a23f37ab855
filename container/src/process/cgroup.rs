//! A cgroup (v2) for each run, where the machine lets the service make one.
//!
//! ```text
//! <the service's own cgroup>/beadrig-<hash of the data directory>/<number of the run>/   all that the run begins
//! ```
//!
//! What a run begins is in its cgroup, whatever it does to its group, its session, its environment and its parents,
//! and one write ends all of it at once. That takes a hierarchy that the service may write to: as root, or where
//! systemd delegates one to it. Most containers have none; there [`super::census`] does the same by looking. It also
//! stays where there is one, for a process of the same user may leave its cgroup.
//!
//! A process enters it before it becomes the agent, by a shell that does this and nothing else: from outside it could
//! only be moved after it had begun, and what it had forked by then would stay out.
//!
//! Memory and processes are bounded by [`super::meter`] everywhere. It must never touch a cgroup that is not below
//! its own directory.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use nix::errno::Errno;
use nix::unistd::{AccessFlags, access};
use tokio::process::Command;

use crate::git::names::hash;
use crate::limits::{LOOK_MS, SWEEP_ROUNDS_MAX};

/// Where the runs of one service have their cgroups.
#[derive(Debug)]
pub struct Cgroups {
    base: PathBuf,
}

impl Cgroups {
    /// Finds the place, and ends what an earlier service on this data directory left there. It blocks.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let own = fs::read_to_string("/proc/self/cgroup")?;
        let own = place(&mounts, &own).ok_or_else(|| unsupported("no cgroup v2 is mounted"))?;
        // Who moves a process needs this one too.
        File::options().write(true).open(own.join(PROCESSES))?;
        let name = format!("beadrig-{}", hash(&data_dir.to_string_lossy()));
        let all = Self { base: own.join(name) };
        make(&all.base)?;
        if !all.base.join(KILL).exists() {
            return Err(unsupported("the kernel is older than 5.14"));
        }
        for left in directories(&all.base)? {
            end(&left)?;
        }
        Ok(all)
    }

    /// Makes the cgroup of a run that is about to begin.
    pub fn enter(&self, run: u64) -> io::Result<Door> {
        let dir = self.of(run);
        make(&dir)?;
        Ok(Door(dir.join(PROCESSES)))
    }

    /// The processes that are in it.
    pub fn members(&self, run: u64) -> Vec<u32> {
        let all = fs::read_to_string(self.of(run).join(PROCESSES)).unwrap_or_default();
        all.lines().filter_map(|line| line.parse().ok()).collect()
    }

    /// Kills all that is in it, waits for them to be gone, and removes it. It blocks.
    pub fn end(&self, run: u64) -> io::Result<()> {
        end(&self.of(run))
    }

    fn of(&self, run: u64) -> PathBuf {
        self.base.join(run.to_string())
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        // One that still has runs in it stays, for the next service.
        let _ = fs::remove_dir(&self.base);
    }
}

/// The way into a cgroup.
#[derive(Debug)]
pub struct Door(PathBuf);

impl Door {
    /// A command that enters and then becomes this program, which it can: `path` is the one of its environment.
    pub fn command(&self, program: &str, path: Option<&OsStr>, dir: &Path) -> io::Result<Command> {
        look_for(program, path, dir)?;
        let mut command = Command::new("/bin/sh");
        // Who cannot enter runs outside, and is known by what it looks like.
        command.args(["-c", "{ echo 0 > \"$0\"; } 2> /dev/null; exec \"$@\""]);
        command.arg(&self.0).arg(program);
        Ok(command)
    }
}

/// Refuses a program that cannot be run, as the kernel would: the shell could only say so in the words of an agent.
fn look_for(program: &str, path: Option<&OsStr>, dir: &Path) -> Result<(), Errno> {
    let look = |file: PathBuf| match (file.is_file(), access(&file, AccessFlags::X_OK)) {
        (true, Ok(())) => Ok(()),
        (true, Err(why)) => Err(why),
        (false, _) if file.is_dir() => Err(Errno::EACCES),
        (false, _) => Err(Errno::ENOENT),
    };
    if program.contains('/') {
        return look(dir.join(program));
    }
    let mut why = Errno::ENOENT;
    for place in path.into_iter().flat_map(std::env::split_paths) {
        match look(dir.join(place).join(program)) {
            Ok(()) => return Ok(()),
            Err(Errno::ENOENT) => {}
            Err(other) => why = other,
        }
    }
    Err(why)
}

const PROCESSES: &str = "cgroup.procs";
const KILL: &str = "cgroup.kill";

fn unsupported(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, why)
}

fn make(dir: &Path) -> io::Result<()> {
    match fs::create_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    }
}

fn end(dir: &Path) -> io::Result<()> {
    let mut left = Ok(());
    for _ in 0..SWEEP_ROUNDS_MAX {
        left = fs::write(dir.join(KILL), "1").and_then(|()| remove(dir));
        match &left {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // What is killed is in it for a moment longer.
            Err(_) => sleep(Duration::from_millis(LOOK_MS)),
            Ok(()) => return Ok(()),
        }
    }
    left
}

/// A cgroup with those that a run has made in it. Their files are not removed: they are the kernel's.
fn remove(dir: &Path) -> io::Result<()> {
    for inner in directories(dir)? {
        remove(&inner)?;
    }
    fs::remove_dir(dir)
}

fn directories(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The directory of the cgroup that a process is in, by its `mountinfo` and its `cgroup`.
fn place(mounts: &str, own: &str) -> Option<PathBuf> {
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?;
    let mount = mounts.lines().find_map(|line| {
        let (mount, kind) = line.split_once(" - ")?;
        let mut fields = mount.split(' ').skip(3);
        let (root, point) = (fields.next()?, fields.next()?);
        (kind.split(' ').next() == Some("cgroup2")).then_some((root, point))
    });
    let (root, point) = mount?;
    let below = Path::new(path).strip_prefix(root).ok()?;
    Some(Path::new(point).join(below))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_there_is_said_before_a_shell_says_it() {
        let path = OsStr::new("/nowhere:/bin:/usr/bin");
        assert_eq!(look_for("sh", Some(path), Path::new("/")), Ok(()));
        assert_eq!(look_for("bin/sh", None, Path::new("/")), Ok(()));
        for (program, path, why) in [
            ("sh", None, Errno::ENOENT),
            ("no-such-program", Some(path), Errno::ENOENT),
            // There, and nothing that can be run.
            ("/bin", None, Errno::EACCES),
            ("/etc/passwd", None, Errno::EACCES),
            ("passwd", Some(OsStr::new("/etc")), Errno::EACCES),
        ] {
            assert_eq!(look_for(program, path, Path::new("/")), Err(why), "{program}");
        }
        let door = Door("/nowhere".into());
        let refused = door.command("no-such-program", Some(path), Path::new("/")).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn the_own_cgroup_is_found_below_its_mount() {
        let mounts = "30 24 0:26 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
                      31 24 0:27 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw\n";
        let found = |mounts, own| place(mounts, own).map(|path| path.display().to_string());
        let own = "4:memory:/other\n0::/user.slice/a\n";
        assert_eq!(found(mounts, own).as_deref(), Some("/sys/fs/cgroup/unified/user.slice/a"));
        assert_eq!(found(mounts, "0::/\n").as_deref(), Some("/sys/fs/cgroup/unified/"));
        let inner = "9 1 0:27 /docker/x /sys/fs/cgroup ro - cgroup2 cgroup ro\n";
        assert_eq!(found(inner, "0::/docker/x/y").as_deref(), Some("/sys/fs/cgroup/y"));
        // Outside what is mounted, not mounted at all, or no v2.
        assert_eq!(found(inner, "0::/elsewhere"), None);
        assert_eq!(found("", own), None);
        assert_eq!(found(mounts, "4:memory:/other\n"), None);
    }
}
