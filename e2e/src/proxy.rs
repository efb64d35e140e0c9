//! A TCP proxy that does to a connection what networks do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// What happens to what is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    Fair,
    /// Answers come late.
    Delayed(Duration),
    /// Connections are cut, at once, and new ones are not to be had.
    Cut,
    /// Requests arrive, and the connection is cut before their answer.
    AnswersLost,
    /// Nothing arrives, and nobody is told.
    BlackHole,
    /// The server's machine has lost its power. Whoever is connected is never told, also when the
    /// machine is back; what it was doing has ended.
    PowerLost,
}

/// A proxy in front of a server on this machine. It ends with the test's runtime.
pub struct Proxy {
    pub port: u16,
    server: Arc<AtomicU16>,
    weather: Arc<watch::Sender<Weather>>,
}

impl Proxy {
    pub async fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let weather = Arc::new(watch::Sender::new(Weather::Fair));
        let forecast = Arc::clone(&weather);
        let server = Arc::new(AtomicU16::new(server));
        let address = Arc::clone(&server);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                let port = address.load(Ordering::Relaxed);
                let server = SocketAddr::from(([127, 0, 0, 1], port));
                tokio::spawn(connect(client, server, forecast.subscribe()));
            }
        });
        Self {
            port,
            server,
            weather,
        }
    }

    /// Has connections to come lead to another server. Those that there are stay where they are.
    pub fn lead_to(&self, server: u16) {
        self.server.store(server, Ordering::Relaxed);
    }

    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }
}

async fn connect(client: TcpStream, server: SocketAddr, mut weather: watch::Receiver<Weather>) {
    let now = *weather.borrow();
    match now {
        Weather::Cut => return,
        Weather::PowerLost => return silence(client).await,
        _ => {}
    }
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let requests = forward(&mut from_client, &mut to_server, weather.clone(), false);
    let answers = forward(&mut from_server, &mut to_client, weather.clone(), true);
    let is_over = |weather: &Weather| matches!(weather, Weather::Cut | Weather::PowerLost);
    // Whichever ends first closes both.
    let power_lost = tokio::select! {
        () = requests => false,
        () = answers => false,
        over = weather.wait_for(is_over) => over.is_ok_and(|now| *now == Weather::PowerLost),
    };
    if power_lost {
        drop((from_server, to_server));
        silence((from_client, to_client)).await;
    }
}

/// Holds a connection that nobody answers on.
async fn silence(connection: impl Send) {
    std::future::pending::<()>().await;
    drop(connection);
}

async fn forward(
    mut from: impl AsyncReadExt + Unpin,
    mut to: impl AsyncWriteExt + Unpin,
    mut weather: watch::Receiver<Weather>,
    answers: bool,
) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        let now = *weather.borrow_and_update();
        match now {
            Weather::AnswersLost if answers => return,
            Weather::Delayed(delay) if answers => tokio::time::sleep(delay).await,
            Weather::BlackHole => {
                let over = weather.wait_for(|weather| *weather != Weather::BlackHole);
                let _ = over.await;
                // What was swallowed never comes, so that the stream is of no use any more.
                return;
            }
            _ => {}
        }
        if to.write_all(&buffer[..read]).await.is_err() {
            return;
        }
    }
}
