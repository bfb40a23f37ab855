//! Stands between the worker and the container service and does to starts what a network may do.
//!
//! ```text
//! worker --> proxy --> container service
//!              \ one request a connection; what is no start passes, but for merges that the test answers itself
//! ```

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use beadrig::wire::{PROTOCOL, PROTOCOL_HEADER};

/// What becomes of a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Through, and the answer back.
    Pass,
    /// Through, and no answer: the connection stays open and silent.
    LoseAnswer,
    /// Through, and the connection breaks.
    Break,
    /// Not through, and no answer.
    Lose,
    /// Not through: the connection breaks.
    Shut,
    /// Half of it through, and both connections break.
    HalfRequest,
    /// Through, half of the answer back, and the connection breaks.
    HalfAnswer,
    /// Through only after this long, whoever still waits.
    Late(Duration),
    /// Through once [`Proxy::release`] was called, whoever still waits.
    Hold,
}

/// The proxy; it ends with the test's process.
pub(crate) struct Proxy {
    /// Where it listens.
    pub(crate) url: String,
    shared: Arc<Shared>,
}

struct Shared {
    target: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Of the next starts; then they pass.
    fates: Vec<Fate>,
    holding: bool,
    /// The first lines of all requests that came.
    requests: Vec<String>,
    /// When starts came.
    began: Vec<Instant>,
    /// Both sides are made to hear of a newer protocol.
    newer: bool,
    /// The statuses that the service answered to starts.
    answers: Vec<u16>,
    /// What the test answers to merges in the service's place, the last one for ever; empty: they pass.
    merge_answers: Vec<(u16, String)>,
    /// The merges that it answered.
    merges: Vec<String>,
}

impl Proxy {
    /// Listens, and forwards to a port of this machine that need not be there yet.
    pub(crate) fn to(port: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Arc::new(Shared {
            target: SocketAddr::from((Ipv4Addr::LOCALHOST, port)),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let ours = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let shared = Arc::clone(&ours);
                // A connection that breaks is what this is for.
                thread::spawn(move || shared.serve(client).ok());
            }
        });
        Self { url, shared }
    }

    /// Decides about the next starts, in their order.
    pub(crate) fn next(&self, fates: &[Fate]) {
        let mut state = self.shared.state();
        state.fates = fates.to_vec();
        state.holding = true;
    }

    /// Lets through what is held.
    pub(crate) fn release(&self) {
        self.shared.state().holding = false;
        self.shared.changed.notify_all();
    }

    /// Answers merges with these statuses and bodies from now on, the last one for ever; none reaches the service.
    pub(crate) fn answer_merges(&self, answers: &[(u16, &str)]) {
        let answers = answers.iter().map(|(status, body)| (*status, (*body).to_owned()));
        self.shared.state().merge_answers = answers.collect();
    }

    /// The bodies of the merges that were answered so.
    pub(crate) fn merges(&self) -> Vec<String> {
        self.shared.state().merges.clone()
    }

    /// What was asked since this was last called, as `GET /agents HTTP/1.1`.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.shared.state().requests)
    }

    /// How many starts have come.
    pub(crate) fn starts(&self) -> usize {
        self.shared.state().began.len()
    }

    /// When they came.
    pub(crate) fn began(&self) -> Vec<Instant> {
        self.shared.state().began.clone()
    }

    /// From now on each side seems to the other to speak the next version of the protocol.
    pub(crate) fn speak_newer(&self, newer: bool) {
        self.shared.state().newer = newer;
    }

    /// What the service answered to the starts that went through.
    pub(crate) fn answers(&self) -> Vec<u16> {
        self.shared.state().answers.clone()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        let request = read_request(&mut client)?;
        let first = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
        self.state().requests.push(String::from_utf8_lossy(first).into_owned());
        if request.starts_with(b"POST /git/merge ")
            && let Some(answer) = self.merge(&request)
        {
            client.write_all(answer.as_bytes())?;
            return client.shutdown(Shutdown::Both);
        }
        if !request.starts_with(b"POST /agents/start ") {
            client.write_all(&self.forward(&request)?)?;
            return client.shutdown(Shutdown::Both);
        }
        match self.fate() {
            Fate::Pass => client.write_all(&self.start(&request)?)?,
            Fate::LoseAnswer => {
                self.start(&request)?;
                io::copy(&mut client, &mut io::sink())?;
            }
            Fate::Break => drop(self.start(&request)?),
            Fate::Lose => drop(io::copy(&mut client, &mut io::sink())?),
            Fate::Shut => {}
            Fate::HalfRequest => {
                let mut server = TcpStream::connect(self.target)?;
                server.write_all(&request[..request.len() / 2])?;
                server.shutdown(Shutdown::Both)?;
            }
            Fate::HalfAnswer => {
                let answer = self.start(&request)?;
                client.write_all(&answer[..answer.len() / 2])?;
            }
            Fate::Late(wait) => {
                thread::sleep(wait);
                let answer = self.start(&request)?;
                client.write_all(&answer)?;
            }
            Fate::Hold => {
                let state = self.changed.wait_while(self.state(), |state| state.holding);
                drop(state.unwrap_or_else(PoisonError::into_inner));
                let answer = self.start(&request)?;
                client.write_all(&answer)?;
            }
        }
        client.shutdown(Shutdown::Both)
    }

    fn merge(&self, request: &[u8]) -> Option<String> {
        let mut state = self.state();
        let (status, body) = state.merge_answers.first().cloned()?;
        if state.merge_answers.len() > 1 {
            state.merge_answers.remove(0);
        }
        let asked = request.get(head_end(request)?..).unwrap_or_default();
        state.merges.push(String::from_utf8_lossy(asked).into_owned());
        let length = body.len();
        let head = format!("HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n");
        Some(format!("{head}content-length: {length}\r\nconnection: close\r\n\r\n{body}"))
    }

    fn fate(&self) -> Fate {
        let mut state = self.state();
        state.began.push(Instant::now());
        if state.fates.is_empty() { Fate::Pass } else { state.fates.remove(0) }
    }

    fn start(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        let answer = self.forward(request)?;
        let status = answer.get(9..12).and_then(|it| str::from_utf8(it).ok()?.parse().ok());
        self.state().answers.push(status.unwrap_or(0));
        Ok(answer)
    }

    /// Sends one request on and answers the whole response.
    fn forward(&self, request: &[u8]) -> io::Result<Vec<u8>> {
        let mut server = TcpStream::connect(self.target)?;
        server.write_all(&closing(&self.versioned(request)))?;
        let mut answer = Vec::new();
        server.read_to_end(&mut answer)?;
        Ok(closing(&self.versioned(&answer)))
    }

    /// The message as it would be in the next version, if that is spoken: as long as it was.
    fn versioned(&self, message: &[u8]) -> Vec<u8> {
        if !self.state().newer {
            return message.to_vec();
        }
        let text = String::from_utf8_lossy(message);
        let header = format!("{PROTOCOL_HEADER}: ");
        let next = PROTOCOL + 1;
        text.replace(&format!("\"protocol\":{PROTOCOL}"), &format!("\"protocol\":{next}"))
            .replace(&format!("{header}{PROTOCOL}"), &format!("{header}{next}"))
            .into_bytes()
    }
}

/// Reads a request whose body, if it has one, says how long it is.
fn read_request(client: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    let mut chunk = [0; 16 * 1024];
    loop {
        let length = client.read(&mut chunk)?;
        if length == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        request.extend_from_slice(&chunk[..length]);
        let Some(head) = head_end(&request) else { continue };
        let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
        let field = text.lines().find_map(|line| line.strip_prefix("content-length:"));
        let body = field.and_then(|value| value.trim().parse().ok()).unwrap_or(0);
        if text.contains("transfer-encoding:") {
            return Err(io::Error::other("a body without a length"));
        }
        if request.len() >= head + body {
            return Ok(request);
        }
    }
}

fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

/// The same message with `Connection: close`, so that each one has a connection of its own.
fn closing(message: &[u8]) -> Vec<u8> {
    let Some(head) = head_end(message) else { return message.to_vec() };
    let text = String::from_utf8_lossy(&message[..head - 2]).into_owned();
    let lines = text.split_inclusive("\r\n");
    let kept = lines.filter(|line| !line.to_ascii_lowercase().starts_with("connection:"));
    let mut whole: Vec<u8> = kept.collect::<String>().into_bytes();
    whole.extend_from_slice(b"Connection: close\r\n\r\n");
    whole.extend_from_slice(&message[head..]);
    whole
}
