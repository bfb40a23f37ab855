//! The fake of `cloudflare/proxy-everything`: through it workerd reaches the ports of a container.
//!
//! The real one also catches what the container sends out. Here processes talk to workerd directly, so all that is
//! left of that are the requests with which workerd sets it up, answered and forgotten.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::json;

use crate::http::{self, Request};
use crate::machine::Machine;

/// The port that workerd asks on.
pub(crate) const PORT: u16 = 39_001;

/// Tells where the connections of a sidecar lead.
pub(crate) type Lookup = Arc<dyn Fn() -> Option<Arc<Machine>> + Send + Sync>;

/// A sidecar that listens.
pub(crate) struct Sidecar {
    port: u16,
    closed: Arc<AtomicBool>,
    open: Arc<AtomicUsize>,
}

impl Sidecar {
    /// Begins to listen. While `deaf` is set, a connection is accepted and nothing ever comes of it.
    pub(crate) fn start(target: Lookup, deaf: Arc<AtomicBool>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (closed, open) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (is_closed, count) = (Arc::clone(&closed), Arc::clone(&open));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if is_closed.load(Ordering::SeqCst) {
                    return;
                }
                let (target, deaf) = (Arc::clone(&target), Arc::clone(&deaf));
                let count = Arc::clone(&count);
                thread::spawn(move || {
                    count.fetch_add(1, Ordering::SeqCst);
                    // A connection that breaks is workerd's to notice.
                    serve(stream, &target, &deaf).ok();
                    count.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { port, closed, open }
    }

    pub(crate) fn host_port(&self) -> u16 {
        self.port
    }

    /// How many connections there are.
    pub(crate) fn connections(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// Takes no more connections.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        // It looks once more, at this one.
        TcpStream::connect(("127.0.0.1", self.port)).ok();
    }
}

fn serve(mut stream: TcpStream, target: &Lookup, deaf: &AtomicBool) -> io::Result<()> {
    let request = http::read(&mut stream)?;
    match (request.method.as_str(), request.path.as_str()) {
        ("CONNECT", _) => connect(stream, &request, target, deaf),
        (_, "/ca") => http::answer_text(&mut stream, 200, "-----BEGIN CERTIFICATE-----\n"),
        (_, "/egress") => http::answer(&mut stream, 200, &json!({})),
        _ => http::answer(&mut stream, 404, &json!({})),
    }
}

fn connect(
    mut stream: TcpStream,
    request: &Request,
    target: &Lookup,
    deaf: &AtomicBool,
) -> io::Result<()> {
    if deaf.load(Ordering::SeqCst) {
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
        // Until the other side gives up.
        return io::copy(&mut stream, &mut io::sink()).map(drop);
    }
    let destination = request.headers.get("x-dst-addr").unwrap_or(&request.path);
    let port = destination.rsplit(':').next().and_then(|port| port.parse().ok());
    let address = port.and_then(|port| target()?.address_of(port));
    let Some(Ok(there)) = address.map(TcpStream::connect) else {
        return http::answer_text(&mut stream, 400, "not listening");
    };
    stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n")?;
    let (back_from, back_to) = (there.try_clone()?, stream.try_clone()?);
    let back = thread::spawn(move || pump(back_from, back_to));
    pump(stream, there);
    back.join().ok();
    Ok(())
}

fn pump(mut from: TcpStream, mut to: TcpStream) {
    let mut bytes = vec![0; 64 * 1024];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    from.shutdown(Shutdown::Read).ok();
    to.shutdown(Shutdown::Write).ok();
}
