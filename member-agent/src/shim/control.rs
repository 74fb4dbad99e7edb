//! The shim's end of the control socket. Never blocks: a client that stalls must not delay the deadline.

use std::fs;
use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use nix::sys::socket::{ControlMessage, MsgFlags, sendmsg};

use super::error::ShimError;
use super::protocol::{Reply, Request};

const MAX_CONNECTIONS: usize = 16;
/// Of these, connections that last as long as somebody is attached.
const MAX_ATTACHED: usize = 8;
const MAX_LINE_BYTES: usize = 8 * 1024;

/// The listener and its open connections.
pub(crate) struct ControlServer {
    listener: UnixListener,
    connections: Vec<Connection>,
    left: Vec<usize>,
}

struct Connection {
    stream: UnixStream,
    received: Vec<u8>,
    open: bool,
    /// The container, by its position in the spec, that it is attached to.
    attached: Option<usize>,
}

impl ControlServer {
    /// Listens on `path`, replacing what a dead process left there. A short relative path: the system's limit is
    /// 107 bytes.
    pub(crate) fn bind(path: &Path) -> Result<ControlServer, ShimError> {
        let _none_left = fs::remove_file(path);
        let listener = UnixListener::bind(path).map_err(ShimError::file("bind", path))?;
        listener.set_nonblocking(true).map_err(ShimError::file("set nonblocking", path))?;
        Ok(ControlServer { listener, connections: Vec::new(), left: Vec::new() })
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
            self.left.extend(connection.attached.take_if(|_| !connection.open));
        }
    }

    /// Containers that somebody was attached to who is gone since this was asked before.
    pub(crate) fn take_left(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.left)
    }

    /// Whether one more may be attached.
    pub(crate) fn has_room(&self) -> bool {
        self.connections.iter().filter(|connection| connection.attached.is_some()).count() < MAX_ATTACHED
    }

    /// From now on this connection's end is told by [`ControlServer::take_left`].
    pub(crate) fn attach(&mut self, connection: usize, container: usize) {
        self.connections[connection].attached = Some(container);
    }

    /// Closes the connections of those who are attached to a container.
    pub(crate) fn let_go(&mut self, container: usize) {
        for connection in self.connections.iter_mut().filter(|it| it.attached == Some(container)) {
            connection.attached = None;
            connection.open = false;
            let _gone_already = connection.stream.shutdown(Shutdown::Both);
        }
    }

    /// Answers on a connection that [`ControlServer::receive`] named, with a descriptor if there is one to give.
    pub(crate) fn send(&mut self, connection: usize, reply: &Reply, descriptor: Option<BorrowedFd<'_>>) {
        self.connections[connection].send(reply, descriptor);
    }

    fn accept(&mut self) {
        while let Ok((stream, _)) = self.listener.accept() {
            if stream.set_nonblocking(true).is_err() {
                continue;
            }
            if self.connections.len() == MAX_CONNECTIONS {
                // The oldest is the likeliest to have been forgotten by its client.
                let oldest = self.connections.iter().position(|connection| connection.attached.is_none());
                self.connections.remove(oldest.expect("fewer may be attached than connected"));
            }
            self.connections.push(Connection { stream, received: Vec::new(), open: true, attached: None });
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

    fn send(&mut self, reply: &Reply, descriptor: Option<BorrowedFd<'_>>) {
        let mut line = serde_json::to_vec(reply).expect("a reply has no map with keys that are not text");
        line.push(b'\n');
        // A reply fits the socket's buffer; a client that lets it fill up is not waited for.
        self.open &= match descriptor {
            None => self.stream.write_all(&line).is_ok(),
            Some(descriptor) => self.send_with(&line, descriptor).is_ok_and(|sent| sent == line.len()),
        };
    }

    fn send_with(&self, line: &[u8], descriptor: BorrowedFd<'_>) -> nix::Result<usize> {
        let descriptors = [descriptor.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&descriptors)];
        sendmsg::<()>(self.stream.as_raw_fd(), &[IoSlice::new(line)], &rights, MsgFlags::MSG_NOSIGNAL, None)
    }
}
