//! Stands between the worker and the container service and does to all connections what a network may do.
//!
//! ```text
//! client --> link --> server      both ways byte by byte; the mode may change at any moment
//! ```
//!
//! It must never make up a byte: what comes through is what was sent, in its order.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::plan::Mode;
use crate::error::{Doing as _, Result};

/// How soon a connection notices that the mode has changed.
const LOOK: Duration = Duration::from_millis(100);

/// Bytes that go through at once.
const PIECE: usize = 16 * 1024;

/// A connection that does nothing for so long is closed, in looks: five minutes.
const IDLE_LOOKS_MAX: u32 = 3_000;

/// The link; its threads end with its process.
pub struct Link {
    /// Where it listens.
    pub url: String,
    mode: Arc<Mutex<Mode>>,
}

impl Link {
    /// Listens, and forwards to a port of this machine that need not be there yet.
    pub fn to(port: u16) -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).doing("listen")?;
        let url = format!("http://{}", listener.local_addr().doing("listen")?);
        let mode = Arc::new(Mutex::new(Mode::Open));
        let ours = Arc::clone(&mode);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                // A connection that breaks is what this is for.
                serve(client, port, &ours).ok();
            }
        });
        Ok(Self { url, mode })
    }

    /// From now on.
    pub fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap_or_else(PoisonError::into_inner) = mode;
    }
}

fn now(mode: &Mutex<Mode>) -> Mode {
    *mode.lock().unwrap_or_else(PoisonError::into_inner)
}

fn serve(client: TcpStream, port: u16, mode: &Arc<Mutex<Mode>>) -> io::Result<()> {
    if now(mode) == Mode::Refused {
        return client.shutdown(Shutdown::Both);
    }
    let mode = Arc::clone(mode);
    thread::spawn(move || join(client, port, &mode));
    Ok(())
}

fn join(client: TcpStream, port: u16, mode: &Arc<Mutex<Mode>>) -> io::Result<()> {
    let server = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
    let Ok(server) = server else { return client.shutdown(Shutdown::Both) };
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(LOOK))?;
    }
    let (back, forth) = ((server.try_clone()?, client.try_clone()?), (client, server));
    let answers = Arc::clone(mode);
    thread::spawn(move || pump(back.0, back.1, &answers, true).ok());
    pump(forth.0, forth.1, mode, false)
}

/// Carries one direction until either end is closed.
fn pump(
    mut from: TcpStream,
    mut to: TcpStream,
    mode: &Mutex<Mode>,
    answers: bool,
) -> io::Result<()> {
    let mut idle = 0;
    let mut piece = [0; PIECE];
    let mut lost = false;
    let ended = loop {
        match now(mode) {
            Mode::Refused => break Ok(()),
            Mode::Silent => {
                thread::sleep(LOOK);
                continue;
            }
            _ => {}
        }
        let length = match from.read(&mut piece) {
            Ok(0) => break Ok(()),
            Ok(length) => length,
            Err(error) if is_timeout(&error) => {
                idle += 1;
                // What has lost a part of its answer must not go on as if it had not.
                if idle > IDLE_LOOKS_MAX || (lost && now(mode) != Mode::Deaf) {
                    break Ok(());
                }
                continue;
            }
            Err(error) => break Err(error),
        };
        idle = 0;
        match now(mode) {
            Mode::Deaf if answers => lost = true,
            _ if lost => break Ok(()),
            Mode::Slow(ms) => {
                thread::sleep(Duration::from_millis(ms));
                to.write_all(&piece[..length])?;
            }
            // What was read before a cut is held until it is over.
            Mode::Silent => {
                while now(mode) == Mode::Silent {
                    thread::sleep(LOOK);
                }
                to.write_all(&piece[..length])?;
            }
            _ => to.write_all(&piece[..length])?,
        }
    };
    from.shutdown(Shutdown::Both).ok();
    to.shutdown(Shutdown::Both).ok();
    ended
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Answers each connection with what it was sent.
    fn echo() -> u16 {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                let mut piece = [0; 16];
                while let Ok(length @ 1..) = client.read(&mut piece) {
                    client.write_all(&piece[..length]).unwrap();
                }
            }
        });
        port
    }

    fn say(link: &Link, patience: Duration) -> io::Result<String> {
        let address = link.url.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(patience))?;
        stream.write_all(b"hello")?;
        let mut piece = [0; 5];
        stream.read_exact(&mut piece)?;
        Ok(String::from_utf8_lossy(&piece).into_owned())
    }

    #[test]
    fn an_open_link_carries_and_a_cut_one_does_not_until_it_is_mended() {
        let link = Link::to(echo()).unwrap();
        let soon = Duration::from_millis(300);
        assert_eq!(say(&link, Duration::from_secs(5)).unwrap(), "hello");
        for mode in [Mode::Refused, Mode::Silent, Mode::Deaf] {
            link.set(mode);
            assert!(say(&link, soon).is_err(), "{mode:?}");
        }
        link.set(Mode::Open);
        assert_eq!(say(&link, Duration::from_secs(5)).unwrap(), "hello");
    }
}
