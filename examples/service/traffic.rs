//! Gentle traffic over real sockets, for a service that runs alone. A client of forty lines needs no dependency: it speaks to
//! one server, whose replies all carry a `content-length`.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use plimsoll::MemoryManager;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{interval, sleep};

use crate::event::Event;

const BATCH_EVERY: Duration = Duration::from_millis(100);
const BATCH_EVENTS: u64 = 10;
const CLEANUP_EVERY: Duration = Duration::from_secs(10);

/// Three feeds and a cleanup every now and then, until the connection breaks.
pub async fn drive(address: SocketAddr, manager: &'static MemoryManager) -> io::Result<()> {
    tokio::try_join!(
        feed(address, "binance", "BTC-USDT"),
        feed(address, "coinbase", "ETH-USD"),
        feed(address, "kraken", "SOL-EUR"),
        clean_up(manager),
    )?;
    Ok(())
}

async fn feed(address: SocketAddr, exchange: &str, symbol: &str) -> io::Result<()> {
    let mut client = Client::connect(address).await?;
    let mut ticks = interval(BATCH_EVERY);
    let mut first = 0;
    loop {
        ticks.tick().await;
        let ts_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_millis() as u64);
        // One more than it moves on by: feeds repeat themselves, and this is what the cache is for.
        let events: Vec<Event> = (first..=first + BATCH_EVENTS)
            .map(|number| Event {
                id: format!("{exchange}-{number}").into(),
                exchange: exchange.into(),
                symbol: symbol.into(),
                price: 100.0 + (number % 100) as f64 / 100.0,
                size: 0.5,
                ts_ms,
            })
            .collect();
        first += BATCH_EVENTS;
        client
            .post("/events", &serde_json::to_vec(&events)?)
            .await?;
    }
}

async fn clean_up(manager: &'static MemoryManager) -> io::Result<()> {
    loop {
        sleep(CLEANUP_EVERY).await;
        // Waits for the hooks: not on a thread that has requests to serve.
        let report = tokio::task::spawn_blocking(|| manager.force_cleanup()).await?;
        writeln!(io::stdout(), "{report}")?;
    }
}

/// One connection, kept open.
struct Client {
    stream: BufReader<TcpStream>,
    host: SocketAddr,
}

impl Client {
    async fn connect(host: SocketAddr) -> io::Result<Self> {
        let stream = BufReader::new(TcpStream::connect(host).await?);
        Ok(Client { stream, host })
    }

    async fn post(&mut self, path: &str, body: &[u8]) -> io::Result<Value> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {}\r\ncontent-length: {}\r\n\r\n",
            self.host,
            body.len()
        );
        let request = [head.as_bytes(), body].concat();
        self.stream.write_all(&request).await?;

        let mut reply = vec![0; self.read_head().await?];
        self.stream.read_exact(&mut reply).await?;
        if reply.is_empty() {
            // Refused while memory is short.
            return Ok(Value::Null);
        }
        Ok(serde_json::from_slice(&reply)?)
    }

    /// Reads up to the body, and returns its length.
    async fn read_head(&mut self) -> io::Result<usize> {
        let mut length = 0;
        let mut line = String::new();
        loop {
            line.clear();
            self.stream.read_line(&mut line).await?;
            match line.trim_end().split_once(": ") {
                Some(("content-length", value)) => {
                    length = value.parse().map_err(io::Error::other)?;
                }
                None if line == "\r\n" => return Ok(length),
                None if line.is_empty() => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => {}
            }
        }
    }
}
