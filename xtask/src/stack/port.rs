//! Ports on this machine: a given one, or one that nobody else has.

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use crate::error::{Doing as _, Error, Result};

/// Below the ports that the system gives to outgoing connections, so that a service which is killed and
/// started again finds its port as it left it.
const FREE: Range<u16> = 20_000..30_000;

/// A port; a free one stays reserved among stacks for as long as this lives, running or not.
#[derive(Clone, Debug)]
pub struct Port {
    number: u16,
    _reserved: Option<Arc<File>>,
}

impl Port {
    /// This one.
    pub fn given(number: u16) -> Self {
        Self { number, _reserved: None }
    }

    /// One that nobody listens on and that no other stack has reserved.
    pub fn free() -> Result<Self> {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let dir = std::env::temp_dir().join("beadrig-ports");
        fs::create_dir_all(&dir).doing_to("create", &dir)?;
        let span = FREE.end - FREE.start;
        // Each process begins elsewhere; the locks decide, this only saves tries.
        let begin = u16::try_from(u64::from(std::process::id()) * 97 % u64::from(span))
            .expect("less than the span");
        for _ in 0..span {
            let next = NEXT.fetch_add(1, Ordering::Relaxed);
            let number = FREE.start + begin.wrapping_add(next) % span;
            let path = dir.join(number.to_string());
            let file = File::create(&path).doing_to("create", &path)?;
            if file.try_lock().is_ok() && !is_taken(number) {
                return Ok(Self { number, _reserved: Some(Arc::new(file)) });
            }
        }
        Err(Error::new(format!("no port is free from {} to {}", FREE.start, FREE.end - 1)))
    }

    /// Its number.
    pub fn number(&self) -> u16 {
        self.number
    }

    /// `127.0.0.1:8787`
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.number)
    }

    /// `http://127.0.0.1:8787`
    pub fn url(&self) -> String {
        format!("http://{}", self.address())
    }
}

/// Whether somebody listens there, or we may not.
pub fn is_taken(number: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_ports_are_not_given_twice() {
        let ports: Vec<_> = (0..20).map(|_| Port::free().unwrap()).collect();
        let mut numbers: Vec<_> = ports.iter().map(Port::number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), 20);
    }

    #[test]
    fn a_port_with_a_listener_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        assert!(is_taken(listener.local_addr().unwrap().port()));
    }
}
