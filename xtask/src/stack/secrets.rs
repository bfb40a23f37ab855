//! The secrets of a local stack: made once from the system's randomness, kept where only their owner can read.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use crate::error::{Doing as _, Error, Result};

/// Randomness of one secret.
const BYTES: usize = 32;

/// Who may call, and what agents' tokens are signed with.
#[derive(Clone)]
pub struct Secrets {
    /// `BEADRIG_TOKEN`: the operator's.
    pub token: String,
    /// `BEADRIG_JWT_SECRET`.
    pub jwt_secret: String,
}

impl Secrets {
    /// New ones.
    pub fn new() -> Result<Self> {
        Ok(Self { token: random()?, jwt_secret: random()? })
    }

    /// Those of a data directory; made at the first time.
    pub fn of(data: &Path) -> Result<Self> {
        let path = data.join("secrets.json");
        if !path.exists() {
            let new = Self::new()?;
            let value = json!({ "token": new.token, "jwtSecret": new.jwt_secret });
            write_private(&path, &format!("{value:#}\n"))?;
            return Ok(new);
        }
        let text = fs::read_to_string(&path).doing_to("read", &path)?;
        let value: Value = serde_json::from_str(&text).doing_to("read", &path)?;
        let field = |name: &str| {
            value[name].as_str().map(str::to_owned).ok_or_else(|| {
                let path = path.display();
                Error::new(format!("{path} has no \"{name}\"; remove the file to get new secrets"))
            })
        };
        Ok(Self { token: field("token")?, jwt_secret: field("jwtSecret")? })
    }
}

/// Writes a file that only its owner can read, in one move.
pub(crate) fn write_private(path: &Path, text: &str) -> Result<()> {
    let new = path.with_extension("new");
    fs::remove_file(&new).ok();
    let mut options = OpenOptions::new();
    let mut file =
        options.write(true).create_new(true).mode(0o600).open(&new).doing_to("create", &new)?;
    file.write_all(text.as_bytes()).doing_to("write", &new)?;
    file.sync_all().doing_to("write", &new)?;
    fs::rename(&new, path).doing_to("rename", &new)
}

fn random() -> Result<String> {
    let source = Path::new("/dev/urandom");
    let mut bytes = [0; BYTES];
    let mut file = File::open(source).doing_to("open", source)?;
    file.read_exact(&mut bytes).doing_to("read", source)?;
    let mut text = String::with_capacity(2 * BYTES);
    for byte in bytes {
        write!(text, "{byte:02x}").expect("a string takes everything");
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn secrets_are_made_once_and_only_their_owner_reads_them() {
        let data = tempfile::tempdir().unwrap();
        let first = Secrets::of(data.path()).unwrap();
        let second = Secrets::of(data.path()).unwrap();
        assert_eq!((first.token.len(), first.jwt_secret.len()), (64, 64));
        assert_ne!(first.token, first.jwt_secret);
        assert_eq!(first.token, second.token);
        assert_eq!(first.jwt_secret, second.jwt_secret);
        let mode = fs::metadata(data.path().join("secrets.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
