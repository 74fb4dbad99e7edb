//! The agent's end of a shim's control socket. Blocking, with a timeout.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IoSliceMut, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use nix::cmsg_space;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};

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

/// The longest answer that comes with a descriptor; it arrives in one piece.
const MAX_ANSWER_BYTES: usize = 4 * 1024;

/// What came of [`Request::Attach`].
#[derive(Debug)]
pub struct Attachment {
    /// What the shim says.
    pub reply: Reply,
    /// Its end of what the container reads.
    pub descriptor: Option<OwnedFd>,
    /// Open as long as somebody is attached.
    pub connection: UnixStream,
}

/// Asks the shim of the pod's folder `dir` and waits up to `timeout` for its answer.
pub fn request(dir: &Path, request: &Request, timeout: Duration) -> Result<Reply, ClientError> {
    let mut stream = connect(dir)?;
    let line = line(request)?;
    let answer = exchange(&mut stream, &line, timeout).map_err(ClientError::Unresponsive)?;
    serde_json::from_str(&answer).map_err(ClientError::Malformed)
}

/// Asks for a container's input, and keeps the connection that says how long somebody is there.
pub fn attach(dir: &Path, request: &Request, timeout: Duration) -> Result<Attachment, ClientError> {
    let mut connection = connect(dir)?;
    let line = line(request)?;
    ask(&mut connection, &line, timeout).map_err(ClientError::Unresponsive)?;
    let (answer, descriptor) = receive(&connection).map_err(ClientError::Unresponsive)?;
    let reply = serde_json::from_slice(&answer).map_err(ClientError::Malformed)?;
    Ok(Attachment { reply, descriptor, connection })
}

fn line(request: &Request) -> Result<Vec<u8>, ClientError> {
    let mut line = serde_json::to_vec(request).map_err(ClientError::Malformed)?;
    line.push(b'\n');
    Ok(line)
}

fn connect(dir: &Path) -> Result<UnixStream, ClientError> {
    open(dir).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ClientError::NotListening(error),
        // For example out of descriptors: that says nothing about the shim.
        _ => ClientError::Unresponsive(error),
    })
}

/// A socket's path may have 107 bytes; through the folder's descriptor it is short however deep the folder is.
fn open(dir: &Path) -> io::Result<UnixStream> {
    let folder = File::open(dir)?;
    UnixStream::connect(format!("/proc/self/fd/{}/{SOCKET_FILE}", folder.as_raw_fd()))
}

fn exchange(stream: &mut UnixStream, line: &[u8], timeout: Duration) -> io::Result<String> {
    ask(stream, line, timeout)?;
    let mut answer = String::new();
    if BufReader::new(stream).read_line(&mut answer)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(answer)
}

fn ask(stream: &mut UnixStream, line: &[u8], timeout: Duration) -> io::Result<()> {
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(line)
}

/// An answer with the descriptor that came with it.
fn receive(stream: &UnixStream) -> io::Result<(Vec<u8>, Option<OwnedFd>)> {
    let (mut answer, mut space) = (vec![0; MAX_ANSWER_BYTES], cmsg_space!(std::os::fd::RawFd));
    let mut pieces = [IoSliceMut::new(&mut answer)];
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(stream.as_raw_fd(), &mut pieces, Some(&mut space), flags)?;
    let mut descriptor = None;
    for part in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(came) = part {
            // SAFETY: the kernel just gave us these descriptors, and nobody else in this process knows them.
            descriptor = came.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }).next_back();
        }
    }
    let length = message.bytes;
    if length == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    answer.truncate(length);
    Ok((answer, descriptor))
}
