//! Clients that go without a word: in a handshake, in a header, in a body, in a watch.

use muster_e2e::local::{Federation, jobs_path, until};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::h2::Door;

/// Clients of each kind.
const CLIENTS: usize = 50;

pub async fn clients_leave_nothing_behind(federation: &Federation) {
    let door = Door::of(federation, "muster-1");
    let pid = federation.pid("controller-1");
    let before = open_files(pid);
    let mut held = Vec::new();
    for _ in 0..CLIENTS {
        let mut stranger = TcpStream::connect(&door.address).await.expect("it listens");
        stranger.write_all(b"\x16\x03\x01").await.expect("the start of a handshake");
        held.push(Client::Stranger(stranger));
        let post =
            format!("POST {} HTTP/1.1\r\nhost: hub\r\ncontent-type: application/json\r\n", jobs_path());
        held.push(Client::at(&door, &post[..30]).await);
        held.push(Client::at(&door, &format!("{post}content-length: 1000\r\n\r\n{{\"kind\":")).await);
        held.push(Client::at(&door, &format!("{post}transfer-encoding: chunked\r\n\r\n5\r\n{{\"kin")).await);
        let mut watch =
            Client::at(&door, &format!("GET {}?watch=true HTTP/1.1\r\nhost: hub\r\n\r\n", jobs_path())).await;
        watch.hears("HTTP/1.1 200").await;
        held.push(watch);
    }
    until("the hub to hold them all", || async { (open_files(pid) >= before + held.len()).then_some(()) })
        .await;
    drop(held);
    until("the hub to let go of them", || async { (open_files(pid) <= before + 5).then_some(()) }).await;
    assert_eq!(federation.pid("controller-1"), pid, "it is the same process");
    let jobs = federation.get(&jobs_path()).await.expect("a list");
    assert_eq!(jobs["items"], serde_json::json!([]), "nothing half sent is stored");
}

enum Client {
    Stranger(#[expect(dead_code, reason = "held open")] TcpStream),
    Tls(Box<tokio_rustls::client::TlsStream<TcpStream>>),
}

impl Client {
    async fn at(door: &Door, first_words: &str) -> Client {
        let mut tls = door.tls(b"http/1.1").await;
        tls.write_all(first_words.as_bytes()).await.expect("sent");
        tls.flush().await.expect("sent");
        Client::Tls(Box::new(tls))
    }

    async fn hears(&mut self, start: &str) {
        let Client::Tls(tls) = self else { panic!("a stranger hears nothing") };
        let mut heard = vec![0; start.len()];
        tls.read_exact(&mut heard).await.expect("an answer");
        assert_eq!(heard, start.as_bytes());
    }
}

/// Every connection is one, and a task that holds one keeps it open.
fn open_files(pid: i32) -> usize {
    std::fs::read_dir(format!("/proc/{pid}/fd")).map(Iterator::count).unwrap_or_default()
}
