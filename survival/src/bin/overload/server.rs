//! [`Server`]: the service under tokio, on a unix socket without a file; and [`Connection`], a client's end of it.
//!
//! A request is a line `<id> <event in JSON>`, an answer a line: `ok <quantity>`, `busy` or `malformed`.

use std::io::{self, BufRead, BufReader, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
use tokio::runtime::{Builder, Runtime};

use crate::service::{Answer, Service};

const WORKERS: usize = 2;

pub struct Server {
    address: SocketAddr,
    /// Dropped, all of it ends.
    _runtime: Runtime,
}

impl Server {
    pub fn start(service: Arc<Service>) -> io::Result<Self> {
        let address =
            SocketAddr::from_abstract_name(format!("plimsoll-overload-{}", std::process::id()))?;
        let listener = UnixListener::bind_addr(&address)?;
        listener.set_nonblocking(true)?;
        let runtime = Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .enable_io()
            .build()?;
        let listener = {
            let _entered = runtime.enter();
            tokio::net::UnixListener::from_std(listener)?
        };
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let service = Arc::clone(&service);
                // A client that goes away is no failure here; it counts what it did not get.
                tokio::spawn(async move { serve(stream, &service).await });
            }
        });
        Ok(Server {
            address,
            _runtime: runtime,
        })
    }

    pub fn connect(&self) -> io::Result<Connection> {
        let stream = UnixStream::connect_addr(&self.address)?;
        Ok(Connection {
            reader: BufReader::new(stream),
            line: Vec::new(),
        })
    }
}

async fn serve(stream: tokio::net::UnixStream, service: &Service) -> io::Result<()> {
    let mut stream = tokio::io::BufReader::new(stream);
    let mut line = Vec::new();
    loop {
        line.clear();
        if stream.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        let answer = match split(&line) {
            Some((id, text)) => service.handle(id, text),
            None => Answer::Malformed,
        };
        let words = match answer {
            Answer::Accepted { quantity } => format!("ok {quantity}\n"),
            Answer::Refused => "busy\n".to_owned(),
            Answer::Malformed => "malformed\n".to_owned(),
        };
        stream.write_all(words.as_bytes()).await?;
    }
}

fn split(line: &[u8]) -> Option<(u64, &[u8])> {
    let space = line.iter().position(|&byte| byte == b' ')?;
    let id = std::str::from_utf8(&line[..space]).ok()?.parse().ok()?;
    Some((id, &line[space + 1..]))
}

pub struct Connection {
    reader: BufReader<UnixStream>,
    line: Vec<u8>,
}

impl Connection {
    pub fn ask(&mut self, id: u64, text: &[u8]) -> io::Result<Answer> {
        self.line.clear();
        write!(self.line, "{id} ")?;
        self.line.extend_from_slice(text);
        self.line.push(b'\n');
        self.reader.get_mut().write_all(&self.line)?;
        self.line.clear();
        self.reader.read_until(b'\n', &mut self.line)?;
        answer(&self.line).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

fn answer(line: &[u8]) -> Option<Answer> {
    match std::str::from_utf8(line).ok()?.strip_suffix('\n')? {
        "busy" => Some(Answer::Refused),
        "malformed" => Some(Answer::Malformed),
        words => Some(Answer::Accepted {
            quantity: words.strip_prefix("ok ")?.parse().ok()?,
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_whole_or_not_at_all() {
        assert_eq!(split(b"17 {}\n"), Some((17, &b"{}\n"[..])));
        assert_eq!(split(b"17\n"), None);
        assert_eq!(split(b"x {}\n"), None);
        assert_eq!(answer(b"ok 12\n"), Some(Answer::Accepted { quantity: 12 }));
        assert_eq!(answer(b"busy\n"), Some(Answer::Refused));
        assert_eq!(answer(b"malformed\n"), Some(Answer::Malformed));
        for cut in [&b"ok 1"[..], b"ok\n", b"ok x\n", b"", b"yes\n"] {
            assert_eq!(answer(cut), None);
        }
    }
}
