//! What a client may also do: speak HTTP/1.0, send more than is read, leave.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use plimsoll::layers::{Refusal, refused_total};

use crate::client::{Client, Outcome, block_on};
use crate::level::{falls, held_bytes, memory_is_back, one_at_a_time, rises};
use crate::server::{Kind, Server};
use crate::support::wait_until;

/// Long enough for a busy machine; a test that waits for it in vain fails.
const PATIENCE: Duration = Duration::from_secs(60);
const TIMES: u64 = 100;

/// Sends `request` as it is.
fn sent(address: SocketAddr, request: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// The answer up to the end of the connection.
fn until_closed(mut stream: TcpStream) -> String {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

/// The head of the answer; the connection is closed after that.
fn head(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        assert_eq!(stream.read(&mut byte).unwrap(), 1, "{answer:?}");
        answer.extend(byte);
    }
    String::from_utf8(answer).unwrap()
}

#[track_caller]
fn assert_refused(answer: &str, version: &str) {
    let status = format!("{version} 503 Service Unavailable\r\n");
    assert!(answer.starts_with(&status), "{answer:?}");
    assert!(answer.contains("\r\nretry-after: 1\r\n"), "{answer:?}");
}

#[test]
fn http_1_0_is_answered_and_closed() {
    let _one = one_at_a_time();
    for kind in Kind::HTTP_1 {
        block_on(async {
            let server = Server::start(kind).await;
            let get = |path| {
                until_closed(sent(
                    server.address,
                    &format!("GET {path} HTTP/1.0\r\n\r\n"),
                ))
            };
            let small = get("/small");
            assert!(small.starts_with("HTTP/1.0 200 OK\r\n"), "{small:?}");
            assert!(small.ends_with("\r\n\r\nserved"), "{small:?}");
            assert_refused(&get("/large"), "HTTP/1.0");
            let held = rises();
            let shed = get("/small");
            assert_refused(&shed, "HTTP/1.0");
            assert!(shed.ends_with("\r\n\r\n"), "{shed:?}");
            assert!(get("/health").starts_with("HTTP/1.0 200 OK\r\n"));
            drop(held);
            falls();
            assert!(get("/small").starts_with("HTTP/1.0 200 OK\r\n"));
        });
    }
}

#[test]
fn a_body_that_nobody_reads_costs_a_clear_status_and_leaves_nothing() {
    let _one = one_at_a_time();
    for kind in Kind::HTTP_1 {
        block_on(async {
            let server = Server::start(kind).await;
            let some = "x".repeat(32 << 10);
            let upload = |path: &str| {
                let length = 1u64 << 40;
                let head = format!(
                    "POST {path} HTTP/1.1\r\nhost: here\r\ncontent-length: {length}\r\n\r\n"
                );
                sent(server.address, &format!("{head}{some}"))
            };
            assert!(head(upload("/small")).starts_with("HTTP/1.1 200 OK\r\n"));
            let before_bytes = held_bytes();
            for _ in 0..TIMES {
                assert!(head(upload("/small")).starts_with("HTTP/1.1 200 OK\r\n"));
                assert_refused(&head(upload("/large")), "HTTP/1.1");
            }
            assert_eq!(server.app.frames(), 0);
            let held = rises();
            let reached = server.app.reached();
            for _ in 0..TIMES {
                assert_refused(&head(upload("/length")), "HTTP/1.1");
            }
            assert_eq!((server.app.reached(), server.app.frames()), (reached, 0));
            drop(held);
            falls();
            memory_is_back(before_bytes);
            assert_eq!(server.app.running(), 0);
        });
    }
}

#[test]
fn a_client_that_leaves_takes_its_request_along() {
    let _one = one_at_a_time();
    for kind in Kind::HTTP_1 {
        block_on(async {
            let server = Server::start(kind).await;
            let mut client = Client::connect(&server).await;
            assert_eq!(client.ask("/small").await, Outcome::Served);
            let before_bytes = held_bytes();
            let before = Refusal::ALL.iter().map(|&reason| refused_total(reason));
            let before: Vec<u64> = before.collect();
            let stuck: Vec<TcpStream> = (0..16)
                .map(|_| sent(server.address, "GET /stuck HTTP/1.1\r\nhost: here\r\n\r\n"))
                .collect();
            wait_until("all hold memory", || server.app.running() == 16);
            drop(stuck);
            wait_until("all are gone", || server.app.running() == 0);
            memory_is_back(before_bytes);
            // Nobody was refused.
            let after = Refusal::ALL.iter().map(|&reason| refused_total(reason));
            assert_eq!(after.collect::<Vec<u64>>(), before);
        });
    }
}
