//! The shim's end of the control socket. Never blocks: a client that stalls must not delay the deadline.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use super::error::ShimError;
use super::protocol::{Reply, Request};

const MAX_CONNECTIONS: usize = 16;
const MAX_LINE_BYTES: usize = 8 * 1024;

/// The listener and its open connections.
pub(crate) struct ControlServer {
    listener: UnixListener,
    connections: Vec<Connection>,
}

struct Connection {
    stream: UnixStream,
    received: Vec<u8>,
    open: bool,
}

impl ControlServer {
    /// Listens on `path`, replacing what a dead process left there. A short relative path: the system's limit is
    /// 107 bytes.
    pub(crate) fn bind(path: &Path) -> Result<ControlServer, ShimError> {
        let _none_left = fs::remove_file(path);
        let listener = UnixListener::bind(path).map_err(ShimError::file("bind", path))?;
        listener.set_nonblocking(true).map_err(ShimError::file("set nonblocking", path))?;
        Ok(ControlServer { listener, connections: Vec::new() })
    }

    /// What to poll for reading.
    pub(crate) fn descriptors(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let connections = self.connections.iter().map(|connection| connection.stream.as_fd());
        std::iter::once(self.listener.as_fd()).chain(connections)
    }

    /// Appends the whole lines that arrived, each with the connection to answer on.
    pub(crate) fn receive(&mut self, requests: &mut Vec<(usize, Result<Request, String>)>) {
        self.connections.retain(|connection| connection.open);
        self.accept();
        for (index, connection) in self.connections.iter_mut().enumerate() {
            connection.receive();
            while let Some(line) = connection.take_line() {
                requests.push((index, serde_json::from_slice(&line).map_err(|error| error.to_string())));
            }
        }
    }

    /// Answers on a connection that [`ControlServer::receive`] named.
    pub(crate) fn send(&mut self, connection: usize, reply: &Reply) {
        self.connections[connection].send(reply);
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            if self.connections.len() == MAX_CONNECTIONS {
                // The oldest is the likeliest to have been forgotten by its client.
                self.connections.remove(0);
            }
            self.connections.push(Connection { stream, received: Vec::new(), open: true });
        }
    }
}

impl Connection {
    fn receive(&mut self) {
        let mut buffer = [0; 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return self.open = false,
                Ok(len) => self.received.extend_from_slice(&buffer[..len]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return self.open = false,
            }
            if self.received.len() > MAX_LINE_BYTES {
                self.received.clear();
                return self.open = false;
            }
        }
    }

    fn take_line(&mut self) -> Option<Vec<u8>> {
        let end = self.received.iter().position(|byte| *byte == b'\n')?;
        let rest = self.received.split_off(end + 1);
        Some(std::mem::replace(&mut self.received, rest))
    }

    fn send(&mut self, reply: &Reply) {
        let mut line = serde_json::to_vec(reply).expect("a reply has no map with keys that are not text");
        line.push(b'\n');
        // A reply fits the socket's buffer; a client that lets it fill up is not waited for.
        self.open &= self.stream.write_all(&line).is_ok();
    }
}
