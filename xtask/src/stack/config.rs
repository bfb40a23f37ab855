//! workerd's configuration as text. No secret is in it: those come from workerd's environment.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use super::Options;
use crate::error::{Error, Result};

/// The date whose runtime behavior the worker is written for; `wrangler.toml` has the same.
const COMPATIBILITY_DATE: &str = "2026-11-01";

/// The whole file.
pub(super) fn workerd(options: &Options) -> Result<String> {
    let state = quoted_path(&options.data.join("state"))?;
    let address = quoted(&options.port.address());
    let bindings = bindings(options);
    let (container, engine) = match &options.engine {
        Some(socket) => containers(socket)?,
        None => Default::default(),
    };
    Ok(format!(
        r#"# Written at every start.
using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [
    (name = "beadrig", worker = .beadrig),
    (name = "state", disk = (path = {state}, writable = true)),
    # The container service is on this machine.
    (name = "internet", network = (allow = ["public", "private"], tlsOptions = (trustBrowserCas = true))),
  ],
  sockets = [(name = "http", address = {address}, http = (), service = "beadrig")],
);

const beadrig :Workerd.Worker = (
  compatibilityDate = "{COMPATIBILITY_DATE}",
  modules = [
    (name = "index.js", esModule = embed "worker/index.js"),
    (name = "index_bg.wasm", wasm = embed "worker/index_bg.wasm"),
  ],
  bindings = [
{bindings}  ],
  globalOutbound = "internet",
  durableObjectNamespaces = [
    (className = "Rig", uniqueKey = "beadrig-rig-v1", enableSql = true),
    (className = "TownContainer", uniqueKey = "beadrig-town-v1", enableSql = true{container}),
    (className = "Directory", uniqueKey = "beadrig-directory-v1", enableSql = true),
    (className = "Hall", uniqueKey = "beadrig-hall-v1", enableSql = true),
    (className = "Watchdog", uniqueKey = "beadrig-watchdog-v1", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "state"),
{engine});
"#
    ))
}

/// What makes workerd start the town's container: what its object gets, and who is asked for it.
fn containers(socket: &Path) -> Result<(String, String)> {
    let mut address = String::from("unix:");
    address.push_str(text(socket)?);
    let container = r#", container = (imageName = "beadrig-container")"#;
    let engine = format!(
        "  containerEngine = (localDocker = (\n    socketPath = {},\n    \
         containerEgressInterceptorImage = \"cloudflare/proxy-everything\",\n  )),\n",
        quoted(&address)
    );
    Ok((container.to_owned(), engine))
}

fn bindings(options: &Options) -> String {
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    if options.engine.is_none() {
        texts.insert("CONTAINER_URL", options.container_port.url());
    }
    texts.insert("PUBLIC_URL", options.port.url());
    texts.extend(options.settings.iter().map(|(name, value)| (name.as_str(), value.clone())));
    let mut out = String::new();
    for (binding, class) in [
        ("RIG", "Rig"),
        ("TOWN_CONTAINER", "TownContainer"),
        ("DIRECTORY", "Directory"),
        ("HALL", "Hall"),
        ("WATCHDOG", "Watchdog"),
    ] {
        line(&mut out, binding, &format!("durableObjectNamespace = {}", quoted(class)));
    }
    for secret in ["BEADRIG_TOKEN", "BEADRIG_JWT_SECRET"] {
        line(&mut out, secret, &format!("fromEnvironment = {}", quoted(secret)));
    }
    for (name, value) in &texts {
        line(&mut out, name, &format!("text = {}", quoted(value)));
    }
    out
}

fn line(out: &mut String, name: &str, value: &str) {
    writeln!(out, "    (name = {}, {value}),", quoted(name)).expect("a string takes everything");
}

fn quoted_path(path: &Path) -> Result<String> {
    text(path).map(quoted)
}

fn text(path: &Path) -> Result<&str> {
    path.to_str().ok_or_else(|| Error::new(format!("{} is not UTF-8", path.display())))
}

/// A text as Cap'n Proto writes it.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => {
                out.push('\\');
                out.push(char::from(byte));
            }
            b' '..=b'~' => out.push(char::from(byte)),
            _ => write!(out, "\\x{byte:02x}").expect("a string takes everything"),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_text_is_quoted_byte_by_byte() {
        assert_eq!(quoted("a \"b\" \\ \n ü"), r#""a \"b\" \\ \x0a \xc3\xbc""#);
    }
}
