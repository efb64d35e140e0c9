//! A TCP proxy that injects the faults of networks.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What the proxy does to connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    None,
    /// Answers arrive late.
    Latency(Duration),
    /// All connections are closed at once, and each new one too.
    Cut,
    /// Requests arrive, and the connection is closed before the answer.
    AnswersLost,
    /// Nothing arrives, and no connection is closed.
    BlackHole,
    /// The server's machine lost its power. Its connections are never closed, not even when the machine
    /// is back. Whatever the server was doing has ended.
    PowerLoss,
}

/// A proxy in front of a server on this machine. It ends with the test's runtime.
pub struct Proxy {
    pub port: u16,
    server: Arc<AtomicU16>,
    fault: Arc<watch::Sender<Fault>>,
}

impl Proxy {
    pub async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let fault = Arc::new(watch::Sender::new(Fault::None));
        let faults = Arc::clone(&fault);
        let server = Arc::new(AtomicU16::new(server));
        let address = Arc::clone(&server);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let port = address.load(Ordering::Relaxed);
                let server = SocketAddr::from(([127, 0, 0, 1], port));
                tokio::spawn(connect(client, server, faults.subscribe()));
            }
        });
        Self {
            port,
            server,
            fault,
        }
    }

    /// Sends new connections to another server. Existing connections stay where they are.
    pub fn redirect_to(&self, server: u16) {
        self.server.store(server, Ordering::Relaxed);
    }

    pub fn set_fault(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }
}

async fn connect(client: TcpStream, server: SocketAddr, mut fault: watch::Receiver<Fault>) {
    let now = *fault.borrow();
    match now {
        Fault::Cut => return,
        Fault::PowerLoss => return silence(client).await,
        _ => {}
    }
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = forward(&mut from_client, &mut to_server, fault.clone(), false);
    let answers = forward(&mut from_server, &mut to_client, fault.clone(), true);
    let is_over = |fault: &Fault| matches!(fault, Fault::Cut | Fault::PowerLoss);
    // The direction that ends first closes both.
    let power_lost = tokio::select! {
        () = requests => false,
        () = answers => false,
        over = fault.wait_for(is_over) => over.is_ok_and(|now| *now == Fault::PowerLoss),
    };
    if power_lost {
        drop((from_server, to_server));
        silence((from_client, to_client)).await;
    }
}

/// Keeps a connection open, and never answers.
async fn silence(connection: impl Send) {
    std::future::pending::<()>().await;
    drop(connection);
}

async fn forward(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut fault: watch::Receiver<Fault>,
    answers: bool,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        let now = *fault.borrow_and_update();
        match now {
            Fault::AnswersLost if answers => return,
            // Nothing arrives after the fault. `connect` ends the connection.
            Fault::Cut | Fault::PowerLoss => return std::future::pending().await,
            Fault::Latency(delay) if answers => tokio::time::sleep(delay).await,
            Fault::BlackHole => {
                let over = fault.wait_for(|fault| *fault != Fault::BlackHole);
                let _ = over.await;
                // The dropped bytes never arrive, so the rest of the stream would be broken.
                return;
            }
            _ => {}
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
