//! The agent's end of a shim's control socket. Blocking, with a timeout.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use super::protocol::{Reply, Request};
use super::spec::SOCKET_FILE;

/// Why there is no answer. Whether the request was carried out is unknown, except for `NotListening`.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No shim is there: it has ended, or has not begun.
    #[error("no shim listens in this folder")]
    NotListening(#[source] io::Error),
    /// It took the request and did not answer in time: frozen, or the machine is overloaded.
    #[error("the shim does not answer")]
    Unresponsive(#[source] io::Error),
    /// It answered in another language.
    #[error("the shim's answer is not understood")]
    Malformed(#[source] serde_json::Error),
}

/// Asks the shim of the pod's folder `dir` and waits up to `timeout` for its answer.
pub fn request(dir: &Path, request: &Request, timeout: Duration) -> Result<Reply, ClientError> {
    let mut stream = connect(dir).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NotListening(error),
        // For example out of descriptors: that says nothing about the shim.
        _ => ClientError::Unresponsive(error),
    })?;
    let mut line = serde_json::to_vec(request).map_err(ClientError::Malformed)?;
    line.push(b'\n');
    let answer = exchange(&mut stream, &line, timeout).map_err(ClientError::Unresponsive)?;
    serde_json::from_str(&answer).map_err(ClientError::Malformed)
}

/// A socket's path may have 107 bytes; through the folder's descriptor it is short however deep the folder is.
fn connect(dir: &Path) -> io::Result<UnixStream> {
    let folder = File::open(dir)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET_FILE}", folder.as_raw_fd()))
}

fn exchange(stream: &mut UnixStream, line: &[u8], timeout: Duration) -> io::Result<String> {
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(line)?;
    let mut answer = String::new();
    if BufReader::new(stream).read_line(&mut answer)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer)
}
